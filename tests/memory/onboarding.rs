//! The API of onboarding, and the provisioner: 256 MiB each.

use roadcast_domain::Timestamp;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::entitlement::{Entitlement, Holders};
use roadcast_domain::fleet::{FeedDisposition, Fleet};
use roadcast_domain::ids::{ClientId, Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::limits;
use roadcast_domain::package::PackageName;
use roadcast_domain::plan::Plan;
use roadcast_domain::subscription::{DeliveryFormat, Subscription, SubscriptionState, Validity};
use roadcast_lambda_kit::http::Middleware;
use roadcast_onboarding::OnboardingApi;
use roadcast_ports::bus::{DeliveryBus as _, FleetBatch};
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::feed::{Delivery, FeedIndex as _};
use roadcast_ports::fleets::Fleets;
use roadcast_ports::provisioning::FeedProofs as _;
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_services::erasure::ErasureRequests;
use roadcast_services::fleets::Onboarding;
use roadcast_services::fleets::offboarding::{self, Offboarding};
use roadcast_services::fleets::provisioning::{self, Provisioning};
use roadcast_services::fleets::receipts::Receipts;
use roadcast_services::response_budget::RESPONSE_BYTES;
use roadcast_services::vehicles::fleet_vehicles::FleetVehicles;
use roadcast_testbed::{InMemory, ManualClock, Memory, MemoryBulk, SeededRandomness};
use serde_json::{Value as Json, json};

use crate::fixture::at;
use crate::peak::{MIB, assert_peak, peak};
use crate::request::{Request, middleware};

const BOUND: usize = 64 * MIB;
const VEHICLES: usize = limits::VEHICLES_PER_SUBSCRIPTION;

/// A fleet, and the functions that manage it.
struct FleetFixture {
    memory: Memory,
    clock: ManualClock,
    fleet: Fleet,
    api: OnboardingApi<InMemory>,
    middleware: Middleware<InMemory>,
}

impl FleetFixture {
    fn new() -> Self {
        let clock = ManualClock::at(at(0));
        let memory = Memory::new(clock.clone());
        let (m, k) = (|| memory.clone(), || clock.clone());
        let fleet_id = FleetId::from_random_bits(1);
        let fleet = Fleet::new(fleet_id, "A fleet".to_owned(), "delivery".to_owned(), Plan::Standard, at(0));
        let change = Change::fleet_changed(Author::Provisioning, None, &fleet, at(0));
        peak(Fleets::create(&memory, &fleet, &change)).0.unwrap();
        let onboarding = Onboarding {
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
        let api = OnboardingApi {
            onboarding,
            receipts: Receipts { fleets: m(), subscriptions: m(), index: m(), entitlements: m(), clock: k() },
            erasures: ErasureRequests {
                erasures: m(),
                vehicles: m(),
                workflow: m(),
                clock: k(),
                randomness: SeededRandomness::new(12),
            },
            fleet_vehicles: FleetVehicles { mappings: MemoryBulk::default(), fleets: m() },
        };
        let middleware = middleware(&memory, &clock);
        Self { memory, clock, fleet, api, middleware }
    }

    /// Stores a subscription to the largest number of vehicles and packages.
    fn subscribe(&self, number: usize, state: SubscriptionState) -> Subscription {
        let subscription = Subscription {
            subscription_id: SubscriptionId::from_random_bits(number as u128),
            fleet_id: self.fleet.fleet_id.clone(),
            vehicles: vehicles(0),
            packages: packages(0),
            delivery_format: DeliveryFormat::Json,
            validity: Validity { valid_from: at(0), valid_until: None },
            state,
            attempts: 1,
            reason: None,
            version: 1,
            created_at: at(0),
            updated_at: at(0),
        };
        let change = Change::subscription_changed(author(), None, &subscription);
        peak(Subscriptions::create(&self.memory, &subscription, &change)).0.unwrap();
        subscription
    }

    /// Replaces the vehicles and packages of a subscription `count` times.
    fn replace(&self, mut subscription: Subscription, count: usize) -> Subscription {
        for round in 1..=count {
            let updated_at = at(1 + round as i64);
            let (vehicles, packages) = (vehicles(round), packages(round));
            let after = Subscription { vehicles, packages, updated_at, ..subscription.clone() };
            let change = Change::subscription_changed(author(), Some(&subscription), &after);
            peak(Subscriptions::update(&self.memory, &after, &change)).0.unwrap();
            subscription = Subscription { version: after.version + 1, ..after };
        }
        subscription
    }

    /// Delivers 200,000 events of the vehicles in 500 entries.
    fn deliver(&self, held_by: &Holders) {
        let vehicles = vehicles(0);
        let event = |n: usize| {
            let vid = vehicles[n % VEHICLES].clone();
            let eid = Eid::for_event(&vid, "urn:test", &n.to_string(), at(0));
            (vid, eid)
        };
        let fleet_id = &self.fleet.fleet_id;
        let delivery = |entry: usize| Delivery {
            fleet_id: fleet_id.clone(),
            events: (entry * 400..(entry + 1) * 400).map(event).collect(),
            held_by: held_by.clone(),
        };
        let deliveries: Vec<Delivery> = (0..500).map(delivery).collect();
        peak(self.memory.record(&deliveries)).0.unwrap();
        self.clock.advance_ms(60_000);
    }

    /// Returns the bytes of the response.
    fn assert_get(&self, input: &str, resource: &str, query: Json) -> usize {
        let path = json!({"fleetId": self.fleet.fleet_id, "subscriptionId": SubscriptionId::from_random_bits(0)});
        let request = Request::get(resource, path, query);
        let (status, bytes) = assert_peak(input, BOUND, request.send(&self.api, &self.middleware));
        assert_eq!(status, 200, "{input}");
        assert!(bytes <= RESPONSE_BYTES, "{input}: {bytes} bytes");
        bytes
    }
}

fn author() -> Author {
    Author::Admin { client_id: ClientId::new("admin") }
}

/// Returns vehicles that differ from round to round.
fn vehicles(round: usize) -> Vec<VehicleId> {
    (0..VEHICLES).map(|n| VehicleId::from_random_bits((round * VEHICLES + n) as u128)).collect()
}

/// Returns packages with long names, in an order that differs from round to round.
fn packages(round: usize) -> Vec<PackageName> {
    let name = |n: usize| format!("{}{:03}", "p".repeat(limits::PACKAGE_NAME_BYTES - 3), (n + round) % 106);
    (0..limits::PACKAGES_PER_SUBSCRIPTION).map(|n| name(n).parse().unwrap()).collect()
}

const RECEIPT: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/receipt";

#[test]
fn receipt_of_many_deliveries_is_bounded() {
    let fixture = FleetFixture::new();
    let subscription = fixture.subscribe(0, SubscriptionState::Active);
    fixture.deliver(&Holders::None);
    fixture.assert_get("receipt", RECEIPT, json!({}));
    let fixture = FleetFixture::new();
    fixture.subscribe(0, SubscriptionState::Active);
    peak(fixture.memory.write_grants(&subscription)).0.unwrap();
    let entitlements = peak(fixture.memory.list_by_vehicle(&subscription.vehicles[0])).0.unwrap();
    assert!(matches!(&entitlements[..], [Entitlement { grants, .. }] if grants.len() == 1));
    fixture.deliver(&Holders::any([subscription.subscription_id].into()));
    fixture.assert_get("receipt of held deliveries", RECEIPT, json!({}));
}

#[test]
fn receipt_of_many_changes_is_bounded() {
    let fixture = FleetFixture::new();
    let subscription = fixture.subscribe(0, SubscriptionState::Active);
    fixture.replace(subscription, 219);
    fixture.clock.advance_ms(60_000);
    let bytes = fixture.assert_get("receipt of many changes", RECEIPT, json!({}));
    // It ends with the first change that exceeds 20,000 vehicles.
    assert!(bytes < 22_000 * 51, "{bytes}");
}

#[test]
fn page_of_the_audit_trail_is_bounded() {
    let fixture = FleetFixture::new();
    let subscription = fixture.subscribe(0, SubscriptionState::Active);
    fixture.replace(subscription, 100);
    fixture.assert_get("audit trail", "/fleets/{fleetId}/audit", json!({"limit": "100"}));
}

#[test]
fn page_of_subscriptions_is_bounded() {
    let fixture = FleetFixture::new();
    for number in 0..100 {
        fixture.subscribe(number, SubscriptionState::Active);
    }
    fixture.assert_get("subscriptions", "/fleets/{fleetId}/subscriptions", json!({"limit": "100"}));
}

#[test]
fn provisioning_is_bounded() {
    use provisioning::{Step, Task};
    let fixture = FleetFixture::new();
    let subscription = fixture.subscribe(0, SubscriptionState::Pending);
    let m = || fixture.memory.clone();
    let (fleets, clients, app_clients, subscriptions, channel) = (m(), m(), m(), m(), m());
    let clock = fixture.clock.clone();
    let prober = roadcast_services::fleets::FeedProber {
        proofs: m(),
        bus: m(),
        queue: m(),
        clock: clock.clone(),
        randomness: SeededRandomness::new(5),
        wait_seconds: 0,
    };
    let provisioning = Provisioning::<InMemory> { fleets, clients, app_clients, subscriptions, channel, prober, clock };
    for step in [Step::EnsureQueue, Step::EnsureRule, Step::EnsureClient, Step::Activate] {
        fixture.memory.mark_feed_proven(&subscription.fleet_id);
        let (fleet_id, subscription_id) = (subscription.fleet_id.clone(), subscription.subscription_id.clone());
        let task = Task { step, fleet_id, subscription_id, attempt: 1, error: None };
        assert_peak(&format!("provisioning, {step:?}"), BOUND, provisioning.step(&task)).unwrap();
    }
    // A round of probes receives what is in the queue.
    let (fleet_id, subscription_id) = (subscription.fleet_id.clone(), subscription.subscription_id.clone());
    let bus = fixture.fleet.delivery_bus.clone();
    let large = FleetBatch {
        fleet_id: fleet_id.clone(),
        bus,
        for_webhooks: false,
        events: vec![format!("\"{}\"", "x".repeat(990_000))],
    };
    for _ in 0..20 {
        peak(fixture.memory.publish(std::slice::from_ref(&large))).0.remove(0).unwrap();
    }
    peak(fixture.memory.invalidate(&fleet_id)).0.unwrap();
    let task = Task { step: Step::ProbeFeed, fleet_id, subscription_id, attempt: 1, error: None };
    let probe_result = assert_peak("provisioning, ProbeFeed", BOUND, provisioning.step(&task));
    assert!(probe_result.is_err(), "no probe arrives without enrichment");
}

#[test]
fn offboarding_is_bounded() {
    use offboarding::{Step, Task};
    let fixture = FleetFixture::new();
    for number in 0..100 {
        fixture.subscribe(number, SubscriptionState::Active);
    }
    let now: Timestamp = at(0);
    let offboarding = fixture.fleet.clone().begin_offboarding(FeedDisposition::Discard, now);
    let change = Change::fleet_changed(author(), Some(&fixture.fleet), &offboarding, now);
    peak(Fleets::update(&fixture.memory, &offboarding, &change)).0.unwrap();
    let m = || fixture.memory.clone();
    let offboarding = Offboarding::<InMemory> {
        fleets: m(),
        clients: m(),
        app_clients: m(),
        subscriptions: m(),
        endpoints: m(),
        alert_rules: m(),
        channel: m(),
        clock: fixture.clock.clone(),
    };
    for step in [Step::StopDelivery, Step::Drain, Step::Revoke, Step::RemoveQueue, Step::RemoveClients, Step::Finish] {
        let task = Task { step, fleet_id: fixture.fleet.fleet_id.clone(), attempt: 1, error: None };
        assert_peak(&format!("offboarding, {step:?}"), BOUND, offboarding.step(&task)).unwrap();
    }
}
