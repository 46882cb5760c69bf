//! The whole road in memory: uploads in, processed by the model of the mapping, enriched, and drained out of a feed.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use roadcast_aws_model::event_source_mapping::{BatchResponse, EventSourceMapping, MappingConfig};
use roadcast_codec::bus_entry;
use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::{Body, Event, EventType, StoredEvent};
use roadcast_domain::ids::{ClientId, Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::plan::Plan;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_domain::vehicle::{ExternalId, VehicleDetails};
use roadcast_event_log::{LogItem, SegmentedLog};
use roadcast_ports::archive::RawRecord;
use roadcast_services::cache::{CachedClients, CachedEntitlements, CachedFleets, CachedSubjects, CachedVehicles};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::delivery::enrichment::Enrichment;
use roadcast_services::delivery::feed::{Feed, FeedReader};
use roadcast_services::fleets::provisioning::{Provisioning, Step, Task};
use roadcast_services::fleets::{self, SubscriptionRequest};
use roadcast_services::ingest::Ingest;
use roadcast_services::query::VehicleQueries;
use roadcast_services::query::arrivals::Arrivals;
use roadcast_services::stream::{RecentEvents, Record, StreamProcessor};
use roadcast_services::vehicles::registry::VehicleRegistry;
use roadcast_testbed::{Fault, FaultPlan, Faulty, ManualClock, Memory, MemoryItems, SeededRandomness, StreamRecordIn};
use serde_json::json;

/// The stream processor in a world that fails.
type FailingProcess = StreamProcessor<
    Faulty<Memory>,
    Faulty<Memory>,
    Memory,
    Faulty<Memory>,
    Faulty<Memory>,
    Faulty<Memory>,
    SegmentedLog<Faulty<MemoryItems>>,
    Faulty<Memory>,
    ManualClock,
>;

/// Onboarding with subscriptions that fail, or do not.
pub(crate) type Onboarding =
    fleets::Onboarding<Memory, Memory, Memory, Faulty<Memory>, Memory, Memory, Memory, ManualClock, SeededRandomness>;

/// Noon of a day: the clock's start.
pub(crate) const NOON: &str = "2026-01-01T12:00:00Z";

pub(crate) struct World {
    pub(crate) memory: Memory,
    pub(crate) clock: ManualClock,
    pub(crate) items: MemoryItems,
    /// The form that new subscriptions ask for.
    pub(crate) delivery_format: DeliveryFormat,
    seed: u64,
}

pub(crate) fn admin() -> Caller {
    Caller::Admin(ClientId::new("admin"))
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let clock = ManualClock::at(Timestamp::parse_rfc3339(NOON).unwrap());
        let memory = Memory::with_shards(clock.clone(), 2);
        let delivery_format = if seed.is_multiple_of(2) { DeliveryFormat::Blocks } else { DeliveryFormat::Json };
        Self { memory, clock, items: MemoryItems::default(), delivery_format, seed }
    }

    pub(crate) async fn vehicle(&self, name: &str) -> VehicleId {
        let register = VehicleRegistry {
            vehicles: self.memory.clone(),
            entitlements: self.memory.clone(),
            clock: self.clock.clone(),
            randomness: SeededRandomness::new(self.seed ^ name.bytes().map(u64::from).sum::<u64>()),
        };
        let details =
            VehicleDetails { external_ids: vec![ExternalId::new("test", name).unwrap()], ..VehicleDetails::default() };
        register.register(&admin(), details).await.unwrap().0.vid
    }

    /// A fleet with a subscription that is provisioned to `active`.
    pub(crate) async fn fleet(&self, vehicles: &[VehicleId], packages: &[&str]) -> FleetId {
        let fleet_id = self.onboard().create_fleet(&admin(), "A fleet", Plan::Standard).await.unwrap().fleet_id;
        if vehicles.is_empty() {
            return fleet_id;
        }
        let request = SubscriptionRequest {
            vehicles: vehicles.to_vec(),
            packages: packages.iter().map(|&name| name.to_owned()).collect(),
            delivery_format: self.delivery_format,
            valid_from: None,
            valid_until: None,
        };
        self.subscribe(&fleet_id, request).await;
        fleet_id
    }

    pub(crate) fn onboard(&self) -> Onboarding {
        self.onboard_with(FaultPlan::healthy())
    }

    /// Onboarding whose subscriptions fail by that plan.
    pub(crate) fn onboard_with(&self, plan: FaultPlan) -> Onboarding {
        let memory = || self.memory.clone();
        Onboarding {
            fleets: memory(),
            clients: memory(),
            app_clients: memory(),
            subscriptions: Faulty::new(memory(), plan),
            vehicles: memory(),
            entitlements: memory(),
            workflow: memory(),
            delivery_bus: "delivery".to_owned(),
            clock: self.clock.clone(),
            randomness: SeededRandomness::new(self.seed ^ (self.memory.workflows().len() as u64 + 77)),
        }
    }

    /// A subscription that is provisioned to `active`.
    pub(crate) async fn subscribe(&self, fleet_id: &FleetId, request: SubscriptionRequest) -> SubscriptionId {
        let memory = || self.memory.clone();
        let onboard = self.onboard();
        let subscription = onboard.subscribe(&admin(), fleet_id, request).await.unwrap();
        let provision = Provisioning {
            fleets: memory(),
            clients: memory(),
            app_clients: memory(),
            subscriptions: memory(),
            channel: memory(),
            clock: self.clock.clone(),
        };
        // Some steps twice: a workflow may repeat them.
        let steps = [Step::EnsureQueue, Step::EnsureRule, Step::EnsureRule, Step::EnsureClient, Step::EnsureClient];
        for step in steps.into_iter().chain([Step::Activate, Step::Activate]) {
            let subscription_id = subscription.subscription_id.clone();
            provision
                .step(&Task { step, fleet_id: fleet_id.clone(), subscription_id, attempt: 1, error: None })
                .await
                .unwrap();
        }
        let seen = onboard.subscription(&Caller::Fleet(fleet_id.clone()), fleet_id, &subscription.subscription_id).await;
        assert_eq!(serde_json::to_value(seen.unwrap().state).unwrap(), json!("active"));
        subscription.subscription_id
    }

    pub(crate) fn ingest(&self) -> Ingest<Memory, Memory, Memory, Memory, ManualClock> {
        Ingest {
            vehicles: CachedVehicles::new(self.memory.clone(), self.clock.clone()),
            clients: CachedClients::new(self.memory.clone(), self.clock.clone()),
            stream: self.memory.clone(),
            schemas: CachedSchemas::new(self.memory.clone(), self.clock.clone()),
            clock: self.clock.clone(),
        }
    }

    /// An upload of one event with these samples: seconds before noon, and a speed.
    pub(crate) async fn upload(&self, vid: &VehicleId, id: &str, samples: &[(i64, f64)]) {
        self.ingest().upload(&admin(), vid, &event(id, samples).to_string()).await.unwrap();
    }

    /// Processes and enriches all there is, under these faults, until nothing is left to do.
    pub(crate) async fn settle(&self, faults: impl Fn(u64) -> FaultPlan) {
        let process = self.process(&|n| faults(self.seed.wrapping_add(n)));
        let config = MappingConfig { batch_size: 3, report_batch_item_failures: true, ..MappingConfig::default() };
        let mut mapping = EventSourceMapping::new(config, self.memory.stream().clone(), self.clock.clone());
        mapping
            .drain(&async |records: Vec<StreamRecordIn>| -> Result<BatchResponse, Infallible> {
                let records: Vec<Record> = records.into_iter().map(record).collect();
                let outcome = process.batch(&records).await;
                Ok(match outcome.retry_from {
                    Some(place) => BatchResponse::from_record_on(records[place].raw.sequence_number.clone()),
                    None => BatchResponse::success(),
                })
            })
            .await;
        assert!(mapping.discarded().is_empty(), "nothing may be given up");
        self.enrich(&faults).await;
    }

    fn process(&self, plan: &impl Fn(u64) -> FaultPlan) -> FailingProcess {
        let failing = |n| Faulty::new(self.memory.clone(), plan(n));
        StreamProcessor {
            archive: failing(1),
            quarantine: failing(2),
            subjects: CachedSubjects::new(self.memory.clone(), self.clock.clone()),
            entitlements: CachedEntitlements::new(failing(3), self.clock.clone()),
            bus: failing(4),
            state: failing(5),
            log: SegmentedLog { items: Faulty::new(self.items.clone(), plan(6)) },
            schemas: CachedSchemas::new(failing(8), self.clock.clone()),
            recent: RecentEvents::default(),
            clock: self.clock.clone(),
        }
    }

    /// Processes all there is once, with a log that takes nothing, and enriches what was published. The records come again
    /// with the next [`settle`](Self::settle).
    pub(crate) async fn process_without_log(&self) {
        let log_fails = |n| if n == 6 { FaultPlan::always(Fault::Unavailable) } else { FaultPlan::healthy() };
        let records: Vec<Record> = self.memory.stream().records().into_iter().map(record).collect();
        let outcome = self.process(&log_fails).batch(&records).await;
        assert!(outcome.retry_from.is_some(), "the batch must come again");
        self.enrich(&|_| FaultPlan::healthy()).await;
    }

    pub(crate) fn arrivals(&self) -> Arrivals<Memory, SegmentedLog<MemoryItems>, Memory, ManualClock> {
        Arrivals {
            entitlements: CachedEntitlements::new(self.memory.clone(), self.clock.clone()),
            log: SegmentedLog { items: self.items.clone() },
            index: self.memory.clone(),
            clock: self.clock.clone(),
        }
    }

    async fn enrich(&self, faults: &impl Fn(u64) -> FaultPlan) {
        let plan = |n| faults(self.seed.wrapping_add(n));
        let enrich = Enrichment {
            entitlements: CachedEntitlements::new(self.memory.clone(), self.clock.clone()),
            fleets: CachedFleets::new(self.memory.clone(), self.clock.clone()),
            bus: Faulty::new(self.memory.clone(), plan(7)),
            index: self.memory.clone(),
            clock: self.clock.clone(),
        };
        for batch in self.memory.take_published() {
            let events: Vec<&str> = batch.events.iter().map(String::as_str).collect();
            // As the bus does: the same entry again until the function takes it.
            let mut tries = 0;
            while enrich.entry(&events).await.is_err() {
                tries += 1;
                assert!(tries < 1000, "enrichment never gets through");
            }
        }
    }

    pub(crate) fn deliver(&self) -> FeedReader<Memory, Memory, ManualClock> {
        FeedReader {
            queue: self.memory.clone(),
            entitlements: CachedEntitlements::new(self.memory.clone(), self.clock.clone()),
            clock: self.clock.clone(),
        }
    }

    /// Drains a fleet's feed, and says what a consumer has after removing duplicates by id.
    pub(crate) async fn drain(&self, fleet_id: &FleetId) -> Vec<Event> {
        let deliver = self.deliver();
        let caller = Caller::Fleet(fleet_id.clone());
        let mut seen = BTreeSet::new();
        let mut events = Vec::new();
        loop {
            let feed = deliver.feed(&caller, fleet_id, 10, 0).await.unwrap();
            assert!(feed.unreadable.is_empty());
            if feed.receipts.is_empty() {
                return events;
            }
            let order: Vec<(VehicleId, Eid)> =
                feed.events.iter().map(|delivered| (delivered.event.vid.clone(), delivered.event.eid)).collect();
            // Only telemetry fits into blocks.
            let mut telemetry = feed.events.iter().filter(|delivered| delivered.event.event_type() == EventType::Telemetry);
            assert!(telemetry.all(|delivered| delivered.format == self.delivery_format));
            assert_eq!(written(&feed), feed.events.iter().map(|delivered| delivered.event.clone()).collect::<Vec<_>>());
            assert!(order.is_sorted(), "each vehicle's events come in eid order");
            deliver.acknowledge(&caller, fleet_id, &feed.receipts).await.unwrap();
            let fresh = feed.events.into_iter().map(|delivered| delivered.event);
            events.extend(fresh.filter(|event| seen.insert((event.vid.clone(), event.eid))));
        }
    }

    /// Every event in the log.
    pub(crate) fn stored(&self) -> Vec<StoredEvent> {
        let mut events = BTreeMap::new();
        for item in self.items.all() {
            let read = match item {
                LogItem::Event(stored) => vec![*stored],
                LogItem::Segment(segment) => segment.events().unwrap(),
            };
            events.extend(read.into_iter().map(|stored| ((stored.event.vid.clone(), stored.event.eid), stored)));
        }
        events.into_values().collect()
    }

    pub(crate) fn query(&self) -> VehicleQueries<Memory, Memory, SegmentedLog<MemoryItems>, Memory, ManualClock> {
        VehicleQueries {
            vehicles: self.memory.clone(),
            entitlements: CachedEntitlements::new(self.memory.clone(), self.clock.clone()),
            log: SegmentedLog { items: self.items.clone() },
            state: self.memory.clone(),
            clock: self.clock.clone(),
        }
    }
}

