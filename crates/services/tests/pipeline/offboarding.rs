//! The workflow that offboards, failed and killed at every call that it makes, and what a fleet may do while it leaves.

use roadcast_aws_model::state_machine::End;
use roadcast_domain::audit::Author;
use roadcast_domain::caller::Caller;
use roadcast_domain::fleet::{ClientRole, FeedDisposition, FleetState};
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::provisioning::ChannelParts;
use roadcast_services::ServiceError;
use roadcast_services::fleets::Transition;
use roadcast_testbed::{Fault, FaultPlan};

use crate::workflows::{Case, PERSISTENT};
use crate::world::admin;

/// A fleet with two active subscriptions and two clients, of which one is its admin's doing, that was asked to leave.
async fn leaving(feed: FeedDisposition) -> (Case, Vec<Subscription>) {
    let case = Case::new().await;
    let mut subscriptions = Vec::new();
    for _ in 0..2 {
        subscriptions.push(case.subscribe().await);
        case.succeed().await;
    }
    let role = ClientRole::Fleet { fleet_id: case.fleet.fleet_id.clone() };
    case.onboard().create_client(&admin(), "app", role).await.unwrap();
    case.onboard().offboard(&admin(), &case.fleet.fleet_id, feed).await.unwrap();
    (case, subscriptions)
}

/// Nothing of the fleet is left, and its records say so.
async fn check_gone(case: &Case, subscriptions: &[Subscription]) {
    let kept = case.kept().await;
    assert_eq!(kept.state, FleetState::Offboarded, "{:?}", kept.offboarding);
    assert_eq!(case.resources().await, (ChannelParts::NONE, Vec::new(), Vec::new()));
    for subscription in subscriptions {
        assert_eq!(case.subscription(subscription).await.state, SubscriptionState::Revoked);
        let vid = &subscription.vehicles[0];
        assert_eq!(case.world.memory.of_fleet_to_vehicle(&case.fleet.fleet_id, vid).await.unwrap(), None);
    }
}

fn gave_up() -> End {
    End::Failed("OffboardingFailed".to_owned())
}

/// How many calls of ports a run makes.
async fn calls() -> usize {
    let (case, subscriptions) = leaving(FeedDisposition::Discard).await;
    let plan = FaultPlan::healthy();
    assert_eq!(case.run(&plan, usize::MAX).await, Some(End::Succeeded));
    check_gone(&case, &subscriptions).await;
    plan.asked()
}

#[tokio::test]
async fn one_failure_at_any_call_is_retried_and_the_fleet_is_gone() {
    for at in 0..calls().await {
        for fault in [Fault::Unavailable, Fault::LostAnswer] {
            let (case, subscriptions) = leaving(FeedDisposition::Discard).await;
            let plan = FaultPlan::script((0..at).map(|_| None).chain([Some(fault)]));
            assert_eq!(case.run(&plan, usize::MAX).await, Some(End::Succeeded), "call {at} {fault:?}");
            check_gone(&case, &subscriptions).await;
        }
    }
}

#[tokio::test]
async fn what_fails_for_good_at_any_call_is_told_and_converges_when_it_is_asked_again() {
    for at in 0..calls().await {
        let (case, subscriptions) = leaving(FeedDisposition::Discard).await;
        let faults = std::iter::repeat_n(Some(Fault::Unavailable), PERSISTENT);
        let plan = FaultPlan::script((0..at).map(|_| None).chain(faults));
        assert_eq!(case.run(&plan, usize::MAX).await, Some(gave_up()), "call {at}");
        let kept = case.kept().await;
        assert_eq!(kept.state, FleetState::Offboarding);
        let reason = kept.offboarding.and_then(|status| status.reason).expect("a reason");
        assert!(reason.starts_with("offboarding failed"), "{reason}");

        let again = case.onboard().offboard(&admin(), &case.fleet.fleet_id, FeedDisposition::Discard).await.unwrap();
        assert_eq!(again.offboarding.and_then(|status| status.reason), None);
        case.succeed().await;
        check_gone(&case, &subscriptions).await;
    }
}

#[tokio::test]
async fn a_run_that_is_killed_anywhere_converges_when_it_is_asked_again_and_says_nothing_more() {
    for tries in 0..7 {
        let (case, subscriptions) = leaving(FeedDisposition::Discard).await;
        case.run(&FaultPlan::healthy(), tries).await;
        let before = case.world.memory.workflows().last().unwrap().clone();
        case.onboard().offboard(&admin(), &case.fleet.fleet_id, FeedDisposition::Discard).await.unwrap();
        case.succeed().await;
        check_gone(&case, &subscriptions).await;
        assert_eq!(case.run_of(&before, &FaultPlan::healthy(), usize::MAX).await, Some(gave_up()));
        check_gone(&case, &subscriptions).await;
    }
}

#[tokio::test]
async fn a_provisioning_run_that_is_late_leaves_nothing_behind() {
    for tries in 1..4 {
        let case = Case::new().await;
        let first = case.subscribe().await;
        case.succeed().await;
        let second = case.subscribe().await;
        let late = case.world.memory.workflows().last().unwrap().clone();
        case.run(&FaultPlan::healthy(), tries).await;
        case.onboard().offboard(&admin(), &case.fleet.fleet_id, FeedDisposition::Discard).await.unwrap();
        case.succeed().await;
        let ended = case.run_of(&late, &FaultPlan::healthy(), usize::MAX).await;
        assert_eq!(ended, Some(End::Failed("ProvisioningFailed".to_owned())));
        check_gone(&case, &[first, second]).await;
    }
}

