//! The provisioning workflow, as `infra/provisioning.asl.json` defines it, failed and killed at every call that it makes.

use std::sync::atomic::{AtomicUsize, Ordering};

use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::FleetId;
use roadcast_domain::plan::Plan;
use roadcast_domain::subscription::{DeliveryFormat, Subscription, SubscriptionState};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::fleets::Fleets as _;
use roadcast_ports::provisioning::{ChannelParts, FleetChannel as _, WorkflowRun};
use roadcast_services::onboard::{Onboard, SubscriptionRequest};
use roadcast_services::provision::Provision;
use roadcast_testbed::workflow::{End, StateMachine};
use roadcast_testbed::{Fault, FaultPlan, Faulty, ManualClock, Memory, SeededRandomness};

use crate::world::{World, admin};

const DEFINITION: &str = include_str!("../../../../infra/provisioning.asl.json");
/// More than a task is tried.
const PERSISTENT: usize = 8;

struct Case {
    world: World,
    fleet: Fleet,
}

impl Case {
    /// A fleet without anything, and a vehicle.
    async fn new() -> Self {
        let world = World::new(61);
        world.vehicle("v").await;
        let fleet = Fleet {
            fleet_id: FleetId::from_random(5),
            name: "A fleet".to_owned(),
            delivery_bus: "delivery".to_owned(),
            plan: Plan::Standard,
            created_at: world.clock.now(),
        };
        world.memory.create(&fleet, None).await.unwrap();
        Self { world, fleet }
    }

    fn onboard(&self) -> Onboard<Memory, Memory, Memory, Memory, Memory, Memory, Memory, ManualClock, SeededRandomness> {
        let memory = || self.world.memory.clone();
        Onboard {
            fleets: memory(),
            clients: memory(),
            app_clients: memory(),
            subscriptions: memory(),
            vehicles: memory(),
            entitlements: memory(),
            workflow: memory(),
            delivery_bus: "delivery".to_owned(),
            clock: self.world.clock.clone(),
            randomness: SeededRandomness::new(self.world.memory.workflows().len() as u64),
        }
    }

    async fn subscribe(&self) -> Subscription {
        let request = SubscriptionRequest {
            vehicles: vec![self.world.vehicle("v").await],
            packages: vec!["telematics".to_owned()],
            delivery_format: DeliveryFormat::Json,
            valid_from: None,
            valid_until: None,
        };
        self.onboard().subscribe(&admin(), &self.fleet.fleet_id, request).await.unwrap()
    }

    /// Does the run that was started last, on ports that fail by the plan; it is killed after so many calls of its steps.
    async fn run(&self, plan: &FaultPlan, steps: usize) -> Option<End> {
        let failing = || Faulty::new(self.world.memory.clone(), plan.clone());
        let provision =
            Provision { fleets: failing(), subscriptions: failing(), channel: failing(), clock: self.world.clock.clone() };
        let run: WorkflowRun = self.world.memory.workflows().last().unwrap().clone();
        let done = AtomicUsize::new(0);
        let killed = std::cell::Cell::new(false);
        let machine = StateMachine::read(DEFINITION).unwrap();
        let end = machine.run(serde_json::to_value(&run).unwrap(), |payload| {
            let task = serde_json::from_value(payload).unwrap();
            let (provision, killed) = (&provision, &killed);
            let alive = done.fetch_add(1, Ordering::Relaxed) < steps;
            async move {
                if !alive {
                    // What is killed does nothing more, whatever its definition says.
                    killed.set(true);
                    return Ok(());
                }
                provision.step(&task).await.map_err(|error| error.to_string())
            }
        });
        let end = end.await.unwrap();
        (!killed.get()).then_some(end)
    }

