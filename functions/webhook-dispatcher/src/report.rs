//! Metrics, logs and traces of tasks: one line for each attempt.

use roadcast_domain::webhook::{Attempt, AttemptOutcome};
use roadcast_lambda_kit::event_traces::EventTraces;
use roadcast_lambda_kit::metrics::{Metric, Metrics};
use roadcast_services::webhooks::dispatcher::{TaskReport, TaskResult};

/// Counts and logs what a task resulted in.
pub(crate) fn record(metrics: &Metrics, traces: &EventTraces, report: &TaskReport) {
    for made in &report.attempts {
        let attempt = &made.attempt;
        traces.add_attempt(made);
        metrics.record(Metric::WebhookAttempts, 1);
        metrics.record(Metric::WebhookAttemptsFailed, usize::from(attempt.outcome != AttemptOutcome::Delivered));
        log_attempt(attempt);
    }
    if let Some((endpoint_id, reason)) = &report.disabled {
        metrics.record(Metric::EndpointsDisabled, 1);
        tracing::warn!(%endpoint_id, ?reason, "endpoint {endpoint_id} was disabled: {reason:?}");
    }
    if report.has_opened_circuit || report.has_closed_circuit {
        let endpoint_id = report.attempts.last().map(|made| made.attempt.key.endpoint_id.to_string()).unwrap_or_default();
        let state = if report.has_closed_circuit { "closed" } else { "open" };
        tracing::info!(endpoint_id, state, "the circuit of endpoint {endpoint_id} is {state}");
    }
    if let TaskResult::Waiting(reason) = report.result {
        tracing::debug!(reason = reason.code(), "the delivery waits: {}", reason.code());
    }
}

/// Writes the line of an attempt. The response is not part of it: it may contain anything.
fn log_attempt(attempt: &Attempt) {
    let (endpoint_id, delivery_id) = (attempt.key.endpoint_id.as_str(), attempt.key.delivery_id.to_string());
    let (number, outcome, latency_ms) = (attempt.number, attempt.outcome.code(), attempt.latency_ms);
    tracing::info!(
        fleet_id = attempt.fleet_id.as_str(),
        endpoint_id,
        delivery_id,
        event_type = attempt.event_type,
        number,
        outcome,
        status = attempt.status,
        latency_ms,
        next_attempt_at = attempt.next_attempt_at.map(|at| at.to_string()),
        "attempt {number} of delivery {delivery_id} to endpoint {endpoint_id}: {outcome} after {latency_ms} ms"
    );
}