/// The events of a feed's answer, as a consumer reads them.
pub(crate) fn written(feed: &Feed) -> Vec<Event> {
    let cloud_events = feed.cloud_events().unwrap();
    cloud_events.iter().flat_map(|cloud_event| bus_entry::read(cloud_event.get()).unwrap().events).collect()
}

fn record(record: StreamRecordIn) -> Record {
    let StreamRecordIn { shard, sequence_number, partition_key, arrived_at, data } = record;
    Record { shard, partition_key, raw: RawRecord { sequence_number, arrived_at, data } }
}

/// An event of these samples: seconds before noon, and a speed; a position goes with each.
pub(crate) fn event(id: &str, samples: &[(i64, f64)]) -> serde_json::Value {
    let noon = Timestamp::parse_rfc3339(NOON).unwrap();
    let samples: Vec<_> = samples
        .iter()
        .map(|(ago_s, speed)| {
            json!({"at": noon.plus_ms(-ago_s * 1000), "signals": {
                "Vehicle.Speed": speed, "Vehicle.CurrentLocation.Latitude": 51.5, "Vehicle.CurrentLocation.Longitude": 7.5,
            }})
        })
        .collect();
    json!({
        "specversion": "1.0", "id": id, "source": "urn:test", "type": "roadcast.telemetry.v1",
        "time": NOON, "data": { "samples": samples },
    })
}

/// The paths that events hold.
pub(crate) fn paths(events: &[Event]) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for event in events {
        if let Body::Telemetry(telemetry) = &event.body {
            paths.extend(telemetry.samples.iter().flat_map(|sample| sample.signals.keys().map(ToString::to_string)));
        }
    }
    paths
}
