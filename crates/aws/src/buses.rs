//! The event buses: `EventBridge`.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use futures::stream::{self, StreamExt};
use roadcast_ports::PortError;
use roadcast_ports::bus::{Batch, DeliveryBus, ENTRY_BYTES, FleetBatch, IngestBus, entry_bytes};

use crate::backoff;
use crate::per_entry::{EntryFailure, RequestLimits, SharedFailure, requests, too_large};
use crate::sdk_error::{kind_of, kind_of_code};

const PUBLISH: &str = "publishing to a bus";
const INGEST: &str = "roadcast.ingest";
const DELIVERY: &str = "roadcast.delivery";
const DETAIL_TYPE: &str = "roadcast.events.v1";
/// Entries are packed into requests of at most 256 KiB, although 1 MB is taken: a failed request is sent again whole. A larger
/// entry, one event from a rich upload, goes alone.
const LIMITS: RequestLimits = RequestLimits { entries: 10, bytes: 256 * 1024 };
const REQUESTS_AT_ONCE: usize = 4;
const TRIES: u32 = 4;

/// The bus from the stream-processor to enrichment.
#[derive(Clone, Debug)]
pub struct EventBridgeIngestBus {
    client: Client,
    bus: String,
}

impl EventBridgeIngestBus {
    /// The bus of that name or ARN.
    pub fn new(client: Client, bus: impl Into<String>) -> Self {
        Self { client, bus: bus.into() }
    }
}

impl IngestBus for EventBridgeIngestBus {
    async fn publish(&self, entries: &[Batch]) -> Vec<Result<(), PortError>> {
        let entries: Vec<BusEntry<'_>> = entries.iter().map(|batch| BusEntry::ingest(&self.bus, batch)).collect();
        publish(&self.client, &entries).await
    }
}

/// The buses from enrichment to the fleets' queues: each entry names its own.
#[derive(Clone, Debug)]
pub struct EventBridgeDeliveryBus {
    client: Client,
}

impl EventBridgeDeliveryBus {
    /// Publishes to the buses that its entries name.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl DeliveryBus for EventBridgeDeliveryBus {
    async fn publish(&self, entries: &[FleetBatch]) -> Vec<Result<(), PortError>> {
        let entries: Vec<BusEntry<'_>> = entries.iter().map(BusEntry::delivery).collect();
        publish(&self.client, &entries).await
    }
}

/// Puts the events' texts together as they are: they are JSON already, and parsing them again is what costs.
fn detail(before: &str, events: &[String]) -> String {
    let length = events.iter().map(|event| event.len() + 1).sum::<usize>();
    let mut detail = String::with_capacity(before.len() + length + 16);
    detail.push('{');
    detail.push_str(before);
    detail.push_str(r#""events":["#);
    for (place, event) in events.iter().enumerate() {
        if place > 0 {
            detail.push(',');
        }
        detail.push_str(event);
    }
    detail.push_str("]}");
    detail
}

/// An entry as it is put onto a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusEntry<'b> {
    /// The bus, by name or ARN.
    pub bus: &'b str,
    /// Who puts it there.
    pub source: &'static str,
    /// What it is.
    pub detail_type: &'static str,
    /// What it holds, in JSON.
    pub detail: String,
    /// Bytes of the entry, as the port counts them.
    bytes: usize,
}

impl<'b> BusEntry<'b> {
    /// From the stream-processor to enrichment.
    pub fn ingest(bus: &'b str, batch: &Batch) -> Self {
        let (detail, bytes) = (detail("", &batch.events), entry_bytes(&batch.events));
        Self { bus, source: INGEST, detail_type: DETAIL_TYPE, detail, bytes }
    }

