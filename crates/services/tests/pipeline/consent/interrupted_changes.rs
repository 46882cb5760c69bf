//! Changes of a subscription that are interrupted at any call of a port.

use roadcast_domain::entitlement::Grant;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::subscription::{DeliveryFormat, SubscriptionState};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::subscriptions::Subscriptions as _;
use roadcast_services::fleets::Transition;
use roadcast_testbed::{Fault, FaultPlan};

use super::{PACKAGES, only_subscription, request};
use crate::fixture::{PipelineFixture, admin};

/// A change of a subscription.
#[derive(Copy, Clone, Debug)]
enum SubscriptionChange {
    Transition(Transition),
    Narrow,
    Widen,
}

#[tokio::test]
async fn interrupted_change_grants_no_excess_and_completes_on_retry() {
    let transitions = [Transition::Suspend, Transition::Resume, Transition::Revoke].map(SubscriptionChange::Transition);
    for change in transitions.into_iter().chain([SubscriptionChange::Narrow, SubscriptionChange::Widen]) {
        for (step, fault) in (0..7).flat_map(|step| [Fault::Unavailable, Fault::LostResponse].map(|fault| (step, fault))) {
            let pipeline = PipelineFixture::new(60);
            let vehicles = [pipeline.vehicle("a").await, pipeline.vehicle("b").await, pipeline.vehicle("c").await];
            let fleet = pipeline.fleet(&vehicles[..2], &["telematics"]).await;
            let id = only_subscription(&pipeline, &fleet).await.subscription_id;
            if matches!(change, SubscriptionChange::Transition(Transition::Resume)) {
                pipeline.onboarding().transition_subscription(&admin(), &fleet, &id, Transition::Suspend).await.unwrap();
            }
            let plan = FaultPlan::script((0..step).map(|_| None).chain([Some(fault)]));
            let (mut done, mut onboarding) = (false, pipeline.onboarding_with(plan));
            while !done {
                let version = only_subscription(&pipeline, &fleet).await.version;
                let (requested, packages) = match change {
                    SubscriptionChange::Narrow => (&vehicles[1..], &PACKAGES[1..]),
                    _ => (&vehicles[..], &PACKAGES[..]),
                };
                let request = request(requested, packages, DeliveryFormat::Json);
                done = match change {
                    SubscriptionChange::Transition(step) => {
                        onboarding.transition_subscription(&admin(), &fleet, &id, step).await.is_ok()
                    }
                    _ => onboarding.replace_subscription(&admin(), &fleet, &id, request, version).await.is_ok(),
                };
                check_grants_within_record(&pipeline, &fleet, &vehicles, &format!("{change:?} {step} {fault:?}")).await;
                onboarding = pipeline.onboarding();
            }
            let record = only_subscription(&pipeline, &fleet).await;
            let granted = pipeline.memory.list_by_fleet(&fleet, None, 10).await.unwrap();
            let vids: Vec<&VehicleId> = granted.iter().map(|entitlement| &entitlement.vid).collect();
            let mut expected: Vec<&VehicleId> = Grant::effective(&record).iter().flat_map(|_| &record.vehicles).collect();
            expected.sort();
            assert_eq!(vids, expected, "{change:?} {step} {fault:?}");
            let grant = Grant::for_subscription(&record);
            assert!(granted.iter().all(|entitlement| entitlement.grants == [grant.clone()]), "{change:?} {step} {fault:?}");
        }
    }
}

#[tokio::test]
async fn subscription_read_before_a_change_writes_no_grants() {
    for step in [Transition::Suspend, Transition::Revoke] {
        let pipeline = PipelineFixture::new(61);
        let vid = pipeline.vehicle("v").await;
        let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
        let read_before = only_subscription(&pipeline, &fleet).await;
        // Stops after the version is claimed and the grants are narrowed.
        let onboarding = pipeline.onboarding_with(FaultPlan::script([None, None, None, Some(Fault::Unavailable)]));
        let id = &read_before.subscription_id;
        assert!(onboarding.transition_subscription(&admin(), &fleet, id, step).await.is_err());
        assert_eq!(only_subscription(&pipeline, &fleet).await.state, SubscriptionState::Active);
        let refused = pipeline.memory.write_grants(&read_before).await.map_err(|error| error.kind());
        assert_eq!(refused, Err(PortErrorKind::Conflict), "{step:?}");
        let remaining = pipeline.memory.entitlement(&fleet, &vid).await.unwrap();
        assert!(remaining.is_none_or(|remaining| !remaining.is_live(pipeline.clock.now())), "{step:?}");
    }
}

/// Checks that the written grants do not exceed the stored subscription.
async fn check_grants_within_record(pipeline: &PipelineFixture, fleet: &FleetId, vehicles: &[VehicleId], when: &str) {
    let record = only_subscription(pipeline, fleet).await;
    for vid in vehicles {
        let Some(entitlement) = pipeline.memory.entitlement(fleet, vid).await.unwrap() else { continue };
        let allowed = Grant::effective(&record).filter(|_| record.vehicles.contains(vid));
        let within = allowed.is_some_and(|allowed| entitlement.grants.iter().all(|grant| !grant.exceeds(&allowed)));
        assert!(within, "{when}: the grants of {vid} {:?} exceed the record {record:?}", entitlement.grants);
    }
}
