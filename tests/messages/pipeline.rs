//! The data flow in memory, with fixed time, ids and input.

use roadcast_codec::bus_entry::Probe;
use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::{EventType, Telemetry};
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::ids::{ClientId, FleetId, VehicleId};
use roadcast_domain::lane::Lane;
use roadcast_domain::package::{Package, Packages};
use roadcast_domain::plan::Plan;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_domain::vehicle::VehicleDetails;
use roadcast_event_log::SegmentedLog;
use roadcast_ports::archive::RawRecord;
use roadcast_ports::bus::{Batch, DeliveryBus as _, FleetBatch};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::feed::ReceiveOptions;
use roadcast_services::authz::{FleetOwner, Proof};
use roadcast_services::cache::{CachedEntitlements, CachedFleets, CachedSubjects, CachedVehicles};
use roadcast_services::catalogue::event_schemas::{CachedSchemas, SchemaRegistration};
use roadcast_services::delivery::enrichment::{Enrichment, EnrichmentCounts, IncompleteDelivery};
use roadcast_services::delivery::feed::{FeedBatch, FeedReader};
use roadcast_services::fleets::provisioning::{Provisioning, Step, Task};
use roadcast_services::fleets::{Onboarding, SubscriptionRequest};
use roadcast_services::ingest::Ingest;
use roadcast_services::stream::{
    AlertReader, BatchOutcome, EventStore, EventValidator, Publisher, RecentEvents, Record, StreamProcessor,
};
use roadcast_services::vehicles::registry::VehicleRegistry;
use roadcast_testbed::{InMemory, ManualClock, Memory, MemoryItems, SeededRandomness, ShardRecord};
use serde_json::{Value, json};

/// The arrival time of all records.
const NOW: &str = "2026-11-20T08:15:06.120Z";
/// The packages that the fleet subscribes to.
const PACKAGES: [&str; 4] = ["telematics", "track-and-trace", "diagnostics", "alerts"];
/// The custom type of [`Pipeline::register_tyres`], which adds it to the package `diagnostics`.
pub(crate) const TYRE: &str = "com.example.tyre.v1";

/// The pipeline with a fleet and two vehicles: a car that is delivered as JSON, and a bus that is delivered as blocks.
pub(crate) struct Pipeline {
    pub(crate) memory: Memory,
    pub(crate) clock: ManualClock,
    items: MemoryItems,
    pub(crate) fleet_id: FleetId,
    pub(crate) car: VehicleId,
    pub(crate) bus: VehicleId,
}

fn admin<P: Proof>() -> P {
    P::prove(&Caller::Admin(ClientId::new("admin"))).expect("an admin")
}

impl Pipeline {
    pub(crate) async fn new() -> Self {
        let clock = ManualClock::at(Timestamp::parse_rfc3339(NOW).expect("a time"));
        let memory = Memory::new(clock.clone());
        let car = register(&memory, &clock, ("envirocar", "5d1f3c2a44ea8508c5dd3c6b"), 1).await;
        let bus = register(&memory, &clock, ("fleet-number", "1207"), 2).await;
        let onboard = Onboarding::<InMemory> {
            fleets: memory.clone(),
            clients: memory.clone(),
            app_clients: memory.clone(),
            subscriptions: memory.clone(),
            vehicles: memory.clone(),
            entitlements: memory.clone(),
            workflow: memory.clone(),
            delivery_buses: roadcast_services::fleets::DeliveryBuses {
                first: "roadcast-dev-delivery".to_owned(),
                rules_per_bus: 300,
            },
            first_admin: None,
            clock: clock.clone(),
            randomness: SeededRandomness::new(3),
        };
        let fleet_id = onboard.create_fleet(&admin(), "Nordwind Logistics", Plan::Standard).await.expect("a fleet").fleet_id;
        let provision = Provisioning::<InMemory> {
            fleets: memory.clone(),
            clients: memory.clone(),
            app_clients: memory.clone(),
            subscriptions: memory.clone(),
            channel: memory.clone(),
            prober: roadcast_services::fleets::FeedProber {
                proofs: memory.clone(),
                bus: memory.clone(),
                queue: memory.clone(),
                clock: clock.clone(),
                randomness: SeededRandomness::new(5),
                wait_seconds: 0,
            },
            clock: clock.clone(),
        };
        for (vid, delivery_format) in [(&car, DeliveryFormat::Json), (&bus, DeliveryFormat::Blocks)] {
            let request = SubscriptionRequest {
                vehicles: vec![vid.clone()],
                packages: PACKAGES.map(|name| name.parse().unwrap()).to_vec(),
                delivery_format,
                valid_from: None,
                valid_until: None,
            };
            let subscription_id =
                onboard.subscribe(&admin(), &fleet_id, request).await.expect("a subscription").subscription_id;
            for step in [Step::EnsureQueue, Step::EnsureRule, Step::EnsureClient, Step::Activate] {
                memory.mark_feed_proven(&fleet_id);
                let (fleet_id, subscription_id) = (fleet_id.clone(), subscription_id.clone());
                provision
                    .step(&Task { step, fleet_id, subscription_id, attempt: 1, error: None })
                    .await
                    .expect("provisioned");
            }
        }
        // An earlier change reduced the entitlement.
        memory.raise_epoch(&fleet_id, &car);
        Self { memory, clock, items: MemoryItems::default(), fleet_id, car, bus }
    }

