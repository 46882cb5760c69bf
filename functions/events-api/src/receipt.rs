//! What a sender is told of the events that were taken.

use std::collections::BTreeMap;

use http::StatusCode;
use roadcast_domain::ids::Eid;
use roadcast_domain::intake::{ParkedSample, RejectedSignal};
use roadcast_lambda_kit::http::Response;
use roadcast_lambda_kit::problem::{Problem, ProblemType};
use roadcast_services::ingest::{BatchEvent, BatchReceipt, EventError, Taken};
use serde::Serialize;
use serde_json::{Value, json};

use crate::refusal;

/// An event that was taken.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TakenView<'a> {
    id: &'a str,
    source: &'a str,
    eid: Eid,
    samples: usize,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    signals_rejected: BTreeMap<&'static str, usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quarantined: Vec<Value>,
}

impl<'a> From<&'a Taken> for TakenView<'a> {
    fn from(taken: &'a Taken) -> Self {
        Self {
            id: &taken.id,
            source: &taken.source,
            eid: taken.eid,
            samples: taken.samples,
            signals_rejected: by_reason(&taken.rejected),
            quarantined: notes(&taken.parked, ""),
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
pub(crate) fn notes(parked: &[ParkedSample], within: &str) -> Vec<Value> {
    parked.iter().map(|sample| json!({"pointer": format!("{within}{}", sample.pointer), "reason": sample.reason})).collect()
}

/// What became of a partner's batch.
pub(crate) struct BatchReceiptView {
    results: Vec<Value>,
    accepted: usize,
    throttled: bool,
}

impl BatchReceiptView {
    pub(crate) fn of(receipt: BatchReceipt) -> Self {
        let mut view = Self { results: Vec::with_capacity(receipt.events.len()), accepted: 0, throttled: false };
        for BatchEvent { id, source, outcome } in receipt.events {
            let mut result = match outcome {
                Ok(taken) => {
                    view.accepted += 1;
                    let mut result = json!(TakenView::from(&taken));
                    result["status"] = json!(StatusCode::ACCEPTED.as_u16());
                    result
                }
                Err(error) => {
                    view.throttled |= matches!(error, EventError::Port(_));
                    let problem = refusal::of_event(error, "");
                    json!({"status": problem.status().as_u16(), "problem": problem.to_document()})
                }
            };
            for (name, value) in [("id", id), ("source", source)] {
                if let Some(value) = value {
                    result[name] = json!(value);
                }
            }
            view.results.push(result);
        }
        view
    }

    /// 202 if any event was taken; otherwise the problem that they share.
    pub(crate) fn into_response(self) -> Result<Response, Problem> {
        if self.accepted > 0 {
            return Response::json(StatusCode::ACCEPTED, &json!({ "results": self.results }));
        }
        let kind = if self.throttled { ProblemType::Unavailable } else { ProblemType::NoEventAccepted };
        Err(Problem::new(kind).with_member("results", self.results))
    }
}
