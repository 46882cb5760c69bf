//! Single behaviours of the functions.

mod alerts;
mod endpoints;
mod enrichment;
mod packages;
mod redrives;

use std::sync::atomic::{AtomicU32, Ordering};

use futures::executor::block_on;
use roadcast_domain::Timestamp;
use roadcast_domain::audit::Author;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_domain::webhook::{
    AttemptOutcome, DISABLED_TYPE, DeliveryOrder, DeliveryState, DisabledReason, DropReason, Endpoint, EndpointHealth,
    EndpointStatus, FailureReason,
};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::fleets::Fleets as _;
use roadcast_ports::subscriptions::Subscriptions as _;
use roadcast_ports::webhooks::{EndpointHealths, Endpoints, WebhookResponse};
use roadcast_services::webhooks::endpoints::{EndpointSettings, RequestedState};
use roadcast_testbed::{FaultPlan, WebhookReceiver, fixtures};

use crate::fleets::{create, entry, event, fleet, management, manager_of, settings};
use crate::simulation::{Simulation, Trouble};

const HOUR_MS: i64 = 3_600_000;

/// A fleet with two vehicles, and functions without trouble.
pub(crate) struct Setup {
    pub(crate) simulation: Simulation,
    pub(crate) fleet_id: FleetId,
    pub(crate) subscription: Subscription,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::with_plan(FaultPlan::healthy())
    }

    /// Functions whose ports fail by `plan`.
    pub(crate) fn with_plan(plan: FaultPlan) -> Self {
        let simulation = Simulation::with_plan(1, Trouble::default(), plan);
        let vids = [1, 2].map(VehicleId::from_random_bits);
        let (fleet_id, subscription) = block_on(fleet(&simulation.memory, 1, &vids));
        Self { simulation, fleet_id, subscription }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.simulation.clock.now()
    }

    pub(crate) fn create(&self, name: &str, order: DeliveryOrder) -> Endpoint {
        block_on(create(&self.simulation.memory, &self.fleet_id, name, order)).0
    }

    pub(crate) fn respond(&self, endpoint: &Endpoint, respond: impl Fn(u32) -> WebhookResponse + Send + Sync + 'static) {
        let requests = AtomicU32::new(0);
        self.simulation.receiver.respond_with(&endpoint.url, move |_, _| respond(requests.fetch_add(1, Ordering::Relaxed)));
    }

    pub(crate) fn publish(&self, vehicle: u128) {
        self.simulation.events.send(entry(&self.fleet_id, &[event(vehicle, self.now())]));
    }

    pub(crate) fn run_ms(&mut self, ms: i64) {
        let end = self.now().plus_ms(ms);
        self.simulation.run_until(end);
    }

    /// The states of all deliveries, by endpoint and id.
    pub(crate) fn states(&self) -> Vec<DeliveryState> {
        self.simulation.memory.webhook_deliveries().into_iter().map(|delivery| delivery.state).collect()
    }

    /// The times of the requests to an endpoint since the start, in seconds, with their outcomes.
    fn requests(&self, endpoint: &Endpoint) -> Vec<(i64, AttemptOutcome)> {
        let received = self.simulation.receiver.received().into_iter();
        let of_endpoint = received.filter(|received| received.request.url == endpoint.url);
        of_endpoint.map(|received| (received.at.ms_since(fixtures::at(0)) / 1000, received.outcome)).collect()
    }

    fn stored(&self, endpoint: &Endpoint) -> Endpoint {
        block_on(Endpoints::get(&self.simulation.memory, &self.fleet_id, &endpoint.endpoint_id)).unwrap().unwrap()
    }

    fn replace(&self, endpoint: &Endpoint, settings: EndpointSettings) -> Endpoint {
        let management = management(&self.simulation.memory, 3);
        let version = self.stored(endpoint).version;
        block_on(management.replace(&manager_of(&self.fleet_id), &endpoint.endpoint_id, settings, version)).unwrap()
    }

    fn health(&self, endpoint: &Endpoint) -> EndpointHealth {
        block_on(EndpointHealths::get(&self.simulation.memory, &endpoint.endpoint_id)).unwrap()
    }
}