#[tokio::test]
async fn a_feed_that_is_drained_is_read_to_its_end_and_gets_nothing_new() {
    let (case, subscriptions) = leaving_with_events(FeedDisposition::Drain).await;
    let fleet_id = &case.fleet.fleet_id;
    // Delivery stops; then it waits.
    case.run(&FaultPlan::healthy(), 2).await;
    case.world.upload(&subscriptions[0].vehicles[0], "late", &[(30, 50.0)]).await;
    case.world.settle(|_| FaultPlan::healthy()).await;
    assert_eq!(case.world.drain(fleet_id).await.len(), 1, "what came before, and nothing that came after");
    case.succeed().await;
    check_gone(&case, &subscriptions).await;
}

#[tokio::test]
async fn a_feed_that_nobody_drains_is_waited_for_as_long_as_it_keeps_anything() {
    let (case, subscriptions) = leaving_with_events(FeedDisposition::Drain).await;
    let began = roadcast_ports::clock::Clock::now(&case.world.clock);
    let plan = FaultPlan::healthy();
    assert_eq!(case.run(&plan, usize::MAX).await, Some(End::Succeeded));
    let waited_s = roadcast_ports::clock::Clock::now(&case.world.clock).ms_since(began) / 1000;
    let kept_s = roadcast_domain::limits::FEED_RETENTION_S;
    assert!((kept_s..kept_s + 15 * 60).contains(&waited_s), "{waited_s} s");
    // A run may have 25,000 entries in its history; each look makes ten.
    assert!(plan.asked() < 2_000, "{} calls", plan.asked());
    check_gone(&case, &subscriptions).await;
}

#[tokio::test]
async fn a_feed_that_is_being_drained_may_be_discarded_and_then_nothing_is_readable() {
    let (case, subscriptions) = leaving_with_events(FeedDisposition::Drain).await;
    let draining = case.world.memory.workflows().last().unwrap().clone();
    case.run(&FaultPlan::healthy(), 2).await;
    case.onboard().offboard(&admin(), &case.fleet.fleet_id, FeedDisposition::Discard).await.unwrap();
    case.succeed().await;
    check_gone(&case, &subscriptions).await;
    assert_eq!(case.run_of(&draining, &FaultPlan::healthy(), usize::MAX).await, Some(gave_up()));
    check_gone(&case, &subscriptions).await;
}

async fn leaving_with_events(feed: FeedDisposition) -> (Case, Vec<Subscription>) {
    let case = Case::new().await;
    let subscription = case.subscribe().await;
    case.succeed().await;
    case.world.upload(&subscription.vehicles[0], "before", &[(60, 50.0)]).await;
    case.world.settle(|_| FaultPlan::healthy()).await;
    case.onboard().offboard(&admin(), &case.fleet.fleet_id, feed).await.unwrap();
    (case, vec![subscription])
}

#[tokio::test]
async fn a_fleet_that_leaves_gets_nothing_new_and_its_trail_tells_how_it_left() {
    let (case, subscriptions) = leaving(FeedDisposition::Discard).await;
    let fleet_id = &case.fleet.fleet_id;
    let onboard = case.onboard();
    let role = ClientRole::Fleet { fleet_id: fleet_id.clone() };
    let before = case.world.memory.pool_clients();
    let refused = onboard.create_client(&admin(), "late", role).await.map(|_| ());
    assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{refused:?}");
    assert_eq!(case.world.memory.pool_clients(), before, "what cannot be kept is not left in the user pool");
    let id = &subscriptions[0].subscription_id;
    onboard.move_subscription(&admin(), fleet_id, id, Transition::Suspend).await.unwrap();
    let refused = onboard.move_subscription(&admin(), fleet_id, id, Transition::Resume).await;
    assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{refused:?}");
    case.succeed().await;
    check_gone(&case, &subscriptions).await;

    let trail = onboard.changes(&admin(), fleet_id, None, 100).await.unwrap();
    let by_offboarding = trail.iter().filter(|change| change.by == Author::Offboarding).count();
    assert_eq!(by_offboarding, 2 + 2 + 1, "two subscriptions, two clients and the fleet");
    let refused = onboard.offboard(&Caller::Fleet(fleet_id.clone()), fleet_id, FeedDisposition::Discard).await;
    assert!(matches!(refused, Err(ServiceError::Forbidden(_))), "only an admin has a fleet leave");
}

#[tokio::test]
async fn a_run_that_provisions_starts_no_delivery_while_the_fleets_feed_is_drained() {
    let case = Case::new().await;
    let first = case.subscribe().await;
    case.succeed().await;
    let second = case.subscribe().await;
    let provisioning = case.world.memory.workflows().last().unwrap().clone();
    case.onboard().offboard(&admin(), &case.fleet.fleet_id, FeedDisposition::Drain).await.unwrap();
    // Delivery stops; then it waits.
    case.run(&FaultPlan::healthy(), 2).await;
    let ended = case.run_of(&provisioning, &FaultPlan::healthy(), usize::MAX).await;
    assert_eq!(ended, Some(End::Failed("ProvisioningFailed".to_owned())));
    let (parts, ..) = case.resources().await;
    assert_eq!(parts, ChannelParts { rule: false, ..ChannelParts::ALL }, "the queue stays, for what is in it");
    case.succeed().await;
    check_gone(&case, &[first, second]).await;
}
