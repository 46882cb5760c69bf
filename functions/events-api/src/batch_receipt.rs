//! The response to a batch, with a result for each event.

use http::StatusCode;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_lambda_kit::http::{Response, response};
use roadcast_lambda_kit::problem::{Problem, ProblemType};
use roadcast_services::ingest::{BatchEvent, BatchReceipt, EventError};
use serde_json::{Value, json};

use crate::accepted_event::{AcceptedEventView, with_unknown_signals};
use crate::ingest_problem;

/// The results of a batch.
pub(crate) struct BatchReceiptView {
    results: Vec<Value>,
    /// The response to the accepted events, without their results.
    receipt: Value,
    accepted: usize,
    port_failed: bool,
}

impl BatchReceiptView {
    pub(crate) fn of(receipt: BatchReceipt) -> Self {
        let accepted_events = receipt.events.iter().filter_map(|event| event.outcome.as_ref().ok());
        let mut view = Self {
            results: Vec::with_capacity(receipt.events.len()),
            receipt: with_unknown_signals(json!({}), accepted_events),
            accepted: 0,
            port_failed: false,
        };
        for BatchEvent { id, source, outcome } in receipt.events {
            let mut result = match outcome {
                Ok(event) => {
                    view.accepted += 1;
                    let mut result = json!(AcceptedEventView::from(&event));
                    result["status"] = json!(StatusCode::ACCEPTED.as_u16());
                    result
                }
                Err(error) => {
                    view.port_failed |= matches!(error, EventError::Port(_));
                    let problem = ingest_problem::event_problem(error, &JsonPointer::ROOT);
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

    /// Returns 202 if any event was accepted, or the batch is empty. Otherwise fails with `unavailable` if a port failed, or
    /// with `no-event-accepted`.
    pub(crate) fn into_response(mut self) -> Result<Response, Problem> {
        if self.accepted > 0 || self.results.is_empty() {
            self.receipt["results"] = self.results.into();
            return response::json(StatusCode::ACCEPTED, &self.receipt);
        }
        let kind = if self.port_failed { ProblemType::Unavailable } else { ProblemType::NoEventAccepted };
        Err(Problem::new(kind).with_member("results", self.results))
    }
}
