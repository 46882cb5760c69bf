//! The ingest bus and the delivery buses.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use roadcast_codec::alert_notice::{self, NOTICE_DETAIL_TYPE};
use roadcast_codec::bus_entry::{DELIVERY_SOURCE, INGEST_SOURCE};
use roadcast_domain::alert_notice::AlertNotice;
use roadcast_ports::alert_notices::NoticeBus;
use roadcast_ports::bus::{Batch, DeliveryBus, ENTRY_BYTES, FleetBatch, IngestBus, entry_bytes};
use roadcast_ports::{PortError, PortErrorKind};

use crate::batch_requests::{BatchOperation, RequestError, RequestLimits, RequestResult, entry_result};
use crate::sdk::LazyClient;
use crate::sdk_error::kind_of;

const PUBLISH: BatchOperation = BatchOperation {
    context: "publishing to a bus",
    max_entry_bytes: ENTRY_BYTES,
    // Requests hold at most 256 KiB of entries, although 1 MB is allowed, because a failed request is resent entirely. A
    // larger entry, one event from a large upload, is sent in a request of its own.
    limits: RequestLimits { entries: 10, bytes: 256 * 1024 },
    max_concurrent_requests: 4,
    max_attempts: 4,
};
const DELIVERED: &str = "roadcast.events.v1";

/// The bus from the stream processor to enrichment.
#[derive(Clone, Debug)]
pub struct EventBridgeIngestBus {
    client: LazyClient<Client>,
    bus: String,
}

impl EventBridgeIngestBus {
    /// Creates the adapter for the bus of the given name or ARN.
    pub fn new(client: LazyClient<Client>, bus: impl Into<String>) -> Self {
        Self { client, bus: bus.into() }
    }
}

impl IngestBus for EventBridgeIngestBus {
    async fn publish(&self, entries: &[Batch]) -> Vec<Result<(), PortError>> {
        let entries: Vec<BusEntry<'_>> = entries.iter().map(|batch| BusEntry::ingest(&self.bus, batch)).collect();
        publish(&self.client, &entries).await
    }
}

impl NoticeBus for EventBridgeIngestBus {
    async fn put(&self, notice: &AlertNotice) -> Result<(), PortError> {
        let entry = BusEntry::notice(&self.bus, notice);
        let entry = entry.map_err(|error| PortError::new(PortErrorKind::Internal, PUBLISH.context).caused_by(error))?;
        publish(&self.client, &[entry]).await.into_iter().collect()
    }
}

/// The buses from enrichment to the queues of the fleets. Each entry names its bus.
#[derive(Clone, Debug)]
pub struct EventBridgeDeliveryBus {
    client: LazyClient<Client>,
}

impl EventBridgeDeliveryBus {
    /// Creates the adapter.
    pub fn new(client: LazyClient<Client>) -> Self {
        Self { client }
    }
}

impl DeliveryBus for EventBridgeDeliveryBus {
    async fn publish(&self, entries: &[FleetBatch]) -> Vec<Result<(), PortError>> {
        let entries: Vec<BusEntry<'_>> = entries.iter().map(BusEntry::delivery).collect();
        publish(&self.client, &entries).await
    }
}

/// Concatenates the events without parsing them: they are JSON already, and parsing dominates the cost.
fn detail(first_members: &str, events: &[String]) -> String {
    let length = events.iter().map(|event| event.len() + 1).sum::<usize>();
    let mut detail = String::with_capacity(first_members.len() + length + 16);
    detail.push('{');
    detail.push_str(first_members);
    detail.push_str(r#""events":["#);
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            detail.push(',');
        }
        detail.push_str(event);
    }
    detail.push_str("]}");
    detail
}

/// An entry as put on a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusEntry<'b> {
    /// The bus, by name or ARN.
    pub bus: &'b str,
    /// The sender.
    pub source: &'static str,
    /// The type of the detail.
    pub detail_type: &'static str,
    /// The detail, a JSON object.
    pub detail: String,
    /// The size of the entry in bytes, as the port counts it.
    bytes: usize,
}

impl<'b> BusEntry<'b> {
    /// An entry from the stream processor to enrichment.
    pub fn ingest(bus: &'b str, batch: &Batch) -> Self {
        // Present only if it is true, so that a rule matches it and other entries do not grow.
        let mark = if batch.for_notices { r#""notice":true,"# } else { "" };
        let (detail, bytes) = (detail(mark, &batch.events), entry_bytes(&batch.events));
        Self { bus, source: INGEST_SOURCE, detail_type: batch.lane.detail_type(), detail, bytes }
    }

    /// A notice of an alert of the operator, for rules that send it to incident tools.
    pub fn notice(bus: &'b str, notice: &AlertNotice) -> serde_json::Result<Self> {
        let detail = alert_notice::encode(notice)?;
        let bytes = entry_bytes(std::slice::from_ref(&detail));
        Ok(Self { bus, source: INGEST_SOURCE, detail_type: NOTICE_DETAIL_TYPE, detail, bytes })
    }

    /// An entry from enrichment to a fleet's queue.
    pub fn delivery(batch: &'b FleetBatch) -> Self {
        // Present only if it is true, so that a rule matches it and other entries do not grow.
        let mark = if batch.for_webhooks { r#""webhook":true,"# } else { "" };
        let detail = detail(&format!(r#""fleetId":"{}",{mark}"#, batch.fleet_id), &batch.events);
        let bytes = entry_bytes(&batch.events);
        Self { bus: &batch.bus, source: DELIVERY_SOURCE, detail_type: DELIVERED, detail, bytes }
    }

    fn to_request(&self) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(self.bus)
            .source(self.source)
            .detail_type(self.detail_type)
            .detail(&self.detail)
            .build()
    }
}

async fn publish(client: &Client, entries: &[BusEntry<'_>]) -> Vec<Result<(), PortError>> {
    let sizes: Vec<usize> = entries.iter().map(|entry| entry.bytes).collect();
    PUBLISH.send(&sizes, |indexes| put_events(client, entries, indexes)).await
}

/// Publishes the entries at `indexes` with one request.
async fn put_events(client: &Client, entries: &[BusEntry<'_>], indexes: Vec<usize>) -> RequestResult {
    let request = indexes.into_iter().map(|index| entries[index].to_request()).collect();
    let output = client.put_events().set_entries(Some(request)).send().await;
    let output = output.map_err(|error| RequestError::new(kind_of(&error), PUBLISH.context, error))?;
    Ok(output.entries.unwrap_or_default().into_iter().map(event_result).collect())
}

fn event_result(result: PutEventsResultEntry) -> Result<(), PortError> {
    entry_result(result.error_code, result.error_message, PUBLISH.context)
}

#[cfg(test)]
mod tests;
