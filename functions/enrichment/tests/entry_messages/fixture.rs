//! Fleets, entries of the ingest bus in a queue, and enrichment on ports that fail.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use roadcast_aws_model::queue_mapping::{QueueMapping, QueueMappingConfig, bus_event, queue_event};
use roadcast_codec::bus_entry;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::lane::Lane;
use roadcast_domain::subscription::{DeliveryFormat, Subscription};
use roadcast_enrichment::EntryMessages;
use roadcast_lambda_kit::deadline::Deadline;
use roadcast_lambda_kit::event_traces::EventTraces;
use roadcast_lambda_kit::metrics::Metrics;
use roadcast_lambda_kit::sqs::SqsEvent;
use roadcast_services::cache::{CachedEntitlements, CachedFleets};
use roadcast_services::delivery::enrichment::Enrichment;
use roadcast_testbed::{
    FaultPlan, Faulty, InFlight, ManualClock, Memory, MemoryQueue, QueueConfig, QueuedMessage, SeededRandomness, fixtures,
    port_set,
};

port_set! {
    /// Ports that fail, and that yield once per call, so that a test can end an invocation between two calls.
    pub(crate) enum QueuePorts {
        DeliveryBus = InFlight<Faulty<Memory>>;
        Entitlements = InFlight<Faulty<Memory>>;
        FeedIndex = InFlight<Faulty<Memory>>;
        Fleets = InFlight<Faulty<Memory>>;
        MessageDelay = Faulty<MemoryQueue>;
    }
}

/// The faults of the ports.
pub(crate) struct Faults {
    pub(crate) entitlements: FaultPlan,
    pub(crate) fleets: FaultPlan,
    pub(crate) bus: FaultPlan,
    pub(crate) index: FaultPlan,
    pub(crate) delay: FaultPlan,
}

impl Default for Faults {
    fn default() -> Self {
        Self::all(|_| FaultPlan::healthy())
    }
}

impl Faults {
    pub(crate) fn all(plan: impl Fn(u64) -> FaultPlan) -> Self {
        Self { entitlements: plan(1), fleets: plan(2), bus: plan(3), index: plan(4), delay: plan(5) }
    }
}

pub(crate) struct Fixture {
    pub(crate) clock: ManualClock,
    pub(crate) memory: Memory,
    pub(crate) queue: MemoryQueue,
}

pub(crate) fn vid(number: u128) -> VehicleId {
    fixtures::diagnostic_event(number, 0).event.vid
}

pub(crate) fn fleet_id(number: u128) -> FleetId {
    FleetId::from_random_bits(number + 1)
}

/// Returns an event of a vehicle.
pub(crate) fn event(vehicle: u128, s: i64) -> Event {
    fixtures::diagnostic_event(vehicle, s).event
}