fn delivered() -> WebhookResponse {
    WebhookReceiver::response(200, 20)
}

fn unavailable() -> WebhookResponse {
    WebhookReceiver::response(503, 20)
}

#[test]
fn failed_attempts_are_repeated_by_the_schedule_and_recorded() {
    let mut setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::None);
    setup.respond(&endpoint, |request| if request < 3 { unavailable() } else { delivered() });
    setup.publish(1);
    setup.run_ms(2 * HOUR_MS);
    assert_eq!(setup.states(), [DeliveryState::Delivered]);
    let attempts = setup.simulation.memory.webhook_attempts(&endpoint.endpoint_id);
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    // After 5 s, 5 min and 30 min, each ±20 %; a message is delayed by whole seconds, and longer waits end with the minute.
    let waits: Vec<i64> = attempts.windows(2).map(|pair| pair[1].at.ms_since(pair[0].at) / 1000).collect();
    assert!((4..=7).contains(&waits[0]) && (240..=361).contains(&waits[1]), "{waits:?}");
    assert!((1440..=2160 + 120).contains(&waits[2]), "{waits:?}");
    assert_eq!(setup.health(&endpoint).consecutive_failures, 0);
}

#[test]
fn requested_delay_is_honoured() {
    let mut setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::None);
    let limited = WebhookResponse { retry_after_s: Some(120), ..WebhookReceiver::response(429, 20) };
    setup.respond(&endpoint, move |request| if request == 0 { limited.clone() } else { delivered() });
    setup.publish(1);
    setup.run_ms(HOUR_MS);
    let requests = setup.requests(&endpoint);
    assert_eq!(requests.len(), 2);
    assert!((120..=122).contains(&(requests[1].0 - requests[0].0)), "{requests:?}");
}

#[test]
fn gone_endpoint_is_disabled_with_notice_and_audit_entry() {
    let mut setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::None);
    let watching =
        EndpointSettings { event_types: [DISABLED_TYPE.to_owned()].into(), ..settings("watching", DeliveryOrder::None) };
    let management = management(&setup.simulation.memory, 9);
    let watching = block_on(management.create(&manager_of(&setup.fleet_id), watching)).unwrap().0;
    setup.respond(&endpoint, |_| WebhookReceiver::response(410, 5));
    setup.publish(1);
    setup.run_ms(HOUR_MS);
    setup.publish(2);
    setup.run_ms(HOUR_MS);
    let reason = |state: &DeliveryState| match state {
        DeliveryState::Failed { reason } => Some(*reason),
        _ => None,
    };
    let mut reasons: Vec<String> = setup.states().iter().filter_map(reason).map(|reason| format!("{reason:?}")).collect();
    reasons.sort();
    assert_eq!(reasons, ["EndpointDisabled", "Gone"]);
    let disabled = DisabledReason::Gone;
    assert!(matches!(setup.stored(&endpoint).status, EndpointStatus::Disabled { reason, .. } if reason == disabled));
    assert_eq!(setup.requests(&endpoint).len(), 1);
    let notices = setup.requests(&watching);
    assert_eq!(notices.len(), 1, "one notice");
    let changes = block_on(setup.simulation.memory.changes(&setup.fleet_id, None, 1)).unwrap();
    assert_eq!((&changes[0].by, changes[0].after["status"]["reason"].as_str()), (&Author::Delivery, Some("gone")));
    assert_eq!(setup.simulation.memory.failed_deliveries().len(), 2, "what failed is in the store of dead letters");

    setup.respond(&endpoint, |_| delivered());
    setup.replace(&endpoint, settings("a", DeliveryOrder::None));
    setup.publish(1);
    setup.run_ms(HOUR_MS);
    assert!(setup.states().contains(&DeliveryState::Delivered), "an endpoint that was activated again receives events");
}

