//! The handler of the stream processor, on ports in memory.

use roadcast_domain::ids::FleetId;
use roadcast_domain::subscription::{DeliveryFormat, Subscription};
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_event_log::SegmentedLog;
use roadcast_lambda_kit::kinesis::KinesisEvent;
use roadcast_ports::PortError;
use roadcast_ports::archive::{Archive, Quarantine, QuarantinedItem, RawBatch};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::vehicles::Vehicles as _;
use roadcast_services::cache::{CachedEntitlements, CachedSubjects};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::stream::{AlertReader, EventStore, EventValidator, Publisher, RecentEvents, StreamProcessor};
use roadcast_signals::Timestamp;
use roadcast_testbed::{ManualClock, Memory, MemoryItems, fixtures, port_set};

use crate::workload::{BATCH_MS, START_MS, VEHICLES, vid};

/// Keeps nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Discard;

impl Archive for Discard {
    async fn store(&self, batch: &RawBatch) -> Result<(), PortError> {
        std::hint::black_box(batch);
        Ok(())
    }
}

impl Quarantine for Discard {
    async fn store(&self, items: &[QuarantinedItem]) -> Result<(), PortError> {
        assert!(items.is_empty(), "every sample of the workload is valid");
        Ok(())
    }
}

port_set! {
    pub(crate) enum BenchPorts {
        Archive = Discard;
        Quarantine = Discard;
    }
}

/// The handler with its ports.
pub(crate) struct Handler {
    pub(crate) memory: Memory,
    pub(crate) items: MemoryItems,
    pub(crate) clock: ManualClock,
    processor: StreamProcessor<BenchPorts>,
}

impl Handler {
    /// Creates the handler and the vehicles, with one fleet that is subscribed to all of them, in a format, or with none.
    pub(crate) async fn new(subscription: Option<DeliveryFormat>) -> Self {
        let clock = ManualClock::at(Timestamp::from_ms(START_MS));
        let (memory, items) = (Memory::default(), MemoryItems::default());
        for n in 0..VEHICLES {
            let (created_at, updated_at) = (Timestamp::from_ms(0), Timestamp::from_ms(0));
            let details = VehicleDetails::default();
            let vehicle =
                Vehicle { vid: vid(n), details, version: 1, owner: None, retired_at: None, created_at, updated_at };
            memory.register(&vehicle).await.expect("a vehicle");
        }
        if let Some(format) = subscription {
            subscribe(&memory, format).await;
        }
        let processor = StreamProcessor {
            archive: Discard,
            quarantine: Discard,
            validator: EventValidator {
                subjects: CachedSubjects::new(memory.clone(), clock.clone()),
                schemas: CachedSchemas::new(memory.clone(), clock.clone()),
            },
            alerts: AlertReader { secrets: memory.clone() },
            publisher: Publisher {
                entitlements: CachedEntitlements::new(memory.clone(), clock.clone()),
                bus: memory.clone(),
                clock: clock.clone(),
            },
            store: EventStore {
                state: memory.clone(),
                log: SegmentedLog { items: items.clone() },
                recent: RecentEvents::default(),
            },
            clock: clock.clone(),
        };
        Self { memory, items, clock, processor }
    }

    /// Advances the clock to the next batch.
    pub(crate) fn next_batch(&self) {
        self.clock.advance_ms(BATCH_MS);
    }

    /// Processes one event of the event source mapping, as the function does. Returns the number of stored samples.
    pub(crate) async fn handle(&self, payload: &[u8]) -> usize {
        let event: KinesisEvent = serde_json::from_slice(payload).expect("an event");
        let batch = event.into_batch(self.clock.now());
        let outcome = self.processor.process_batch(&batch.records).await;
        assert_eq!((outcome.retry_from, outcome.failures.len()), (None, 0));
        outcome.counts.samples_stored
    }
}

/// The fleet that is subscribed to all vehicles.
pub(crate) fn fleet_id() -> FleetId {
    FleetId::from_random_bits(1)
}

async fn subscribe(memory: &Memory, delivery_format: DeliveryFormat) {
    let start = Timestamp::from_ms(0);
    let vehicles = (0..VEHICLES).map(vid).collect();
    let subscription = fixtures::subscription(1, &fleet_id(), vehicles, &["telematics", "track-and-trace"], start);
    fixtures::store_fleet(memory, &fleet_id(), start).await;
    fixtures::store_subscription(memory, &Subscription { delivery_format, ..subscription }).await;
}