    /// What is there must be what the subscription says: everything where it is active, nothing where it is pending.
    async fn check(&self, subscription: &Subscription, state: SubscriptionState) {
        let memory = &self.world.memory;
        let known = memory.get_subscription(subscription).await;
        assert_eq!(known.state, state, "{:?}", known.reason);
        let parts = memory.what_is_there(&self.fleet).await.unwrap();
        let granted = memory.of_fleet_to_vehicle(&self.fleet.fleet_id, &known.vehicles[0]).await.unwrap();
        match state {
            SubscriptionState::Active => {
                assert_eq!((parts, granted.is_some(), known.reason), (ChannelParts::ALL, true, None));
            }
            SubscriptionState::Pending => {
                assert_eq!((parts, granted.is_some()), (ChannelParts::NONE, false));
                assert!(known.reason.is_some_and(|reason| reason.starts_with("provisioning failed")));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Both `Fleets` and `Subscriptions` have a `get`.
trait GetSubscription {
    async fn get_subscription(&self, subscription: &Subscription) -> Subscription;
}

impl GetSubscription for Memory {
    async fn get_subscription(&self, subscription: &Subscription) -> Subscription {
        let found =
            roadcast_ports::subscriptions::Subscriptions::get(self, &subscription.fleet_id, &subscription.subscription_id);
        found.await.unwrap().unwrap()
    }
}

/// How many calls of ports a run makes.
async fn calls() -> usize {
    let case = Case::new().await;
    let subscription = case.subscribe().await;
    let plan = FaultPlan::healthy();
    assert_eq!(case.run(&plan, usize::MAX).await, Some(End::Succeeded));
    case.check(&subscription, SubscriptionState::Active).await;
    plan.asked()
}

#[tokio::test]
async fn one_failure_at_any_call_is_retried_and_the_subscription_becomes_active() {
    for at in 0..calls().await {
        for fault in [Fault::Unavailable, Fault::LostAnswer] {
            let case = Case::new().await;
            let subscription = case.subscribe().await;
            let plan = FaultPlan::script((0..at).map(|_| None).chain([Some(fault)]));
            assert_eq!(case.run(&plan, usize::MAX).await, Some(End::Succeeded), "call {at}");
            case.check(&subscription, SubscriptionState::Active).await;
        }
    }
}

#[tokio::test]
async fn what_fails_for_good_at_any_call_leaves_nothing_and_converges_when_it_is_started_again() {
    for at in 0..calls().await {
        let case = Case::new().await;
        let subscription = case.subscribe().await;
        let faults = std::iter::repeat_n(Some(Fault::Unavailable), PERSISTENT - 1);
        let plan = FaultPlan::script((0..at).map(|_| None).chain(faults));
        assert_eq!(case.run(&plan, usize::MAX).await, Some(End::Failed("ProvisioningFailed".to_owned())), "call {at}");
        case.check(&subscription, SubscriptionState::Pending).await;

        case.onboard().provision_again(&admin(), &case.fleet.fleet_id, &subscription.subscription_id).await.unwrap();
        assert_eq!(case.run(&FaultPlan::healthy(), usize::MAX).await, Some(End::Succeeded), "call {at}");
        case.check(&subscription, SubscriptionState::Active).await;
    }
}

#[tokio::test]
async fn a_run_that_is_killed_anywhere_converges_when_it_is_started_again_and_says_nothing_more() {
    for steps in 0..3 {
        for at in 0..calls().await {
            let case = Case::new().await;
            let subscription = case.subscribe().await;
            // Killed within a step, or between two.
            let plan = FaultPlan::script((0..at).map(|_| None).chain([Some(Fault::LostAnswer)]));
            case.run(&plan, steps).await;
            let state = case.world.memory.get_subscription(&subscription).await.state;
            if state == SubscriptionState::Active {
                continue;
            }
            let before = case.world.memory.workflows().last().unwrap().clone();
            case.onboard().provision_again(&admin(), &case.fleet.fleet_id, &subscription.subscription_id).await.unwrap();
            assert_ne!(case.world.memory.workflows().last().unwrap().name(), before.name());
            assert_eq!(case.run(&FaultPlan::healthy(), usize::MAX).await, Some(End::Succeeded));
            case.check(&subscription, SubscriptionState::Active).await;
        }
    }
}

#[tokio::test]
async fn giving_up_leaves_alone_what_another_subscription_needs() {
    let case = Case::new().await;
    let first = case.subscribe().await;
    assert_eq!(case.run(&FaultPlan::healthy(), usize::MAX).await, Some(End::Succeeded));
    let second = case.subscribe().await;
    let plan = FaultPlan::always(Fault::Unavailable).only(&["ensure_rule"]);
    assert_eq!(case.run(&plan, usize::MAX).await, Some(End::Failed("ProvisioningFailed".to_owned())));
    assert_eq!(case.world.memory.get_subscription(&second).await.state, SubscriptionState::Pending);
    case.check(&first, SubscriptionState::Active).await;
}
