//! Enrichment of the messages of a queue: each is one entry of the ingest bus.
//!
//! A message succeeds or fails alone. See `docs/decisions/0034-queues-before-enrichment.md`.

mod attempts;

use std::sync::Arc;
use std::time::Duration;

use roadcast_lambda_kit::deadline::Deadline;
use roadcast_lambda_kit::event_traces::{EventTraces, TraceHop};
use roadcast_lambda_kit::eventbridge::BusEvent;
use roadcast_lambda_kit::logging;
use roadcast_lambda_kit::metrics::{Metric, Metrics};
use roadcast_lambda_kit::queue_batches::QueueBatches;
use roadcast_lambda_kit::sqs::{BatchItemFailures, SqsEvent, SqsMessage};
use roadcast_ports::port_set::PortSet;
use roadcast_services::delivery::enrichment::Enrichment;

use attempts::Attempts;

/// Number of entries that are handled concurrently. Together they must fit into the memory of the function.
const CONCURRENT_ENTRIES: usize = 4;

/// Handles the messages of the queues of enrichment.
pub struct EntryMessages<Ports: PortSet> {
    enrichment: Enrichment<Ports>,
    batches: QueueBatches<Ports>,
    metrics: Arc<Metrics>,
    traces: Arc<EventTraces>,
    attempts: Attempts,
}

impl<Ports: PortSet> EntryMessages<Ports> {
    /// Creates the handler. It remembers what it delivered of entries that failed in part.
    pub fn new(
        enrichment: Enrichment<Ports>,
        delay: Ports::MessageDelay,
        randomness: Ports::Randomness,
        metrics: Arc<Metrics>,
        traces: Arc<EventTraces>,
    ) -> Self {
        // An entry that is dropped at the deadline is repeated, as after any other failure.
        let batches = QueueBatches { delay, randomness, concurrent: CONCURRENT_ENTRIES, min_time: Duration::ZERO };
        Self { enrichment, batches, metrics, traces, attempts: Attempts::default() }
    }

    /// Handles a batch and returns the messages to deliver again. Those that are not handled by the deadline are among them.
    pub async fn handle(&self, event: SqsEvent, deadline: Deadline) -> BatchItemFailures {
        let failures = self.batches.process(event, deadline, |message| self.deliver(message)).await;
        if failures.message_ids().next().is_some() {
            self.attempts.trim();
        }
        failures
    }

    /// Delivers the entry in a message. Returns whether all of it is delivered.
    async fn deliver(&self, SqsMessage { message_id, body, .. }: SqsMessage) -> bool {
        let entry: BusEvent = match serde_json::from_str(&body) {
            Ok(entry) => entry,
            Err(error) => {
                tracing::error!(message_id, "message {message_id} is not an entry of the ingest bus: {error}");
                return false;
            }
        };
        drop(body);
        let events: Vec<&str> = entry.events().collect();
        let progress = self.attempts.progress(&message_id);
        let delivered = self.enrichment.deliver_rest(&events, &progress).await;
        let counts = delivered.as_ref().unwrap_or_else(|incomplete| &incomplete.counts);
        let (metrics, traces) = (&self.metrics, &self.traces);
        metrics.record(Metric::EventsDelivered, counts.events_delivered);
        metrics.record(Metric::EventsDeliveredLate, counts.events_delivered_late);
        metrics.record(Metric::EntriesPublished, counts.entries_published);
        traces.add(TraceHop::Enrichment, &counts.trace_candidates);
        for failure in delivered.as_ref().err().into_iter().flat_map(|incomplete| &incomplete.failures) {
            let (entry_id, error) = (&entry.id, logging::error_chain(failure));
            tracing::error!(entry_id, error, "a part of entry {entry_id} was not delivered: {error}");
        }
        if delivered.is_ok() {
            self.attempts.forget(&message_id);
        }
        delivered.is_ok()
    }
}
