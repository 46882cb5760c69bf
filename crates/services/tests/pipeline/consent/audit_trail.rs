//! The audit trail of a fleet.

use roadcast_domain::audit::{Author, Change, ChangedResource};
use roadcast_domain::ids::ClientId;
use roadcast_domain::subscription::SubscriptionState;
use roadcast_services::fleets::Transition;

use super::only_subscription;
use crate::fixture::{PipelineFixture, admin};

#[tokio::test]
async fn every_change_is_recorded_once_with_its_author() {
    use SubscriptionState::{Active, Pending, Provisioning, Revoked, Suspended};
    let pipeline = PipelineFixture::new(62);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let id = only_subscription(&pipeline, &fleet).await.subscription_id;
    for step in [Transition::Suspend, Transition::Suspend, Transition::Resume, Transition::Revoke, Transition::Revoke] {
        pipeline.clock.advance_ms(1);
        pipeline.onboarding().transition_subscription(&admin(), &fleet, &id, step).await.unwrap();
    }
    let trail = pipeline.onboarding().changes(&admin(), &fleet, None, 100).await.unwrap();
    let states: Vec<_> = trail.iter().rev().filter_map(Change::subscription_state).collect();
    assert_eq!(states, [Pending, Provisioning, Active, Suspended, Active, Revoked]);
    let by_admin = Author::Admin { client_id: ClientId::new("admin") };
    let workflow = &Author::Provisioning;
    // Provisioning creates the app client in the same millisecond as the other changes, so its position is undefined.
    let (clients, others): (Vec<&Change>, Vec<&Change>) =
        trail.iter().rev().partition(|change| matches!(change.resource, ChangedResource::Client { .. }));
    assert_eq!(clients.iter().map(|change| &change.by).collect::<Vec<_>>(), [workflow]);
    let by: Vec<&Author> = others.iter().map(|change| &change.by).collect();
    // The first change is the creation of the fleet.
    assert_eq!(by, [&by_admin, &by_admin, workflow, workflow, &by_admin, &by_admin, &by_admin]);
}
