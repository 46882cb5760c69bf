//! Invocations of the functions of a deployment, from the Lambda event on, as their mappings make them.

use std::time::Duration;

use roadcast_aws_model::event_source_mapping::{BatchResponse, kinesis_event};
use roadcast_aws_model::queue_mapping::bus_event;
use roadcast_lambda_kit::eventbridge::BusEvent;
use roadcast_lambda_kit::kinesis::KinesisEvent;
use roadcast_lambda_kit::sqs::SqsEvent;
use roadcast_ports::bus::Batch;
use roadcast_ports::clock::Clock as _;
use roadcast_testbed::{QueuedMessage, ShardRecord};

use super::Deployment;
use crate::cpu_time::thread_cpu_time;

/// An invocation of the stream processor.
pub(crate) struct Processed {
    pub(crate) response: BatchResponse,
    pub(crate) samples_stored: usize,
    pub(crate) cpu_time: Duration,
}

impl Deployment {
    /// Runs a batch of the stream processor.
    pub(crate) async fn process(&self, records: &[ShardRecord]) -> Processed {
        let event = kinesis_event(records);
        let started = thread_cpu_time();
        let mut processed = Processed { response: BatchResponse::success(), samples_stored: 0, cpu_time: Duration::ZERO };
        let Ok(event) = serde_json::from_str::<KinesisEvent>(&event) else { return processed };
        let batch = event.into_batch(self.clock.now());
        let outcome = self.processor.process_batch(&batch.records).await;
        processed.cpu_time = thread_cpu_time().saturating_sub(started);
        if let Some(index) = outcome.retry_from {
            processed.response = BatchResponse::failed_from(records[index].sequence_number.clone());
        }
        processed.samples_stored = outcome.counts.samples_stored;
        processed
    }

    /// Runs a batch of enrichment. Returns whether all of it is delivered.
    pub(crate) async fn enrich(&self, event: &str) -> bool {
        let Ok(event) = serde_json::from_str::<SqsEvent>(event) else { return false };
        for message in event.records {
            let Ok(entry) = serde_json::from_str::<BusEvent>(&message.body) else { return false };
            let events: Vec<&str> = entry.events().collect();
            if self.enrichment.deliver(&events).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Returns an entry of the bus as the rule of its lane sends it to the queue of enrichment.
pub(crate) fn queued_entry(entry: &Batch) -> QueuedMessage {
    let id = "12345678-90ab-cdef-1234-567890abcdef".to_owned();
    let body = bus_event(&id, "roadcast.ingest", entry.lane.detail_type(), &entry.events);
    QueuedMessage { receipt_handle: id.clone(), message_id: id, body, receive_count: 1 }
}
