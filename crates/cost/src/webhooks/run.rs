//! The runs: events on the delivery bus, delivered by the use cases as the queues of AWS invoke them.

use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::trace::EventSampling;
use roadcast_domain::webhook::{AttemptOutcome, Endpoint, TargetRules};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::webhooks::{DeliveryTask, WebhookResponse};
use roadcast_services::authz::{Manager, Proof as _};
use roadcast_services::cache::{CachedEndpoints, CachedEntitlements, OpenedTexts};
use roadcast_services::webhooks::QueueKind;
use roadcast_services::webhooks::dispatcher::Dispatcher;
use roadcast_services::webhooks::endpoints::EndpointManagement;
use roadcast_services::webhooks::fan_out::WebhookFanOut;
use roadcast_services::webhooks::scheduler::LineScheduler;
use roadcast_testbed::{InMemory, ManualClock, Memory, SeededRandomness, WebhookReceiver, port_set};
use roadcast_traces::VehicleKey;
use serde_json::json;

use super::FAILING_EVENTS;
use crate::cpu_time::thread_cpu_time;
use crate::day::OTHER_FUNCTIONS_MIB;
use crate::deployment::{Deployment, Meters};
use crate::meter::{Item, Meter, Metered, Usage};
use crate::workload::Knobs;

/// The start of a run.
const START_MS: i64 = 1_767_225_600_000;
/// Time between two events of all fleets in the workload, in milliseconds: 10,000 a day.
const EVENT_INTERVAL_MS: i64 = 8_640;
/// Events that are counted of the run whose endpoints accept all. A first one for each fleet warms the caches and is not counted.
const COUNTED: u32 = 200;
const FLEETS: u32 = 10;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const MINUTE_MS: i64 = 60_000;

port_set! {
    /// The ports in memory, under the meter wherever a webhook is delivered.
    enum WebhookPorts {
        Attempts = Metered<Memory>;
        Deliveries = Metered<Memory>;
        DeliveryQueue = Metered<Memory>;
        EndpointHealths = Metered<Memory>;
        Endpoints = Metered<Memory>;
        Entitlements = Metered<Memory>;
        FailedDeliveries = Metered<Memory>;
        Sealer = Metered<Memory>;
        WaitingDeliveries = Metered<Memory>;
        WebhookSender = Metered<WebhookReceiver>;
    }
}

/// The functions of webhooks, warm, and the endpoints of fleets.
struct Functions {
    memory: Memory,
    clock: ManualClock,
    meter: Meter,
    fan_out: WebhookFanOut<WebhookPorts>,
    dispatcher: Dispatcher<WebhookPorts>,
    scheduler: LineScheduler<WebhookPorts>,
    receiver: WebhookReceiver,
    /// The fleets, each with a vehicle.
    fleets: Vec<(FleetId, VehicleId)>,
    events: u64,
}

impl Functions {
    async fn new(fleets: u32) -> Self {
        let keys = (0..fleets).map(|n| VehicleKey { scheme: "unit".to_owned(), value: n.to_string() }).collect();
        let deployment =
            Deployment::new(Timestamp::from_ms(START_MS), keys, fleets, 1, Knobs::default(), &Meters::default()).await;
        let (memory, clock, meter) = (deployment.memory.clone(), deployment.clock.clone(), Meter::new());
        let m = || Metered::new(memory.clone(), &meter);
        let k = || clock.clone();
        let receiver = WebhookReceiver::new(k());
        // The vehicles are distributed over the fleets in their order.
        let vehicles = deployment.vehicles.values().cloned();
        let mut of_fleets = Vec::new();
        for vid in vehicles {
            let entitled = roadcast_ports::entitlements::Entitlements::list_by_vehicle(&memory, &vid).await;
            let fleet_id = entitled.ok().and_then(|found| found.first().map(|entitlement| entitlement.fleet_id.clone()));
            of_fleets.extend(fleet_id.map(|fleet_id| (fleet_id, vid)));
        }
        for (fleet_id, _) in &of_fleets {
            create_endpoint(&memory, &clock, fleet_id).await;
        }
        Self {
            fan_out: WebhookFanOut {
                endpoints: CachedEndpoints::new(m(), k()),
                entitlements: CachedEntitlements::new(m(), k()),
                deliveries: m(),
                queue: m(),
                failed: m(),
                clock: k(),
            },
            dispatcher: Dispatcher {
                endpoints: CachedEndpoints::new(m(), k()),
                stored_endpoints: m(),
                opened: OpenedTexts::new(m(), k()),
                entitlements: CachedEntitlements::new(m(), k()),
                deliveries: m(),
                attempts: m(),
                health: m(),
                waiting: m(),
                queue: m(),
                failed: m(),
                sender: Metered::new(receiver.clone(), &meter),
                clock: k(),
                randomness: SeededRandomness::new(1),
                sampling: EventSampling::NONE,
            },
            scheduler: LineScheduler { waiting: m(), queue: m(), clock: k() },
            receiver,
            memory,
            clock,
            meter,
            fleets: of_fleets,
            events: 0,
        }
    }

