//! The offboarding workflow, failing and killed at every call of a port, and the operations during offboarding.

use roadcast_aws_model::state_machine::ExecutionStatus;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::fleet::{ClientRole, FeedDisposition, FleetState};
use roadcast_domain::ids::EndpointId;
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_domain::webhook::Endpoint;
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::provisioning::ChannelParts;
use roadcast_ports::webhooks::Endpoints;
use roadcast_services::ServiceError;
use roadcast_services::fleets::Transition;
use roadcast_testbed::{Fault, FaultPlan};

use serde_json::json;

use crate::fixture::admin;
use crate::workflow_fixture::{PERSISTENT, WorkflowFixture};

/// A fleet whose offboarding was requested, with two active subscriptions and two clients, one of them created by an admin.
async fn offboarding_fleet(feed: FeedDisposition) -> (WorkflowFixture, Vec<Subscription>) {
    let fixture = WorkflowFixture::new().await;
    let mut subscriptions = Vec::new();
    for _ in 0..2 {
        subscriptions.push(fixture.subscribe().await);
        fixture.succeed().await;
    }
    let role = ClientRole::Fleet { fleet_id: fixture.fleet.fleet_id.clone() };
    fixture.onboarding().create_client(&admin(), "app", role).await.unwrap();
    for bits in 0..2 {
        create_endpoint(&fixture, EndpointId::from_random_bits(bits)).await;
    }
    fixture.onboarding().offboard(&admin(), &fixture.fleet.fleet_id, feed).await.unwrap();
    (fixture, subscriptions)
}

async fn create_endpoint(fixture: &WorkflowFixture, endpoint_id: EndpointId) {
    let fleet = fixture.stored_fleet().await;
    let endpoint = json!({
        "endpointId": endpoint_id, "fleetId": fleet.fleet_id, "url": "https://hooks.example.com/", "version": 1,
        "secrets": [], "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z"
    });
    let endpoint: Endpoint = serde_json::from_value(endpoint).unwrap();
    let change = Change::endpoint_changed(Author::Fleet, None, &endpoint, endpoint.created_at);
    Endpoints::create(&fixture.pipeline.memory, &endpoint, &fleet, &change).await.unwrap();
}

/// Checks that every resource of the fleet is removed and that its records state so.
async fn check_removed(fixture: &WorkflowFixture, subscriptions: &[Subscription]) {
    let stored = fixture.stored_fleet().await;
    assert_eq!(stored.state, FleetState::Offboarded, "{:?}", stored.offboarding);
    assert_eq!(fixture.resources().await, (ChannelParts::NONE, Vec::new(), Vec::new()));
    assert_eq!(Endpoints::list(&fixture.pipeline.memory, &stored.fleet_id).await.unwrap(), []);
    for subscription in subscriptions {
        assert_eq!(fixture.subscription(subscription).await.state, SubscriptionState::Revoked);
        let vid = &subscription.vehicles[0];
        assert_eq!(fixture.pipeline.memory.entitlement(&fixture.fleet.fleet_id, vid).await.unwrap(), None);
    }
}

fn failed() -> ExecutionStatus {
    ExecutionStatus::Failed("OffboardingFailed".to_owned())
}

/// Counts the calls of ports in a run.
async fn count_calls() -> usize {
    let (fixture, subscriptions) = offboarding_fleet(FeedDisposition::Discard).await;
    let plan = FaultPlan::healthy();
    assert_eq!(fixture.run(&plan, usize::MAX).await, Some(ExecutionStatus::Succeeded));
    check_removed(&fixture, &subscriptions).await;
    plan.calls()
}

#[tokio::test]
async fn failure_at_any_call_is_retried_and_the_fleet_is_removed() {
    for at in 0..count_calls().await {
        for fault in [Fault::Unavailable, Fault::LostResponse] {
            let (fixture, subscriptions) = offboarding_fleet(FeedDisposition::Discard).await;
            let plan = FaultPlan::script((0..at).map(|_| None).chain([Some(fault)]));
            assert_eq!(fixture.run(&plan, usize::MAX).await, Some(ExecutionStatus::Succeeded), "call {at} {fault:?}");
            check_removed(&fixture, &subscriptions).await;
        }
    }
}