/// Returns an entry with these events, as the rule of a lane sends it to its queue.
pub(crate) fn entry(lane: Lane, id: usize, events: &[Event]) -> String {
    let json = |event: &Event| bus_entry::encode(&[event], DeliveryFormat::Blocks, None).unwrap().remove(0).json;
    let events: Vec<String> = events.iter().map(json).collect();
    bus_event(&format!("entry-{id}"), "roadcast.ingest", lane.detail_type(), &events)
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with_queue(QueueConfig::default())
    }

    pub(crate) fn with_queue(config: QueueConfig) -> Self {
        let clock = ManualClock::at(fixtures::at(60));
        let queue = MemoryQueue::new(config, clock.clone());
        Self { memory: Memory::new(clock.clone()), queue, clock }
    }

    /// Creates a fleet with a subscription to these vehicles.
    pub(crate) async fn fleet(&self, number: u128, vehicles: &[u128]) {
        let fleet_id = fleet_id(number);
        fixtures::store_fleet(&self.memory, &fleet_id, fixtures::at(0)).await;
        self.grant(number, vehicles).await;
    }

    /// Grants diagnostics of these vehicles to a fleet, which need not exist.
    pub(crate) async fn grant(&self, number: u128, vehicles: &[u128]) {
        let vehicles = vehicles.iter().map(|vehicle| vid(*vehicle)).collect();
        let since = fixtures::at(-1);
        let subscription = fixtures::subscription(number + 1, &fleet_id(number), vehicles, &["diagnostics"], since);
        let subscription = Subscription { delivery_format: DeliveryFormat::Blocks, ..subscription };
        fixtures::store_subscription(&self.memory, &subscription).await;
    }

    pub(crate) fn enrichment(&self, faults: &Faults) -> EntryMessages<QueuePorts> {
        let failing = |plan: &FaultPlan| InFlight::new(Faulty::new(self.memory.clone(), plan.clone()));
        let enrichment = Enrichment {
            entitlements: CachedEntitlements::new(failing(&faults.entitlements), self.clock.clone()),
            fleets: CachedFleets::new(failing(&faults.fleets), self.clock.clone()),
            bus: failing(&faults.bus),
            index: failing(&faults.index),
            clock: self.clock.clone(),
        };
        let delay = Faulty::new(self.queue.clone(), faults.delay.clone());
        let metrics = Arc::new(Metrics::new("enrichment", "test"));
        let traces = Arc::new(EventTraces::disabled());
        EntryMessages::new(enrichment, delay, SeededRandomness::new(7), metrics, traces)
    }

    /// Returns the mapping of the queue, with the properties of the template.
    pub(crate) fn mapping(&self) -> QueueMapping {
        let config = QueueMappingConfig { batch_size: 10, maximum_concurrency: 2, report_batch_item_failures: true };
        QueueMapping::new(config, self.queue.clone(), self.clock.clone())
    }

    /// Returns the events in the queue of a fleet.
    pub(crate) fn delivered(&self, number: u128) -> BTreeSet<Eid> {
        let bodies = self.memory.queued(&fleet_id(number));
        let cloud_events = bodies.iter().flat_map(|body| serde_json::from_str::<Vec<serde_json::Value>>(body).unwrap());
        let events = cloud_events.flat_map(|event| bus_entry::decode(&event.to_string()).unwrap().events);
        events.map(|event| event.eid).collect()
    }

    /// Returns the events of a fleet in the feed index.
    pub(crate) fn indexed(&self, number: u128) -> BTreeSet<Eid> {
        let pointers = self.memory.pointers(&fleet_id(number));
        pointers.into_iter().flat_map(|pointer| pointer.events).map(|(_, eid)| eid).collect()
    }
}

/// Invokes enrichment with a batch. Returns the ids of the failed messages.
pub(crate) async fn invoke(
    enrichment: &EntryMessages<QueuePorts>,
    messages: &[QueuedMessage],
    deadline: Deadline,
) -> Vec<String> {
    let event: SqsEvent = serde_json::from_str(&queue_event("arn:aws:sqs:us-east-1:0:queue", messages)).unwrap();
    enrichment.handle(event, deadline).await.message_ids().map(str::to_owned).collect()
}

/// Returns a handler that always runs to its end.
pub(crate) fn handler(
    enrichment: &EntryMessages<QueuePorts>,
) -> impl AsyncFn(Vec<QueuedMessage>) -> Result<Vec<String>, &'static str> {
    async |messages| Ok(invoke(enrichment, &messages, Deadline::default()).await)
}

/// Runs `work` until it waits for the given number of times, like a function that is ended there. Returns `None` then.
pub(crate) async fn until_killed<Output>(work: impl Future<Output = Output>, waits: u64) -> Option<Output> {
    let (mut work, mut remaining) = (pin!(work), waits);
    std::future::poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if remaining == 0 => Poll::Ready(None),
        Poll::Pending => {
            remaining -= 1;
            Poll::Pending
        }
    })
    .await
}