    pub(crate) async fn register_tyres(&self) {
        let register = SchemaRegistration::<InMemory> { schemas: self.memory.clone(), clock: self.clock.clone() };
        register.register(&admin(), TYRE, r#"{"type": "object"}"#).await.expect("registered");
        let with_tyres = |mut package: Package| {
            if package.name.as_str() == "diagnostics" {
                package.event_types.extend(EventType::from_name(TYRE));
            }
            package
        };
        self.memory.set_packages(Packages::built_in().iter().cloned().map(with_tyres).collect());
    }

    pub(crate) async fn upload(&self, body: &Value) {
        let ingest = Ingest::<InMemory> {
            vehicles: CachedVehicles::new(self.memory.clone(), self.clock.clone()),
            stream: self.memory.clone(),
            schemas: CachedSchemas::new(self.memory.clone(), self.clock.clone()),
            clock: self.clock.clone(),
        };
        ingest.upload(&admin(), &self.car, &body.to_string()).await.expect("the upload is accepted");
    }

    /// Puts a record of the bus on the stream, as an external producer does.
    pub(crate) fn put(&self, record: &[u8]) {
        self.memory.stream().put_bytes(self.bus.as_str(), record);
    }

    /// Processes all records of the stream.
    pub(crate) async fn process(&self) -> BatchOutcome {
        let process = StreamProcessor::<InMemory> {
            archive: self.memory.clone(),
            quarantine: self.memory.clone(),
            validator: EventValidator {
                subjects: CachedSubjects::new(self.memory.clone(), self.clock.clone()),
                schemas: CachedSchemas::new(self.memory.clone(), self.clock.clone()),
            },
            alerts: AlertReader { secrets: self.memory.clone() },
            publisher: Publisher {
                entitlements: CachedEntitlements::new(self.memory.clone(), self.clock.clone()),
                bus: self.memory.clone(),
                clock: self.clock.clone(),
            },
            store: EventStore {
                state: self.memory.clone(),
                log: SegmentedLog { items: self.items.clone() },
                recent: RecentEvents::default(),
            },
            clock: self.clock.clone(),
        };
        let records: Vec<Record> = self.memory.stream().records().into_iter().map(record).collect();
        process.process_batch(&records).await
    }

    pub(crate) async fn enrich(&self, cloud_events: &[&str]) -> Result<EnrichmentCounts, IncompleteDelivery> {
        let enrich = Enrichment::<InMemory> {
            entitlements: CachedEntitlements::new(self.memory.clone(), self.clock.clone()),
            fleets: CachedFleets::new(self.memory.clone(), self.clock.clone()),
            bus: self.memory.clone(),
            index: self.memory.clone(),
            clock: self.clock.clone(),
        };
        enrich.deliver(cloud_events).await
    }

    /// Sends a probe to the fleet, and returns its entry on the ingest bus.
    pub(crate) async fn probe(&self) -> Batch {
        let probe = Probe { fleet_id: self.fleet_id.clone(), round: 0x2A, number: 1, time: self.clock.now() };
        let entry =
            Batch { lane: Lane::Telemetry, for_notices: false, events: vec![probe.encode().expect("a probe is JSON")] };
        self.enrich(&[&entry.events[0]]).await.expect("passed");
        entry
    }

    /// Publishes an entry to the delivery bus.
    pub(crate) async fn deliver(&self, events: Vec<String>) {
        let entry = FleetBatch {
            fleet_id: self.fleet_id.clone(),
            bus: "roadcast-dev-delivery".to_owned(),
            for_webhooks: true,
            events,
        };
        self.memory.publish(&[entry]).await.pop().expect("a result").expect("the entry is accepted");
    }

    pub(crate) async fn feed(&self) -> FeedBatch {
        let deliver = FeedReader::<InMemory> {
            queue: self.memory.clone(),
            entitlements: CachedEntitlements::new(self.memory.clone(), self.clock.clone()),
            clock: self.clock.clone(),
        };
        let fleet = FleetOwner::prove(&Caller::Fleet(self.fleet_id.clone())).expect("a client of the fleet");
        deliver.read(&fleet, ReceiveOptions::default()).await.expect("a feed")
    }

    /// An upload of a data logger: telemetry and trouble codes of the car.
    pub(crate) fn logger_upload() -> Value {
        json!([
            {
                "specversion": "1.0", "id": "trip-17/0001", "source": "urn:example:logger:42",
                "type": "roadcast.telemetry.v1", "time": "2026-11-20T08:15:00Z", "tripnumber": 17,
                "data": {"samples": [
                    {"at": "2026-11-20T08:15:00Z", "signals": {
                        "Vehicle.Speed": 48.32, "Vehicle.IsMoving": true,
                        "Vehicle.CurrentLocation.Latitude": 51.962_944, "Vehicle.CurrentLocation.Longitude": 7.625_694,
                    }},
                    // Another UTC offset, a list, a path that is not in the catalogue, and a value out of range.
                    {"at": "2026-11-20T09:15:05.5+01:00", "signals": {
                        "Vehicle.Speed": 50.0, "Vehicle.OBD.DTCList": ["P0301"], "acme.note": "ok", "Vehicle.OBD.EngineLoad": 400,
                    }},
                ]},
            },
            {
                "specversion": "1.0", "id": "trip-17/dtc-1", "source": "urn:example:logger:42",
                "type": "roadcast.diagnostic.v1", "time": "2026-11-20T08:15:01Z",
                "data": {"at": "2026-11-20T08:15:01Z", "mil": true, "dtcs": [
                    {"code": "P0301", "status": "active"}, {"code": "p0420", "status": "pending"},
                ]},
            },
        ])
    }

    /// A message of a device: an event with a block. Its topic names the vehicle.
    pub(crate) fn device_event() -> Value {
        let telemetry: Telemetry = serde_json::from_value(json!({"samples": [
            {"at": "2026-11-20T08:15:02Z", "signals": {"Vehicle.Speed": 31.5, "Vehicle.IsMoving": true}},
            {"at": "2026-11-20T08:15:03Z", "signals": {"Vehicle.Speed": 30.0, "Vehicle.IsMoving": true}},
            {"at": "2026-11-20T08:15:04Z", "signals": {"Vehicle.Speed": 27.25, "Vehicle.IsMoving": true}},
        ]}))
        .expect("telemetry");
        json!({
            "specversion": "1.0", "id": "1207-000317", "source": "urn:example:unit:1207", "type": "roadcast.telemetry.v1",
            "time": "2026-11-20T08:15:04Z", "datacontenttype": BLOCK_CONTENT_TYPE,
            "data_base64": stream_record::block_base64(&telemetry.samples.to_rows()).expect("a block"),
        })
    }

    /// A record of a partner: a batch of events of the bus.
    pub(crate) fn partner_batch() -> Value {
        json!([
            {
                "specversion": "1.0", "id": "887125", "source": "urn:example:partner", "type": "roadcast.telemetry.v1",
                "subject": "fleet-number:1207", "time": "2026-11-20T08:15:05Z", "datacontenttype": "application/json",
                "data": {"samples": [{"at": "2026-11-20T08:15:05Z", "signals": {
                    "Vehicle.Speed": 22, "Vehicle.CurrentLocation.Latitude": 30.267_153,
                    "Vehicle.CurrentLocation.Longitude": -97.743_057,
                }}]},
            },
            {
                "specversion": "1.0", "id": "887126", "source": "urn:example:partner", "type": "roadcast.diagnostic.v1",
                "time": "2026-11-20T08:15:05Z", "data": {"at": "2026-11-20T08:15:05Z", "dtcs": []},
            },
        ])
    }

    /// A record with events of the bus that are partly quarantined.
    pub(crate) fn partly_invalid_batch() -> Value {
        json!([
            {
                "specversion": "1.0", "id": "887127", "source": "urn:example:partner", "type": "roadcast.telemetry.v1",
                "time": "2026-11-20T08:15:06Z", "data": {"samples": [
                    {"at": "2026-11-20T08:15:06Z", "signals": {"Vehicle.Speed": 20.5}},
                    // A time in the future.
                    {"at": "2090-01-01T00:00:00Z", "signals": {"Vehicle.Speed": 20.5}},
                ]},
            },
            {
                "specversion": "1.0", "id": "887128", "source": "urn:example:partner", "type": "example.weather.v1",
                "time": "2026-11-20T08:15:06Z", "data": {},
            },
            {
                "specversion": "1.0", "id": "887129", "source": "urn:example:partner", "type": "roadcast.telemetry.v1",
                "subject": "fleet-number:9999", "time": "2026-11-20T08:15:06Z",
                "data": {"samples": [{"at": "2026-11-20T08:15:06Z", "signals": {"Vehicle.Speed": 1}}]},
            },
        ])
    }
}

async fn register(memory: &Memory, clock: &ManualClock, (scheme, value): (&str, &str), seed: u64) -> VehicleId {
    let register = VehicleRegistry::<InMemory> {
        vehicles: memory.clone(),
        entitlements: memory.clone(),
        clock: clock.clone(),
        randomness: SeededRandomness::new(seed),
    };
    let external_ids = vec![ExternalId::new(scheme, value).expect("an external id")];
    let details = VehicleDetails { external_ids, ..VehicleDetails::default() };
    register.register(&admin(), details).await.expect("registered").0.vid
}

fn record(record: ShardRecord) -> Record {
    let ShardRecord { shard, sequence_number, partition_key, arrived_at, data } = record;
    Record { shard, raw: RawRecord { sequence_number, partition_key, arrived_at, data }.into() }
}
