//! What a sender is told of the events that were taken.

use std::collections::BTreeMap;

use roadcast_domain::ids::Eid;
use roadcast_domain::validation::{QuarantinedSample, RejectedSignal};
use roadcast_services::ingest::AcceptedEvent;
use serde::Serialize;
use serde_json::{Value, json};

/// An event that was taken.
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
    fn from(taken: &'a AcceptedEvent) -> Self {
        Self {
            id: &taken.id,
            source: &taken.source,
            eid: taken.eid,
            samples: taken.samples,
            signals_rejected: by_reason(&taken.rejected),
            quarantined: notes(&taken.quarantined, ""),
        }
    }
}

/// How many signals were removed, by reason.
pub(crate) fn by_reason(rejected: &[RejectedSignal]) -> BTreeMap<&'static str, usize> {
    rejected.iter().fold(BTreeMap::new(), |mut counts, signal| {
        *counts.entry(signal.reason).or_default() += 1;
        counts
    })
}

/// The samples set aside, each with its pointer and reason.
pub(crate) fn notes(parked: &[QuarantinedSample], within: &str) -> Vec<Value> {
    parked.iter().map(|sample| json!({"pointer": format!("{within}{}", sample.pointer), "reason": sample.reason})).collect()
}
