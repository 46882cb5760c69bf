//! Erasures of vehicles on ports in memory that fail: nothing of them is left in any store, and other vehicles lose nothing.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod contents;
mod fixture;
mod returns;

use roadcast_aws_model::state_machine::ExecutionStatus;
use roadcast_domain::erasure::{ErasedStore, ErasureState};
use roadcast_ports::subscriptions::Subscriptions as _;
use roadcast_services::ServiceError;
use roadcast_services::erasure::ErasureRequest;
use roadcast_testbed::{Fault, FaultPlan};

use contents::Contents;
use fixture::{ErasureFixture, admin};

/// More faults than the retries of a task.
const PERSISTENT: usize = 20;

async fn check_erased(fixture: &ErasureFixture, before: &Contents) {
    let erasure = fixture.erasure().await;
    assert_eq!((erasure.state, erasure.names.len()), (ErasureState::Complete, 0), "{:?}", erasure.reason);
    let after = Contents::read(fixture);
    assert_eq!(after.traces(fixture), Vec::<String>::new());
    assert_eq!(after.of_others(fixture), before.of_others(fixture), "other vehicles keep what they had");
}

async fn count_calls() -> usize {
    let fixture = ErasureFixture::new().await;
    let before = Contents::read(&fixture);
    assert!(before.traces(&fixture).len() >= ErasedStore::ALL.len(), "{:?}", before.traces(&fixture));
    fixture.request().await;
    let plan = FaultPlan::healthy();
    assert_eq!(fixture.run(&plan).await, ExecutionStatus::Succeeded);
    check_erased(&fixture, &before).await;
    plan.calls()
}

#[tokio::test]
async fn failure_at_any_call_is_retried_until_nothing_is_left() {
    for at in 0..count_calls().await {
        for fault in [Fault::Unavailable, Fault::LostResponse] {
            let fixture = ErasureFixture::new().await;
            let before = Contents::read(&fixture);
            fixture.request().await;
            let plan = FaultPlan::script((0..at).map(|_| None).chain([Some(fault)]));
            assert_eq!(fixture.run(&plan).await, ExecutionStatus::Succeeded, "call {at} {fault:?}");
            check_erased(&fixture, &before).await;
        }
    }
}

#[tokio::test]
async fn persistent_failure_is_recorded_and_the_next_run_continues() {
    let mut failures = 0;
    for at in 0..count_calls().await {
        let fixture = ErasureFixture::new().await;
        let before = Contents::read(&fixture);
        fixture.request().await;
        // The handler of the failure works again.
        let plan = FaultPlan::script((0..at).map(|_| None).chain(std::iter::repeat_n(Some(Fault::Unavailable), PERSISTENT)));
        let plan = plan.only(&["hide", "erase", "list", "history", "replace", "update", "claim_version", "narrow_grants"]);
        if fixture.run(&plan).await == ExecutionStatus::Succeeded {
            continue;
        }
        failures += 1;
        let erasure = fixture.erasure().await;
        assert_eq!(erasure.state, ErasureState::Failed);
        assert!(erasure.reason.is_some_and(|reason| reason.starts_with("the erasure failed")));
        fixture.requests().restart(&admin(), &erasure.erasure_id).await.unwrap();
        assert_eq!(fixture.run(&FaultPlan::healthy()).await, ExecutionStatus::Succeeded);
        check_erased(&fixture, &before).await;
    }
    assert!(failures > 10, "{failures} runs failed");
}

#[tokio::test]
async fn later_attempt_stops_the_earlier_one() {
    let fixture = ErasureFixture::new().await;
    fixture.request().await;
    let erasure = fixture.erasure().await;
    fixture.requests().restart(&admin(), &erasure.erasure_id).await.unwrap();
    let error = fixture.step(1, &FaultPlan::healthy()).await.unwrap_err();
    assert!(matches!(error, ServiceError::Conflict(_)), "{error:?}");
    assert_eq!(fixture.run(&FaultPlan::healthy()).await, ExecutionStatus::Succeeded);
    assert_eq!(fixture.erasure().await.attempt, 2);
}

#[tokio::test]
async fn subscription_without_another_vehicle_is_revoked() {
    let fixture = ErasureFixture::new().await;
    fixture.request().await;
    fixture.run(&FaultPlan::healthy()).await;
    let subscriptions = fixture.memory.list(&fixture.fleet_id, None, 10).await.unwrap();
    let found: Vec<_> = subscriptions.iter().map(|of| (of.vehicles.clone(), format!("{:?}", of.state))).collect();
    assert!(found.contains(&(vec![fixture.kept.clone()], "Active".to_owned())), "{found:?}");
    assert!(found.contains(&(Vec::new(), "Revoked".to_owned())), "{found:?}");
}

#[tokio::test]
async fn second_pass_waits_until_the_stream_has_nothing_older() {
    let fixture = ErasureFixture::new().await;
    fixture.request().await;
    let status = fixture.step(1, &FaultPlan::healthy()).await.unwrap();
    assert!(!status.done && status.wait_seconds > 0, "{status:?}");
    let erasure = fixture.erasure().await;
    assert!(erasure.progress.starts_second_pass() && !erasure.names.is_empty());
    // Written by a batch that was read before the vehicles were hidden.
    fixture.store_event(&fixture.erased[0], "late").await;
    assert_eq!(fixture.run(&FaultPlan::healthy()).await, ExecutionStatus::Succeeded);
    assert_eq!(Contents::read(&fixture).traces(&fixture), Vec::<String>::new());
}

#[tokio::test]
async fn invalid_request_names_each_fault() {
    let fixture = ErasureFixture::new().await;
    let vid = fixture.erased[0].clone();
    let unknown = fixture.unknown_vehicle();
    let request = |vehicles, names: &[&str]| ErasureRequest {
        vehicles,
        former_names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    for (request, pointers) in [
        (request(vec![], &[]), vec!["/vehicles"]),
        (request(vec![vid.clone(), vid.clone()], &["no name"]), vec!["/vehicles/1", "/formerNames/0"]),
        (request(vec![vid.clone(), unknown], &[]), vec!["/vehicles/1"]),
        (request(vec![vid.clone(); 26], &[]), vec!["/vehicles"]),
    ] {
        let Err(ServiceError::Invalid(fields)) = fixture.requests().request(&admin(), request).await else {
            panic!("the request is valid")
        };
        assert_eq!(fields[0].pointer.to_string(), pointers[0]);
        assert!(fields.len() >= pointers.len());
    }
    fixture.request().await;
    fixture.run(&FaultPlan::healthy()).await;
    let Err(ServiceError::Invalid(fields)) = fixture.requests().request(&admin(), request(vec![vid], &[])).await else {
        panic!("an erased vehicle is not registered")
    };
    assert!(fields[0].detail.starts_with("was erased"), "{fields:?}");
}
