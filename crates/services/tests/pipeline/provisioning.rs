//! The workflow that provisions, failed and killed at every call that it makes.

use roadcast_aws_model::state_machine::End;
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::provisioning::ChannelParts;
use roadcast_services::ServiceError;
use roadcast_services::fleets::Transition;
use roadcast_testbed::{Fault, FaultPlan};

use crate::workflows::{Case, PERSISTENT};
use crate::world::admin;

/// What is there must be what the subscription says: everything where it is active, nothing where it is pending.
async fn check(case: &Case, subscription: &Subscription, state: SubscriptionState) {
    let known = case.subscription(subscription).await;
    assert_eq!(known.state, state, "{:?}", known.reason);
    let (parts, pool, clients) = case.resources().await;
    assert_eq!(pool, clients, "the user pool has the clients that are known, and no other");
    let granted = case.world.memory.of_fleet_to_vehicle(&case.fleet.fleet_id, &known.vehicles[0]).await.unwrap();
    match state {
        SubscriptionState::Active => {
            let found = (parts, clients.len(), granted.is_some(), known.reason);
            assert_eq!(found, (ChannelParts::ALL, 1, true, None));
        }
        SubscriptionState::Pending => {
            assert_eq!((parts, clients.len(), granted.is_some()), (ChannelParts::NONE, 0, false));
            assert!(known.reason.is_some_and(|reason| reason.starts_with("provisioning failed")));
        }
        other => panic!("{other:?}"),
    }
}

fn gave_up() -> End {
    End::Failed("ProvisioningFailed".to_owned())
}

/// How many calls of ports a run makes.
async fn calls() -> usize {
    let case = Case::new().await;
    let subscription = case.subscribe().await;
    let plan = FaultPlan::healthy();
    assert_eq!(case.run(&plan, usize::MAX).await, Some(End::Succeeded));
    check(&case, &subscription, SubscriptionState::Active).await;
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
            check(&case, &subscription, SubscriptionState::Active).await;
        }
    }
}

#[tokio::test]
async fn what_fails_for_good_at_any_call_leaves_nothing_and_converges_when_it_is_started_again() {
    for at in 0..calls().await {
        for fault in [Fault::Unavailable, Fault::LostAnswer] {
            let case = Case::new().await;
            let subscription = case.subscribe().await;
            let faults = std::iter::repeat_n(Some(fault), PERSISTENT);
            let plan = FaultPlan::script((0..at).map(|_| None).chain(faults));
            let end = case.run(&plan, usize::MAX).await;
            if end == Some(End::Succeeded) && fault == Fault::LostAnswer {
                // What is lost is only the answer; a step that found all done went on.
                check(&case, &subscription, SubscriptionState::Active).await;
                continue;
            }
            assert_eq!(end, Some(gave_up()), "call {at} {fault:?}");
            if case.subscription(&subscription).await.state == SubscriptionState::Active {
                // It got there, and the last answers of all were lost.
                check(&case, &subscription, SubscriptionState::Active).await;
                continue;
            }
            check(&case, &subscription, SubscriptionState::Pending).await;

            case.onboard().provision_again(&admin(), &case.fleet.fleet_id, &subscription.subscription_id).await.unwrap();
            case.succeed().await;
            check(&case, &subscription, SubscriptionState::Active).await;
        }
    }
}

#[tokio::test]
async fn a_run_that_is_killed_anywhere_converges_when_it_is_started_again_and_says_nothing_more() {
    for tries in 0..5 {
        for at in 0..calls().await {
            let case = Case::new().await;
            let subscription = case.subscribe().await;
            // Killed within a step, or between two.
            let plan = FaultPlan::script((0..at).map(|_| None).chain([Some(Fault::LostAnswer)]));
            case.run(&plan, tries).await;
            if case.subscription(&subscription).await.state == SubscriptionState::Active {
                continue;
            }
            let before = case.world.memory.workflows().last().unwrap().clone();
            case.onboard().provision_again(&admin(), &case.fleet.fleet_id, &subscription.subscription_id).await.unwrap();
            assert_ne!(case.world.memory.workflows().last().unwrap().name(), before.name());
            case.succeed().await;
            check(&case, &subscription, SubscriptionState::Active).await;
            // The one that was killed comes back to life, and has nothing to say.
            assert_eq!(case.run_of(&before, &FaultPlan::healthy(), usize::MAX).await, Some(gave_up()));
            check(&case, &subscription, SubscriptionState::Active).await;
        }
    }
}

#[tokio::test]
async fn giving_up_leaves_alone_what_another_subscription_needs() {
    let case = Case::new().await;
    let first = case.subscribe().await;
    case.succeed().await;
    let second = case.subscribe().await;
    let plan = FaultPlan::always(Fault::Unavailable).only(&["ensure_rule"]);
    assert_eq!(case.run(&plan, usize::MAX).await, Some(gave_up()));
    assert_eq!(case.subscription(&second).await.state, SubscriptionState::Pending);
    check(&case, &first, SubscriptionState::Active).await;
}

#[tokio::test]
async fn a_subscription_that_is_revoked_while_it_is_provisioned_leaves_nothing() {
    for tries in 1..4 {
        let case = Case::new().await;
        let subscription = case.subscribe().await;
        case.run(&FaultPlan::healthy(), tries).await;
        let id = &subscription.subscription_id;
        case.onboard().move_subscription(&admin(), &case.fleet.fleet_id, id, Transition::Revoke).await.unwrap();
        assert_eq!(case.run(&FaultPlan::healthy(), usize::MAX).await, Some(gave_up()));
        let (parts, pool, clients) = case.resources().await;
        assert_eq!((parts, pool, clients), (ChannelParts::NONE, Vec::new(), Vec::new()), "after {tries} steps");
        assert_eq!(case.subscription(&subscription).await.state, SubscriptionState::Revoked);
    }
}

#[tokio::test]
async fn an_app_client_is_made_once_and_its_secret_is_shown_once() {
    let case = Case::new().await;
    let fleet_id = &case.fleet.fleet_id;
    for _ in 0..2 {
        case.subscribe().await;
        case.succeed().await;
    }
    let clients = case.onboard().clients(&admin(), fleet_id, None, 10).await.unwrap();
    let [client] = clients.as_slice() else { panic!("{clients:?}") };
    assert_eq!(client.secret_shown_at, None);
    let shown = case.onboard().show_secret(&admin(), fleet_id, &client.client_id).await.unwrap();
    assert_eq!(shown.client_id, client.client_id);
    let again = case.onboard().show_secret(&admin(), fleet_id, &client.client_id).await;
    assert!(matches!(again, Err(ServiceError::Conflict(_))), "{again:?}");
    let trail = case.onboard().changes(&admin(), fleet_id, None, 100).await.unwrap();
    let told = serde_json::to_string(&trail).unwrap();
    assert!(told.contains("secretShownAt") && !told.contains(&shown.client_secret), "{told}");
}