#[tokio::test]
async fn persistent_failure_at_any_call_is_recorded_and_can_be_retried() {
    for at in 0..count_calls().await {
        let (fixture, subscriptions) = offboarding_fleet(FeedDisposition::Discard).await;
        let faults = std::iter::repeat_n(Some(Fault::Unavailable), PERSISTENT);
        let plan = FaultPlan::script((0..at).map(|_| None).chain(faults));
        assert_eq!(fixture.run(&plan, usize::MAX).await, Some(failed()), "call {at}");
        let stored = fixture.stored_fleet().await;
        assert_eq!(stored.state, FleetState::Offboarding);
        let reason = stored.offboarding.and_then(|status| status.reason).expect("a reason");
        assert!(reason.starts_with("offboarding failed"), "{reason}");

        let again =
            fixture.onboarding().offboard(&admin(), &fixture.fleet.fleet_id, FeedDisposition::Discard).await.unwrap();
        assert_eq!(again.offboarding.and_then(|status| status.reason), None);
        fixture.succeed().await;
        check_removed(&fixture, &subscriptions).await;
    }
}

#[tokio::test]
async fn killed_run_converges_on_retry_and_has_no_later_effect() {
    for task_runs in 0..7 {
        let (fixture, subscriptions) = offboarding_fleet(FeedDisposition::Discard).await;
        fixture.run(&FaultPlan::healthy(), task_runs).await;
        let before = fixture.pipeline.memory.workflows().last().unwrap().clone();
        fixture.onboarding().offboard(&admin(), &fixture.fleet.fleet_id, FeedDisposition::Discard).await.unwrap();
        fixture.succeed().await;
        check_removed(&fixture, &subscriptions).await;
        assert_eq!(fixture.run_of(&before, &FaultPlan::healthy(), usize::MAX).await, Some(failed()));
        check_removed(&fixture, &subscriptions).await;
    }
}

#[tokio::test]
async fn late_provisioning_run_leaves_no_resources() {
    for task_runs in 1..4 {
        let fixture = WorkflowFixture::new().await;
        let first = fixture.subscribe().await;
        fixture.succeed().await;
        let second = fixture.subscribe().await;
        let late_run = fixture.pipeline.memory.workflows().last().unwrap().clone();
        fixture.run(&FaultPlan::healthy(), task_runs).await;
        fixture.onboarding().offboard(&admin(), &fixture.fleet.fleet_id, FeedDisposition::Discard).await.unwrap();
        fixture.succeed().await;
        let status = fixture.run_of(&late_run, &FaultPlan::healthy(), usize::MAX).await;
        assert_eq!(status, Some(ExecutionStatus::Failed("ProvisioningFailed".to_owned())));
        check_removed(&fixture, &[first, second]).await;
    }
}

#[tokio::test]
async fn draining_feed_is_readable_and_receives_no_new_events() {
    let (fixture, subscriptions) = offboarding_fleet_with_events(FeedDisposition::Drain).await;
    let fleet_id = &fixture.fleet.fleet_id;
    // Stops delivery, then waits.
    fixture.run(&FaultPlan::healthy(), 2).await;
    fixture.pipeline.upload(&subscriptions[0].vehicles[0], "late", &[(30, 50.0)]).await;
    fixture.pipeline.process_all(|_| FaultPlan::healthy()).await;
    assert_eq!(fixture.pipeline.drain_feed(fleet_id).await.len(), 1, "only events delivered before offboarding");
    fixture.succeed().await;
    check_removed(&fixture, &subscriptions).await;
}

#[tokio::test]
async fn undrained_feed_is_waited_for_until_its_retention_ends() {
    let (fixture, subscriptions) = offboarding_fleet_with_events(FeedDisposition::Drain).await;
    let start = roadcast_ports::clock::Clock::now(&fixture.pipeline.clock);
    let plan = FaultPlan::healthy();
    assert_eq!(fixture.run(&plan, usize::MAX).await, Some(ExecutionStatus::Succeeded));
    let waited_s = roadcast_ports::clock::Clock::now(&fixture.pipeline.clock).ms_since(start) / 1000;
    let retention_s = roadcast_domain::limits::FEED_RETENTION_S;
    assert!((retention_s..retention_s + 15 * 60).contains(&waited_s), "{waited_s} s");
    // An execution history is limited to 25,000 events; each check of the queue adds ten.
    assert!(plan.calls() < 2_000, "{} calls", plan.calls());
    check_removed(&fixture, &subscriptions).await;
}

