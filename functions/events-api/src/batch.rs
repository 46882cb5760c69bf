//! What a partner is told of a batch: event by event.

use http::StatusCode;
use roadcast_lambda_kit::http::Response;
use roadcast_lambda_kit::problem::{Problem, ProblemType};
use roadcast_services::ingest::{BatchEvent, BatchReceipt, EventError};
use serde_json::{Value, json};

use crate::receipt::AcceptedEventView;
use crate::refusal;

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
                    let mut result = json!(AcceptedEventView::from(&taken));
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
