//! The provisioning workflow, failing and killed at every call of a port.

use roadcast_aws_model::state_machine::ExecutionStatus;
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::provisioning::ChannelParts;
use roadcast_services::ServiceError;
use roadcast_services::fleets::Transition;
use roadcast_testbed::{Fault, FaultPlan};

use crate::fixture::admin;
use crate::workflow_fixture::{PERSISTENT, WorkflowFixture};

/// Checks that the resources match the subscription: all exist if it is active, none if it is pending.
async fn check(fixture: &WorkflowFixture, subscription: &Subscription, state: SubscriptionState) {
    let stored = fixture.subscription(subscription).await;
    assert_eq!(stored.state, state, "{:?}", stored.reason);
    let (parts, pool, clients) = fixture.resources().await;
    assert_eq!(pool, clients, "the user pool has exactly the registered clients");
    let granted = fixture.pipeline.memory.entitlement(&fixture.fleet.fleet_id, &stored.vehicles[0]).await.unwrap();
    match state {
        SubscriptionState::Active => {
            let found = (parts, clients.len(), granted.is_some(), stored.reason);
            assert_eq!(found, (ChannelParts::ALL, 1, true, None));
        }
        SubscriptionState::Pending => {
            assert_eq!((parts, clients.len(), granted.is_some()), (ChannelParts::NONE, 0, false));
            assert!(stored.reason.is_some_and(|reason| reason.starts_with("provisioning failed")));
        }
        other => panic!("{other:?}"),
    }
}

fn failed() -> ExecutionStatus {
    ExecutionStatus::Failed("ProvisioningFailed".to_owned())
}

/// Counts the calls of ports in a run.
async fn count_calls() -> usize {
    let fixture = WorkflowFixture::new().await;
    let subscription = fixture.subscribe().await;
    let plan = FaultPlan::healthy();
    assert_eq!(fixture.run(&plan, usize::MAX).await, Some(ExecutionStatus::Succeeded));
    check(&fixture, &subscription, SubscriptionState::Active).await;
    plan.calls()
}

#[tokio::test]
async fn failure_at_any_call_is_retried_until_the_subscription_is_active() {
    for at in 0..count_calls().await {
        for fault in [Fault::Unavailable, Fault::LostResponse] {
            let fixture = WorkflowFixture::new().await;
            let subscription = fixture.subscribe().await;
            let plan = FaultPlan::script((0..at).map(|_| None).chain([Some(fault)]));
            assert_eq!(fixture.run(&plan, usize::MAX).await, Some(ExecutionStatus::Succeeded), "call {at}");
            check(&fixture, &subscription, SubscriptionState::Active).await;
        }
    }
}

#[tokio::test]
async fn persistent_failure_leaves_no_resources_and_can_be_retried() {
    let mut failures = 0;
    for at in 0..count_calls().await {
        for fault in [Fault::Unavailable, Fault::LostResponse] {
            let fixture = WorkflowFixture::new().await;
            let subscription = fixture.subscribe().await;
            let faults = std::iter::repeat_n(Some(fault), PERSISTENT);
            let plan = FaultPlan::script((0..at).map(|_| None).chain(faults));
            let status = fixture.run(&plan, usize::MAX).await;
            if status == Some(ExecutionStatus::Succeeded) {
                // Only the response was lost, and the retried step found the resource; or the faults were used up before the
                // retries, because each of the five probes of a request takes one.
                check(&fixture, &subscription, SubscriptionState::Active).await;
                continue;
            }
            assert_eq!(status, Some(failed()), "call {at} {fault:?}");
            failures += 1;
            if fixture.subscription(&subscription).await.state == SubscriptionState::Active {
                // The subscription became active, and the responses of the last calls were lost.
                check(&fixture, &subscription, SubscriptionState::Active).await;
                continue;
            }
            check(&fixture, &subscription, SubscriptionState::Pending).await;

            fixture
                .onboarding()
                .retry_provisioning(&admin(), &fixture.fleet.fleet_id, &subscription.subscription_id)
                .await
                .unwrap();
            fixture.succeed().await;
            check(&fixture, &subscription, SubscriptionState::Active).await;
        }
    }
    assert!(failures > 30, "{failures} runs failed");
}