    /// The rule sends an entry with an event of a vehicle to the queue, which invokes the fan-out.
    async fn event(&mut self, fleet: usize) {
        self.events += 1;
        let (fleet_id, vid) = &self.fleets[fleet % self.fleets.len()];
        let entry = delivery_entry(fleet_id, vid, self.events, self.clock.now());
        // The rule sends the message; the mapping receives and deletes it.
        self.meter.count(Item::SqsRequest, 3.0);
        let started = thread_cpu_time();
        let counts = self.fan_out.fan_out(&entry).await;
        debug_assert!(counts.is_ok_and(|counts| counts.stored == 1), "one delivery");
        self.invocation(started);
    }

    /// The queue invokes the dispatcher for each message that is visible.
    async fn dispatch(&self) {
        loop {
            let messages = self.memory.delivery_queue().receive(1);
            let Some(message) = messages.first() else { return };
            // The mapping receives and deletes it.
            self.meter.count(Item::SqsRequest, 2.0);
            let started = thread_cpu_time();
            if let Ok(task) = serde_json::from_str::<DeliveryTask>(&message.body) {
                let handled = self.dispatcher.handle(&task, QueueKind::Standard).await;
                debug_assert!(handled.is_ok(), "{handled:?}");
            }
            self.memory.delivery_queue().delete(&message.receipt_handle);
            self.invocation(started);
        }
    }

    fn invocation(&self, started: std::time::Duration) {
        self.meter.invocation(OTHER_FUNCTIONS_MIB, thread_cpu_time().saturating_sub(started), None);
    }
}

/// Returns the usage of an event that its endpoint accepts at once.
pub(super) async fn accepted() -> Usage {
    let mut functions = Functions::new(FLEETS).await;
    for event in 0..FLEETS + COUNTED {
        if event == FLEETS {
            functions.meter.reset();
        }
        functions.event(event as usize).await;
        functions.dispatch().await;
        functions.clock.advance_ms(EVENT_INTERVAL_MS);
    }
    let mut usage = Usage::default();
    usage.add_scaled(&functions.meter.usage(), 1.0 / f64::from(COUNTED));
    usage
}

/// Returns the usage of a day of an endpoint that always times out, and the number of its attempts.
pub(super) async fn failing() -> (Usage, usize) {
    let mut functions = Functions::new(1).await;
    let timed_out = |_: &_, _| WebhookResponse {
        outcome: AttemptOutcome::TimedOut,
        status: None,
        retry_after_s: None,
        latency_ms: 15_000,
        excerpt: None,
    };
    let url = "https://hooks.example.com/";
    if let Ok(url) = url.parse() {
        functions.receiver.respond_with(&url, timed_out);
    }
    let interval_ms = DAY_MS / FAILING_EVENTS as i64;
    let (mut next_event_ms, mut next_schedule_ms) = (0, 0);
    let mut now_ms = 0;
    while now_ms < DAY_MS {
        if now_ms >= next_event_ms {
            functions.event(0).await;
            next_event_ms += interval_ms;
        }
        if now_ms >= next_schedule_ms {
            // Its runs without lines belong to the usage without traffic; its reads are counted here as well.
            let scheduled = functions.scheduler.run(1000).await;
            debug_assert!(scheduled.is_ok(), "{scheduled:?}");
            next_schedule_ms += MINUTE_MS;
        }
        functions.dispatch().await;
        functions.clock.advance_ms(1000);
        now_ms += 1000;
    }
    (functions.meter.usage(), functions.receiver.received().len())
}

async fn create_endpoint(memory: &Memory, clock: &ManualClock, fleet_id: &FleetId) -> Option<Endpoint> {
    let m = || memory.clone();
    let management = EndpointManagement::<InMemory> {
        endpoints: m(),
        fleets: m(),
        entitlements: CachedEntitlements::new(m(), clock.clone()),
        health: m(),
        deliveries: m(),
        queue: m(),
        sealer: m(),
        rules: TargetRules::default(),
        clock: clock.clone(),
        randomness: SeededRandomness::new(
            fleet_id.as_str().bytes().fold(0, |sum, byte| sum * 31 % 65_521 + u64::from(byte)),
        ),
    };
    let manager = Manager::prove(&Caller::Fleet(fleet_id.clone())).ok()?.of_fleet(fleet_id).ok()?;
    let settings = serde_json::from_value(json!({"url": "https://hooks.example.com/"})).ok()?;
    management.create(&manager, settings).await.ok().map(|(endpoint, _)| endpoint)
}

/// An entry of the delivery bus, as a rule sends it, with a diagnostic event of the size of an alert.
fn delivery_entry(fleet_id: &FleetId, vid: &VehicleId, number: u64, now: Timestamp) -> String {
    let eid = Eid::for_event(vid, "urn:example:unit", &number.to_string(), now);
    let event = json!({
        "specversion": "1.0", "id": eid, "source": "urn:roadcast", "type": "roadcast.diagnostic.v1", "subject": vid,
        "time": now, "datacontenttype": "application/json", "receivedtime": now, "consentepoch": 0,
        "data": {"at": now, "mil": true, "dtcs": [
            {"code": "P0301", "status": "active"}, {"code": "P0420", "status": "pending"},
        ]},
    });
    json!({"source": "roadcast.delivery", "detail-type": "roadcast.events.v1",
        "detail": {"fleetId": fleet_id, "webhook": true, "events": [event]}})
    .to_string()
}