    /// From enrichment to a fleet's queue.
    pub fn delivery(batch: &'b FleetBatch) -> Self {
        let detail = detail(&format!(r#""fleetId":"{}","#, batch.fleet_id), &batch.events);
        let bytes = entry_bytes(&batch.events);
        Self { bus: &batch.bus, source: DELIVERY, detail_type: DETAIL_TYPE, detail, bytes }
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
    let mut answers: Vec<Result<(), PortError>> = entries
        .iter()
        .map(|entry| entry.bytes)
        .map(|bytes| if bytes > ENTRY_BYTES { Err(too_large(PUBLISH, bytes, ENTRY_BYTES)) } else { Ok(()) })
        .collect();
    let fitting: Vec<usize> = (0..entries.len()).filter(|place| answers[*place].is_ok()).collect();
    let sizes: Vec<usize> = fitting.iter().map(|place| entries[*place].bytes).collect();
    let requests: Vec<Vec<usize>> = requests(&sizes, LIMITS).into_iter().map(|request| fitting[request].to_vec()).collect();
    let answered: Vec<Vec<(usize, Result<(), PortError>)>> = stream::iter(requests)
        .map(|places| publish_request(client, entries, places))
        .buffer_unordered(REQUESTS_AT_ONCE)
        .collect()
        .await;
    for (place, answer) in answered.into_iter().flatten() {
        answers[place] = answer;
    }
    answers
}

/// Publishes the entries at `places`, and again those that failed for reasons that pass.
async fn publish_request(
    client: &Client,
    entries: &[BusEntry<'_>],
    places: Vec<usize>,
) -> Vec<(usize, Result<(), PortError>)> {
    let mut answered = Vec::with_capacity(places.len());
    let mut left = places;
    for attempt in 1..=TRIES {
        let request = left.iter().map(|place| entries[*place].to_request()).collect();
        let results = match client.put_events().set_entries(Some(request)).send().await {
            Ok(answer) => answer.entries.unwrap_or_default(),
            Err(error) => {
                let failure = SharedFailure::new(kind_of(&error), PUBLISH, error);
                answered.extend(left.into_iter().map(|place| (place, Err(failure.to_error()))));
                return answered;
            }
        };
        let results = results.into_iter().map(answer_of).chain(std::iter::repeat_with(|| Err(unanswered())));
        let (again, done): (Vec<_>, Vec<_>) = left
            .into_iter()
            .zip(results)
            .partition(|(_, answer)| attempt < TRIES && answer.as_ref().is_err_and(PortError::is_retryable));
        answered.extend(done);
        if again.is_empty() {
            return answered;
        }
        left = again.into_iter().map(|(place, _)| place).collect();
        backoff::wait(attempt + 1).await;
    }
    answered
}

fn answer_of(result: PutEventsResultEntry) -> Result<(), PortError> {
    let Some(code) = result.error_code else { return Ok(()) };
    let kind = kind_of_code(&code);
    Err(EntryFailure { code, message: result.error_message.unwrap_or_default() }.into_error(kind, PUBLISH))
}

fn unanswered() -> PortError {
    let message = "the service answered fewer entries than it was given".to_owned();
    EntryFailure { code: "Unanswered".to_owned(), message }.into_error(kind_of_code("InternalFailure"), PUBLISH)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::ids::FleetId;
    use roadcast_ports::PortErrorKind;
    use serde_json::json;

    use super::*;

    #[test]
    fn details_are_objects_that_hold_the_events_as_they_were_given() {
        let events = [r#"{"id":"1","data":{"v":1.50}}"#.to_owned(), r#"{"id":"2"}"#.to_owned()];
        assert_eq!(detail("", &events), r#"{"events":[{"id":"1","data":{"v":1.50}},{"id":"2"}]}"#);
        let of_fleet: serde_json::Value = serde_json::from_str(&detail(r#""fleetId":"flt_a","#, &events)).unwrap();
        assert_eq!(of_fleet["fleetId"], "flt_a");
        assert_eq!(of_fleet["events"][1], json!({"id": "2"}));
        assert_eq!(detail("", &[]), r#"{"events":[]}"#);
    }

    #[test]
    fn the_service_counts_no_more_bytes_than_the_port() {
        // PutEvents counts 14 for the time.
        let counted = |entry: &BusEntry<'_>| 14 + entry.source.len() + entry.detail_type.len() + entry.detail.len();
        for events in [vec![], vec!["{}".to_owned()], vec!["{}".to_owned(); 40]] {
            let batch = Batch { events: events.clone() };
            let entry = BusEntry::ingest("bus", &batch);
            assert!(counted(&entry) <= entry.bytes);
            let fleet_batch = FleetBatch { fleet_id: FleetId::from_random(u128::MAX), bus: "bus".to_owned(), events };
            let entry = BusEntry::delivery(&fleet_batch);
            assert!(counted(&entry) <= entry.bytes);
        }
    }

    #[test]
    fn an_entrys_answer_is_its_own_and_says_whether_to_try_again() {
        let failed = |code: &str| answer_of(PutEventsResultEntry::builder().error_code(code).build()).map_err(|e| e.kind());
        assert_eq!(failed("ThrottlingException"), Err(PortErrorKind::Throttled));
        assert_eq!(failed("InternalFailure"), Err(PortErrorKind::Unavailable));
        assert_eq!(failed("MalformedDetail"), Err(PortErrorKind::Rejected));
        assert!(answer_of(PutEventsResultEntry::builder().event_id("1").build()).is_ok());
    }
}