#[tokio::test]
async fn draining_feed_can_be_discarded_and_is_then_unreadable() {
    let (fixture, subscriptions) = offboarding_fleet_with_events(FeedDisposition::Drain).await;
    let draining = fixture.pipeline.memory.workflows().last().unwrap().clone();
    fixture.run(&FaultPlan::healthy(), 2).await;
    fixture.onboarding().offboard(&admin(), &fixture.fleet.fleet_id, FeedDisposition::Discard).await.unwrap();
    fixture.succeed().await;
    check_removed(&fixture, &subscriptions).await;
    assert_eq!(fixture.run_of(&draining, &FaultPlan::healthy(), usize::MAX).await, Some(failed()));
    check_removed(&fixture, &subscriptions).await;
}

async fn offboarding_fleet_with_events(feed: FeedDisposition) -> (WorkflowFixture, Vec<Subscription>) {
    let fixture = WorkflowFixture::new().await;
    let subscription = fixture.subscribe().await;
    fixture.succeed().await;
    fixture.pipeline.upload(&subscription.vehicles[0], "before", &[(60, 50.0)]).await;
    fixture.pipeline.process_all(|_| FaultPlan::healthy()).await;
    fixture.onboarding().offboard(&admin(), &fixture.fleet.fleet_id, feed).await.unwrap();
    (fixture, vec![subscription])
}

#[tokio::test]
async fn offboarding_refuses_new_resources_and_is_in_the_audit_trail() {
    let (fixture, subscriptions) = offboarding_fleet(FeedDisposition::Discard).await;
    let fleet_id = &fixture.fleet.fleet_id;
    let onboarding = fixture.onboarding();
    let role = ClientRole::Fleet { fleet_id: fleet_id.clone() };
    let before = fixture.pipeline.memory.pool_clients();
    let refused = onboarding.create_client(&admin(), "late", role).await.map(|_| ());
    assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{refused:?}");
    assert_eq!(fixture.pipeline.memory.pool_clients(), before, "a refused client is not left in the user pool");
    let id = &subscriptions[0].subscription_id;
    onboarding.transition_subscription(&admin(), fleet_id, id, Transition::Suspend).await.unwrap();
    let refused = onboarding.transition_subscription(&admin(), fleet_id, id, Transition::Resume).await;
    assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{refused:?}");
    fixture.succeed().await;
    check_removed(&fixture, &subscriptions).await;

    let trail = onboarding.changes(&admin(), fleet_id, None, 100).await.unwrap();
    let by_offboarding = trail.iter().filter(|change| change.by == Author::Offboarding).count();
    assert_eq!(by_offboarding, 2 + 2 + 2 + 1, "two subscriptions, two clients, two endpoints and the fleet");
}

#[tokio::test]
async fn provisioning_starts_no_delivery_while_the_feed_is_drained() {
    let fixture = WorkflowFixture::new().await;
    let first = fixture.subscribe().await;
    fixture.succeed().await;
    let second = fixture.subscribe().await;
    let provisioning = fixture.pipeline.memory.workflows().last().unwrap().clone();
    fixture.onboarding().offboard(&admin(), &fixture.fleet.fleet_id, FeedDisposition::Drain).await.unwrap();
    // Stops delivery, then waits.
    fixture.run(&FaultPlan::healthy(), 2).await;
    let status = fixture.run_of(&provisioning, &FaultPlan::healthy(), usize::MAX).await;
    assert_eq!(status, Some(ExecutionStatus::Failed("ProvisioningFailed".to_owned())));
    let (parts, ..) = fixture.resources().await;
    assert_eq!(parts, ChannelParts { rule: false, ..ChannelParts::ALL }, "the queue remains until it is drained");
    fixture.succeed().await;
    check_removed(&fixture, &[first, second]).await;
}
