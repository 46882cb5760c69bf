//! The stream processor, 512 MiB, and what it publishes: enrichment and the feed, 256 MiB each.

use std::sync::Arc;

use roadcast_aws_model::queue_mapping::{bus_event, queue_event};
use roadcast_codec::stream_record;
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_domain::plan::Plan;
use roadcast_enrichment::EntryMessages;
use roadcast_lambda_kit::deadline::Deadline;
use roadcast_lambda_kit::event_traces::EventTraces;
use roadcast_lambda_kit::metrics::Metrics;
use roadcast_lambda_kit::sqs::SqsEvent;
use roadcast_ports::PortError;
use roadcast_ports::archive::{Archive, Quarantine, QuarantinedItem, RawBatch, RawRecord};
use roadcast_ports::bus::Batch;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::feed::ReceiveOptions;
use roadcast_services::authz::{Admin, FleetOwner, Proof as _};
use roadcast_services::cache::{CachedEntitlements, CachedFleets, CachedSubjects};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::delivery::enrichment::Enrichment;
use roadcast_services::delivery::feed::FeedReader;
use roadcast_services::fleets::provisioning::{Provisioning, Step, Task};
use roadcast_services::fleets::{Onboarding, SubscriptionRequest};
use roadcast_services::stream::{AlertReader, EventStore, EventValidator, Publisher, RecentEvents, Record, StreamProcessor};
use roadcast_testbed::{InFlight, InMemory, Memory, MemoryQueue, QueuedMessage, SeededRandomness, port_set};
use serde_json::json;

use crate::fixture::{Fixture, START, block_event, numbers, samples};
use crate::peak::{MIB, assert_peak, peak};

const STREAM_BOUND: usize = 256 * MIB;
const DELIVERY_BOUND: usize = 64 * MIB;
const FEED_BOUND: usize = 128 * MIB;

/// An archive and a quarantine that keep nothing.
#[derive(Clone)]
struct Discard;

impl Archive for Discard {
    async fn store(&self, _: &RawBatch) -> Result<(), PortError> {
        Ok(())
    }
}

impl Quarantine for Discard {
    async fn store(&self, _: &[QuarantinedItem]) -> Result<(), PortError> {
        Ok(())
    }
}

port_set! {
    enum WithDiscard {
        Archive = Discard;
        Quarantine = Discard;
    }
}

port_set! {
    /// Ports that yield once per call, so that the entries of a batch are handled concurrently.
    enum WithWaits {
        DeliveryBus = InFlight<Memory>;
        Entitlements = InFlight<Memory>;
        FeedIndex = InFlight<Memory>;
    }
}

fn processor(fixture: &Fixture) -> StreamProcessor<WithDiscard> {
    let (m, k) = (|| fixture.memory.clone(), || fixture.clock.clone());
    StreamProcessor {
        archive: Discard,
        quarantine: Discard,
        validator: EventValidator { subjects: CachedSubjects::new(m(), k()), schemas: CachedSchemas::new(m(), k()) },
        alerts: AlertReader { secrets: m() },
        publisher: Publisher { entitlements: CachedEntitlements::new(m(), k()), bus: m(), clock: k() },
        store: EventStore { state: m(), log: fixture.log(), recent: RecentEvents::default() },
        clock: k(),
    }
}

fn record(fixture: &Fixture, number: usize, text: &str) -> Record {
    let (sequence_number, data) = (number.to_string(), stream_record::compress(text));
    let partition_key = fixture.vid.to_string();
    let raw = RawRecord { sequence_number, partition_key, arrived_at: fixture.clock.now(), data };
    Record { shard: "shard".to_owned(), raw: raw.into() }
}

/// Records of 30 blocks each, which unpack to the limit of a record.
fn records_of_blocks(fixture: &Fixture, records: usize) -> Vec<Record> {
    let block = samples(500, 0, 590, |_| numbers(120, 0));
    let text = |record: usize| {
        let events: Vec<String> = (0..30).map(|n| block_event(&format!("{record}-{n}"), &block)).collect();
        format!("[{}]", events.join(","))
    };
    (0..records).map(|n| record(fixture, n, &text(n))).collect()
}