#[test]
fn open_circuit_makes_one_attempt_for_each_opening() {
    let mut setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::None);
    setup.respond(&endpoint, |_| unavailable());
    for _ in 0..40 {
        setup.publish(1);
        setup.run_ms(1000);
    }
    setup.run_ms(HOUR_MS);
    let requests = setup.requests(&endpoint);
    let early = requests.iter().filter(|(s, _)| *s < 60).count();
    assert!((5..=8).contains(&early), "five failures open the circuit: {early}");
    // 30 s, 1, 2, 4, 8 and 15 min with jitter, found by the scheduler to the minute.
    assert!((9..=22).contains(&requests.len()), "few attempts decide: {}", requests.len());
    setup.respond(&endpoint, |_| delivered());
    setup.run_ms(HOUR_MS / 2);
    assert_eq!(setup.states(), vec![DeliveryState::Delivered; 40], "a success releases what waits");
    assert!(setup.simulation.is_idle());
}

#[test]
fn endpoint_that_fails_for_five_days_is_disabled() {
    let mut setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::None);
    setup.respond(&endpoint, |_| unavailable());
    for _ in 0..24 {
        setup.publish(1);
        setup.run_ms(6 * HOUR_MS);
    }
    let failing = DisabledReason::Failing;
    assert!(matches!(setup.stored(&endpoint).status, EndpointStatus::Disabled { reason, .. } if reason == failing));
    let is_failed = |state: &DeliveryState| matches!(state, DeliveryState::Failed { .. });
    assert!(setup.states().iter().all(is_failed), "nothing waits for a disabled endpoint");
}

#[test]
fn paused_deliveries_wait_until_active_or_expired() {
    let mut setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::None);
    let paused = EndpointSettings { state: RequestedState::Paused, ..settings("a", DeliveryOrder::None) };
    setup.replace(&endpoint, paused);
    setup.publish(1);
    setup.run_ms(3 * 24 * HOUR_MS);
    setup.publish(1);
    setup.run_ms(24 * HOUR_MS + HOUR_MS);
    let expired = DeliveryState::Failed { reason: FailureReason::Expired };
    assert_eq!(setup.states(), [expired, DeliveryState::Pending]);
    assert!(setup.requests(&endpoint).is_empty());
    setup.replace(&endpoint, settings("a", DeliveryOrder::None));
    setup.run_ms(10_000);
    assert_eq!(setup.states(), [expired, DeliveryState::Delivered]);
}

#[test]
fn suspended_delivery_waits_until_the_subscription_resumes() {
    let mut setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::None);
    let suspended = Subscription { state: SubscriptionState::Suspended, ..setup.subscription.clone() };
    let memory = setup.simulation.memory.clone();
    block_on(memory.write_grants(&suspended)).unwrap();
    setup.publish(1);
    setup.run_ms(HOUR_MS);
    assert_eq!((setup.states(), setup.requests(&endpoint).len()), (vec![DeliveryState::Pending], 0));
    block_on(memory.write_grants(&setup.subscription)).unwrap();
    memory.raise_epoch(&setup.fleet_id, &VehicleId::from_random_bits(1));
    setup.run_ms(2 * HOUR_MS);
    assert_eq!(setup.states(), [DeliveryState::Delivered]);
}

#[test]
fn deliveries_of_a_deleted_endpoint_are_dropped() {
    let mut setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::None);
    setup.respond(&endpoint, |_| unavailable());
    setup.publish(1);
    setup.run_ms(60_000);
    let management = management(&setup.simulation.memory, 3);
    block_on(management.remove(&manager_of(&setup.fleet_id), &endpoint.endpoint_id, 1)).unwrap();
    setup.run_ms(HOUR_MS);
    assert_eq!(setup.states(), [DeliveryState::Dropped { reason: DropReason::EndpointDeleted }]);
    assert!(setup.simulation.memory.failed_deliveries().is_empty());
}