#[tokio::test]
async fn killed_run_converges_on_retry_and_has_no_later_effect() {
    for task_runs in 0..7 {
        for at in 0..count_calls().await {
            let fixture = WorkflowFixture::new().await;
            let subscription = fixture.subscribe().await;
            // Killed within a step or between two steps.
            let plan = FaultPlan::script((0..at).map(|_| None).chain([Some(Fault::LostResponse)]));
            fixture.run(&plan, task_runs).await;
            if fixture.subscription(&subscription).await.state == SubscriptionState::Active {
                continue;
            }
            let before = fixture.pipeline.memory.workflows().last().unwrap().clone();
            fixture
                .onboarding()
                .retry_provisioning(&admin(), &fixture.fleet.fleet_id, &subscription.subscription_id)
                .await
                .unwrap();
            assert_ne!(fixture.pipeline.memory.workflows().last().unwrap().name(), before.name());
            fixture.succeed().await;
            check(&fixture, &subscription, SubscriptionState::Active).await;
            // The killed run continues and has no effect.
            assert_eq!(fixture.run_of(&before, &FaultPlan::healthy(), usize::MAX).await, Some(failed()));
            check(&fixture, &subscription, SubscriptionState::Active).await;
        }
    }
}

#[tokio::test]
async fn rollback_keeps_resources_of_other_subscriptions() {
    let fixture = WorkflowFixture::new().await;
    let first = fixture.subscribe().await;
    fixture.succeed().await;
    let second = fixture.subscribe().await;
    let plan = FaultPlan::always(Fault::Unavailable).only(&["is_current"]);
    assert_eq!(fixture.run(&plan, usize::MAX).await, Some(failed()));
    assert_eq!(fixture.subscription(&second).await.state, SubscriptionState::Pending);
    check(&fixture, &first, SubscriptionState::Active).await;
}

#[tokio::test]
async fn subscription_revoked_during_provisioning_leaves_no_resources() {
    for task_runs in 1..6 {
        let fixture = WorkflowFixture::new().await;
        let subscription = fixture.subscribe().await;
        fixture.run(&FaultPlan::healthy(), task_runs).await;
        let id = &subscription.subscription_id;
        fixture
            .onboarding()
            .transition_subscription(&admin(), &fixture.fleet.fleet_id, id, Transition::Revoke)
            .await
            .unwrap();
        assert_eq!(fixture.run(&FaultPlan::healthy(), usize::MAX).await, Some(failed()));
        let (parts, pool, clients) = fixture.resources().await;
        assert_eq!((parts, pool, clients), (ChannelParts::NONE, Vec::new(), Vec::new()), "after {task_runs} steps");
        assert_eq!(fixture.subscription(&subscription).await.state, SubscriptionState::Revoked);
    }
}

#[tokio::test]
async fn app_client_is_created_once_and_its_secret_is_shown_once() {
    let fixture = WorkflowFixture::new().await;
    let fleet_id = &fixture.fleet.fleet_id;
    for _ in 0..2 {
        fixture.subscribe().await;
        fixture.succeed().await;
    }
    let clients = fixture.onboarding().clients(&admin(), fleet_id, None, 10).await.unwrap();
    let [client] = clients.as_slice() else { panic!("{clients:?}") };
    assert_eq!(client.secret_shown_at, None);
    let shown = fixture.onboarding().show_secret(&admin(), fleet_id, &client.client_id).await.unwrap();
    assert_eq!(shown.client_id, client.client_id);
    let again = fixture.onboarding().show_secret(&admin(), fleet_id, &client.client_id).await;
    assert!(matches!(again, Err(ServiceError::Conflict(_))), "{again:?}");
    let trail = fixture.onboarding().changes(&admin(), fleet_id, None, 100).await.unwrap();
    let text = serde_json::to_string(&trail).unwrap();
    assert!(text.contains("secretShownAt") && !text.contains(&shown.client_secret), "{text}");
}
