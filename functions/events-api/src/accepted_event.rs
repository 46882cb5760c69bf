//! JSON representation of accepted events.

use std::collections::BTreeMap;

use roadcast_domain::ids::Eid;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::validation::{QuarantinedSample, RejectedSignal};
use roadcast_services::ingest::{AcceptedEvent, unknown_signals};
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
    signals_rejected: BTreeMap<&'static str, usize>,
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
            signals_rejected: count_by_reason(&event.rejected),
            quarantined: quarantined_views(&event.quarantined, &JsonPointer::ROOT),
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

/// Returns the number of rejected signals by reason.
fn count_by_reason(rejected: &[RejectedSignal]) -> BTreeMap<&'static str, usize> {
    rejected.iter().fold(BTreeMap::new(), |mut counts, signal| {
        *counts.entry(signal.reason).or_default() += 1;
        counts
    })
}

/// Returns the quarantined samples, each with its reason and its pointer, which starts with `prefix`.
pub(crate) fn quarantined_views(samples: &[QuarantinedSample], prefix: &JsonPointer) -> Vec<Value> {
    samples.iter().map(|sample| json!({"pointer": prefix.join(&sample.pointer), "reason": sample.reason})).collect()
}