/// Records that decode to as much as the limits allow.
pub(crate) fn hostile_records(fixture: &Fixture) -> Vec<Record> {
    let mut records = records_of_blocks(fixture, 2);
    // Samples of few bytes, up to the limit of a decompressed record.
    let data = vec![format!(r#"{{"at":"{START}","signals":{{"a":1}}}}"#); 500].join(",");
    let event = |record: usize, n: usize| {
        format!(
            r#"{{"specversion":"1.0","id":"{record}-{n}","source":"s","type":"roadcast.telemetry.v1","time":"{START}","data":{{"samples":[{data}]}}}}"#
        )
    };
    for number in 2..4 {
        let events: Vec<String> = (0..160).map(|n| event(number, n)).collect();
        records.push(record(fixture, number, &format!("[{}]", events.join(","))));
    }
    records
}

#[test]
fn batch_of_hostile_records_is_bounded() {
    let fixture = peak(Fixture::new()).0;
    let records = hostile_records(&fixture);
    let processor = processor(&fixture);
    let outcome = assert_peak("batch of hostile records", STREAM_BOUND, processor.process_batch(&records));
    assert_eq!(outcome.retry_from, None);
    // All of them again: they are looked up by id.
    let outcome = assert_peak("the same batch again", STREAM_BOUND, processor.process_batch(&records));
    assert_eq!((outcome.retry_from, outcome.counts.samples_stored), (None, 0));
}

/// Creates a fleet with a subscription to the vehicle.
async fn subscribe(fixture: &Fixture, format: &str) -> FleetId {
    let (m, k) = (|| fixture.memory.clone(), || fixture.clock.clone());
    let admin = Admin::prove(&Caller::Admin(ClientId::new("admin"))).unwrap();
    let onboarding = Onboarding::<InMemory> {
        fleets: m(),
        clients: m(),
        app_clients: m(),
        subscriptions: m(),
        vehicles: m(),
        entitlements: m(),
        workflow: m(),
        delivery_buses: roadcast_services::fleets::DeliveryBuses { first: "delivery".to_owned(), rules_per_bus: 300 },
        first_admin: None,
        clock: k(),
        randomness: SeededRandomness::new(2),
    };
    let fleet_id = onboarding.create_fleet(&admin, "A fleet", Plan::Standard).await.unwrap().fleet_id;
    let packages = ["telematics", "track-and-trace", "diagnostics", "alerts", "ev-battery"];
    let request = json!({"vehicles": [fixture.vid], "packages": packages, "deliveryFormat": format});
    let request: SubscriptionRequest = serde_json::from_value(request).unwrap();
    let subscription = onboarding.subscribe(&admin, &fleet_id, request).await.unwrap();
    let provisioning = Provisioning::<InMemory> {
        fleets: m(),
        clients: m(),
        app_clients: m(),
        subscriptions: m(),
        channel: m(),
        prober: roadcast_services::fleets::FeedProber {
            proofs: m(),
            bus: m(),
            queue: m(),
            clock: k(),
            randomness: SeededRandomness::new(5),
            wait_seconds: 0,
        },
        clock: k(),
    };
    for step in [Step::EnsureQueue, Step::EnsureRule, Step::EnsureClient, Step::Activate] {
        fixture.memory.mark_feed_proven(&fleet_id);
        let (fleet_id, subscription_id) = (fleet_id.clone(), subscription.subscription_id.clone());
        provisioning.step(&Task { step, fleet_id, subscription_id, attempt: 1, error: None }).await.unwrap();
    }
    fleet_id
}

/// Returns the event of a mapping with these entries, filled up with the same entries to the 6 MB at which Lambda ends a batch.
pub(crate) fn batch_event(entries: &[Batch]) -> String {
    let message = |(number, entry): (usize, &Batch)| QueuedMessage {
        message_id: number.to_string(),
        receipt_handle: number.to_string(),
        body: bus_event(&number.to_string(), "roadcast.ingest", entry.lane.detail_type(), &entry.events),
        receive_count: 1,
    };
    let messages: Vec<QueuedMessage> = entries.iter().cycle().take(10).enumerate().map(message).collect();
    let fitting = (1..=messages.len()).rev().find(|count| queue_event("arn", &messages[..*count]).len() <= 6 * MIB);
    queue_event("arn", &messages[..fitting.unwrap_or(1)])
}

#[test]
fn delivery_of_blocks_that_unpack_wide_is_bounded() {
    for format in ["json", "blocks"] {
        let fixture = peak(Fixture::new()).0;
        let fleet_id = peak(subscribe(&fixture, format)).0;
        let records = records_of_blocks(&fixture, 1);
        let processor = processor(&fixture);
        let outcome = assert_peak("batch with a subscriber", STREAM_BOUND, processor.process_batch(&records));
        assert_eq!(outcome.retry_from, None);
        let (m, k) = (|| fixture.memory.clone(), || fixture.clock.clone());
        let waiting = || InFlight::new(fixture.memory.clone());
        let enrichment = EntryMessages::<WithWaits>::new(
            Enrichment {
                entitlements: CachedEntitlements::new(waiting(), k()),
                fleets: CachedFleets::new(m(), k()),
                bus: waiting(),
                index: waiting(),
                clock: k(),
            },
            MemoryQueue::default(),
            SeededRandomness::new(3),
            Arc::new(Metrics::new("enrichment", "test")),
            Arc::new(EventTraces::disabled()),
        );
        let published = fixture.memory.take_published();
        for batch in published.chunks(10) {
            let event = peak(async { batch_event(batch) }).0;
            let handled = async {
                let event: SqsEvent = serde_json::from_str(&event).unwrap();
                enrichment.handle(event, Deadline::default()).await.message_ids().count()
            };
            assert_eq!(assert_peak("ten entries of the ingest bus", DELIVERY_BOUND, handled), 0);
        }
        let feed = FeedReader::<InMemory> { queue: m(), entitlements: CachedEntitlements::new(m(), k()), clock: k() };
        let owner = FleetOwner::prove(&Caller::Fleet(fleet_id.clone())).unwrap();
        let read = async {
            let batch = feed.read(&owner, ReceiveOptions::default()).await.unwrap();
            (batch.events.len(), batch.cloud_events().unwrap().len(), batch.ack_handles)
        };
        let (events, cloud_events, ack_handles) = assert_peak("ten messages of a feed", FEED_BOUND, read);
        assert!(events > 0 && cloud_events > 0 && !ack_handles.is_empty());
    }
}
