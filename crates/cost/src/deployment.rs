//! A metered deployment in memory, with vehicles and the fleets that subscribe to them.

mod invocations;

use std::collections::BTreeMap;

use crate::meter::{Meter, Metered};
use crate::workload::Knobs;
use roadcast_blocks::Block;
use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::ids::{ClientId, FleetId, VehicleId};
use roadcast_domain::subscription::{DeliveryFormat, Subscription};
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_event_log::{LogItem, SegmentedLog};
use roadcast_ports::vehicles::Vehicles as _;
use roadcast_services::cache::{CachedEntitlements, CachedFleets, CachedSubjects, CachedVehicles};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::delivery::enrichment::Enrichment;
use roadcast_services::delivery::feed::FeedReader;
use roadcast_services::ingest::Ingest;
use roadcast_services::query::{StateQueries, VehicleQueries};
use roadcast_services::stream::{AlertReader, EventStore, EventValidator, Publisher, RecentEvents, StreamProcessor};
use roadcast_testbed::{ManualClock, Memory, MemoryItems, fixtures, port_set};
use roadcast_traces::VehicleKey;

pub(crate) use invocations::queued_entry;

port_set! {
    /// The ports in memory, under a meter wherever [`Metered`] implements the port.
    pub(crate) enum MeteredPorts {
        AlertCheckpoints = Metered<Memory>;
        AlertRules = Metered<Memory>;
        Archive = Metered<Memory>;
        Clients = Metered<Memory>;
        DeliveryBus = Metered<Memory>;
        Entitlements = Metered<Memory>;
        EventLog = SegmentedLog<Metered<MemoryItems>>;
        FeedIndex = Metered<Memory>;
        FeedQueue = Metered<Memory>;
        Fleets = Metered<Memory>;
        IngestBus = Metered<Memory>;
        Quarantine = Metered<Memory>;
        Schemas = Metered<Memory>;
        ShardEvaluations = Metered<Memory>;
        StateStore = Metered<Memory>;
        StreamReader = Metered<Memory>;
        TelemetryStream = Metered<Memory>;
        Vehicles = Metered<Memory>;
    }
}

/// The use cases with their metered ports. Their caches persist between calls, as in warm functions.
pub(crate) struct Deployment {
    pub(crate) clock: ManualClock,
    pub(crate) memory: Memory,
    pub(crate) items: MemoryItems,
    pub(crate) vehicles: BTreeMap<VehicleKey, VehicleId>,
    pub(crate) fleets: Vec<FleetId>,
    pub(crate) ingest: Ingest<MeteredPorts>,
    pub(crate) processor: StreamProcessor<MeteredPorts>,
    pub(crate) enrichment: Enrichment<MeteredPorts>,
    pub(crate) feed_reader: FeedReader<MeteredPorts>,
    pub(crate) states: StateQueries<MeteredPorts>,
}

/// The meters: usage of sending, of processing and delivery, and of the requests of fleets.
#[derive(Clone, Default)]
pub(crate) struct Meters {
    pub(crate) sent: Meter,
    pub(crate) pipeline: Meter,
    pub(crate) feed: Meter,
}

/// A caller that may send every event.
pub(crate) fn admin() -> Caller {
    Caller::Admin(ClientId::new("admin"))
}