#[test]
fn rate_limit_spreads_the_attempts() {
    let mut setup = Setup::new();
    let limited = EndpointSettings { rate_limit: Some(2), ..settings("a", DeliveryOrder::None) };
    let management = management(&setup.simulation.memory, 3);
    let endpoint = block_on(management.create(&manager_of(&setup.fleet_id), limited)).unwrap().0;
    let events: Vec<_> = (0..30).map(|s| event(1, setup.now().plus_ms(s * -1000))).collect();
    setup.simulation.events.send(entry(&setup.fleet_id, &events));
    setup.run_ms(5 * 60_000);
    assert_eq!(setup.states(), vec![DeliveryState::Delivered; 30]);
    let mut by_second = std::collections::BTreeMap::<i64, usize>::new();
    for (second, _) in setup.requests(&endpoint) {
        *by_second.entry(second).or_default() += 1;
    }
    assert!(by_second.values().all(|count| *count <= 2), "{by_second:?}");
    assert!(by_second.keys().max().unwrap() - by_second.keys().min().unwrap() < 60, "no slower than needed");
}

#[test]
fn failed_delivery_delays_only_its_vehicle() {
    let mut setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::Vehicle);
    let subject = VehicleId::from_random_bits(1).to_string();
    let of_vehicle = AtomicU32::new(0);
    setup.simulation.receiver.respond_with(&endpoint.url, move |request, _| {
        let is_failed =
            String::from_utf8_lossy(&request.body).contains(&subject) && of_vehicle.fetch_add(1, Ordering::Relaxed) < 2;
        if is_failed { unavailable() } else { delivered() }
    });
    for vehicle in [1, 1, 1] {
        setup.publish(vehicle);
        setup.run_ms(1000);
    }
    setup.publish(2);
    setup.run_ms(HOUR_MS);
    assert_eq!(setup.states(), vec![DeliveryState::Delivered; 4]);
    let received = setup.simulation.receiver.received();
    let body = |n: usize| serde_json::from_slice::<serde_json::Value>(&received[n].request.body).unwrap();
    let accepted: Vec<_> =
        (0..received.len()).filter(|n| received[*n].outcome == AttemptOutcome::Delivered).map(body).collect();
    let of_first = VehicleId::from_random_bits(1);
    let times: Vec<&str> = accepted
        .iter()
        .filter(|event| event["subject"] == of_first.as_str())
        .map(|event| event["time"].as_str().unwrap())
        .collect();
    assert_eq!(times.len(), 3);
    assert!(times.is_sorted(), "{times:?}");
    assert_ne!(accepted[0]["subject"], of_first.as_str(), "another vehicle does not wait");
}

#[test]
fn slow_endpoint_has_ten_attempts_at_a_time() {
    let mut setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::None);
    setup.respond(&endpoint, |_| WebhookReceiver::response(200, 5000));
    setup.publish(1);
    setup.run_ms(10_000);
    assert!(setup.health(&endpoint).is_slow(setup.now()));
    let memory = &setup.simulation.memory;
    for _ in 0..10 {
        let until = setup.now().plus_ms(20_000);
        block_on(memory.take_slot(&endpoint.endpoint_id, 10, setup.now(), until)).unwrap().unwrap();
    }
    setup.publish(2);
    setup.run_ms(10_000);
    assert_eq!(setup.requests(&endpoint).len(), 1, "no slot is free");
    setup.run_ms(2 * 60_000);
    assert_eq!(setup.states(), vec![DeliveryState::Delivered; 2], "slots that were not returned are free after their time");
    assert!(!setup.simulation.memory.has_taken_slots(&endpoint.endpoint_id, setup.now()));
}
