//! JSON representation of accepted events.

use std::collections::BTreeMap;

use roadcast_domain::ids::Eid;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_services::ingest::{AcceptedEvent, QuarantineNote, unknown_signals};
use serde::Serialize;
use serde_json::{Value, json};

/// The JSON representation of an accepted event, with what will be rejected and quarantined.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AcceptedEventView<'a> {
    id: &'a str,
    source: &'a str,
    eid: Eid,
    samples: usize,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    signals_rejected: &'a BTreeMap<&'static str, usize>,
    #[serde(skip_serializing_if = "is_zero")]
    samples_quarantined: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quarantined: Vec<Value>,
}

impl<'a> From<&'a AcceptedEvent> for AcceptedEventView<'a> {
    fn from(event: &'a AcceptedEvent) -> Self {
        Self {
            id: &event.id,
            source: &event.source,
            eid: event.eid,
            samples: event.samples,
            signals_rejected: &event.removed.signals,
            samples_quarantined: event.removed.samples,
            quarantined: quarantined_views(&event.removed.quarantined, &JsonPointer::ROOT),
        }
    }
}

/// Returns the response to an upload about one vehicle.
pub(crate) fn upload_receipt(events: &[AcceptedEvent]) -> Value {
    let accepted: Vec<AcceptedEventView<'_>> = events.iter().map(AcceptedEventView::from).collect();
    with_unknown_signals(json!({ "accepted": accepted }), events)
}

/// Adds the paths that the catalogue does not know to a response, each with the path that it may mean.
pub(crate) fn with_unknown_signals<'a>(mut receipt: Value, events: impl IntoIterator<Item = &'a AcceptedEvent>) -> Value {
    let unknown: Vec<Value> = unknown_signals(events)
        .into_iter()
        .map(|signal| match signal.nearest {
            Some(nearest) => json!({"path": signal.path, "nearest": nearest}),
            None => json!({"path": signal.path}),
        })
        .collect();
    if !unknown.is_empty() {
        receipt["unknownSignals"] = unknown.into();
    }
    receipt
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Returns the quarantined samples, each with its reason and its pointer, which starts with `prefix`.
pub(crate) fn quarantined_views(samples: &[QuarantineNote], prefix: &JsonPointer) -> Vec<Value> {
    samples.iter().map(|sample| json!({"pointer": prefix.join(&sample.pointer), "reason": sample.reason})).collect()
}