impl Deployment {
    /// Returns a deployment of these vehicles, distributed over `fleets` fleets. Each fleet subscribes to all packages of its
    /// vehicles.
    pub(crate) async fn new(
        start: Timestamp,
        keys: Vec<VehicleKey>,
        fleets: u32,
        shards: usize,
        knobs: Knobs,
        meters: &Meters,
    ) -> Self {
        let clock = ManualClock::at(start);
        let memory = Memory::with_shards(clock.clone(), shards);
        let items = MemoryItems::default();
        let fleets: Vec<FleetId> = (0..fleets).map(|n| FleetId::from_random_bits(u128::from(n) + 1)).collect();
        let mut vehicles = BTreeMap::new();
        let mut of_fleet: BTreeMap<&FleetId, Vec<VehicleId>> = BTreeMap::new();
        for (n, key) in (0_u32..).zip(keys) {
            let vid = VehicleId::from_random_bits(scattered_id(n));
            for receiver in 0..knobs.fleets_per_vehicle.min(fleets.len() as u32) {
                of_fleet.entry(&fleets[(n + receiver) as usize % fleets.len()]).or_default().push(vid.clone());
            }
            register(&memory, &vid, &key, start).await;
            vehicles.insert(key, vid);
        }
        for (fleet_id, vids) in of_fleet {
            subscribe(&memory, fleet_id, vids, knobs.delivery_format, start).await;
        }

        let port = |meter: &Meter| Metered::new(memory.clone(), meter);
        let entitlements = |meter: &Meter| CachedEntitlements::<MeteredPorts>::new(port(meter), clock.clone());
        let log = |meter: &Meter| SegmentedLog { items: Metered::new(items.clone(), meter) };
        let Meters { sent, pipeline: meter, feed } = meters;
        Self {
            ingest: Ingest {
                vehicles: CachedVehicles::new(port(sent), clock.clone()),
                stream: port(sent),
                schemas: CachedSchemas::new(port(sent), clock.clone()),
                clock: clock.clone(),
            },
            processor: StreamProcessor {
                archive: port(meter),
                quarantine: port(meter),
                validator: EventValidator {
                    subjects: CachedSubjects::new(port(meter), clock.clone()),
                    schemas: CachedSchemas::new(port(meter), clock.clone()),
                },
                alerts: AlertReader { secrets: memory.clone() },
                publisher: Publisher { entitlements: entitlements(meter), bus: port(meter), clock: clock.clone() },
                store: EventStore { state: port(meter), log: log(meter), recent: RecentEvents::default() },
                clock: clock.clone(),
            },
            enrichment: Enrichment {
                entitlements: entitlements(meter),
                fleets: CachedFleets::new(port(meter), clock.clone()),
                bus: port(meter),
                index: port(meter),
                clock: clock.clone(),
            },
            feed_reader: FeedReader { queue: port(feed), entitlements: entitlements(feed), clock: clock.clone() },
            states: StateQueries {
                queries: VehicleQueries {
                    vehicles: port(feed),
                    entitlements: entitlements(feed),
                    log: log(feed),
                    clock: clock.clone(),
                },
                state: port(feed),
            },
            clock,
            memory,
            items,
            vehicles,
            fleets,
        }
    }

    /// Returns the bytes of blocks, the bytes of origins and the number of samples in the log.
    pub(crate) fn stored(&self) -> (f64, f64, f64) {
        let mut sums = (0.0, 0.0, 0.0);
        for item in self.items.all() {
            if let LogItem::Segment(segment) = item {
                sums.0 += segment.block.len() as f64;
                sums.1 += segment.origins.len() as f64;
                let samples = Block::count_samples(&segment.block).unwrap_or_default();
                sums.2 += samples as f64;
            }
        }
        sums
    }
}

/// Returns id bits that are distributed over shards and concurrent batches like random ones.
fn scattered_id(n: u32) -> u128 {
    (u128::from(n) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
}

async fn register(memory: &Memory, vid: &VehicleId, key: &VehicleKey, now: Timestamp) {
    let external_ids = ExternalId::new(&key.scheme, &key.value).into_iter().collect();
    let details = VehicleDetails { external_ids, ..VehicleDetails::default() };
    let vehicle =
        Vehicle { vid: vid.clone(), details, version: 1, owner: None, retired_at: None, created_at: now, updated_at: now };
    // Ports in memory do not fail.
    let _ = memory.register(&vehicle).await;
}

async fn subscribe(
    memory: &Memory,
    fleet_id: &FleetId,
    vehicles: Vec<VehicleId>,
    delivery_format: DeliveryFormat,
    now: Timestamp,
) {
    let granted = ["alerts", "telematics", "track-and-trace", "diagnostics", "ev-battery"];
    let subscription = fixtures::subscription(1, fleet_id, vehicles, &granted, now);
    fixtures::store_fleet(memory, fleet_id, now).await;
    fixtures::store_subscription(memory, &Subscription { delivery_format, ..subscription }).await;
}
