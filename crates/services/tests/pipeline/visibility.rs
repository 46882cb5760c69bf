//! A fleet receives and reads only the vehicles and packages of its subscriptions.

use std::collections::BTreeSet;

use roadcast_domain::event::Event;
use roadcast_services::ServiceError;
use roadcast_services::query::EventsRange;
use roadcast_testbed::FaultPlan;

use crate::fixture::{PipelineFixture, client_of, signal_paths};

#[tokio::test]
async fn fleet_sees_only_its_vehicles_and_packages() {
    let pipeline = PipelineFixture::new(1);
    let (ours, theirs) = (pipeline.vehicle("ours").await, pipeline.vehicle("theirs").await);
    let fleet = pipeline.fleet(std::slice::from_ref(&ours), &["track-and-trace"]).await;
    let unsubscribed = pipeline.fleet(&[], &[]).await;
    for (vid, id) in [(&ours, "a"), (&theirs, "b"), (&ours, "c")] {
        pipeline.upload(vid, id, &[(60, 50.0), (50, 51.0)]).await;
    }
    pipeline.process_all(|_| FaultPlan::healthy()).await;

    let delivered = pipeline.drain_feed(&fleet).await;
    assert_eq!(delivered.iter().map(|event| &event.vid).collect::<BTreeSet<_>>(), BTreeSet::from([&ours]));
    assert_eq!(delivered.iter().map(Event::sample_count).sum::<usize>(), 4);
    let positions = ["Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"].map(str::to_owned);
    assert_eq!(signal_paths(&delivered), BTreeSet::from(positions));
    assert!(pipeline.drain_feed(&unsubscribed).await.is_empty());

    let caller = client_of(&fleet);
    assert!(matches!(pipeline.states().state(&caller, &theirs).await, Err(ServiceError::NotFound)));
    let (state, _) = pipeline.states().state(&caller, &ours).await.unwrap();
    assert!(state.signals.keys().all(|path| path.as_str().starts_with("Vehicle.CurrentLocation.")), "{state:?}");
    let range = EventsRange::between(theirs, None, None, 10);
    assert!(matches!(pipeline.queries().events(&caller, &range).await, Err(ServiceError::NotFound)));
}

#[tokio::test]
async fn events_without_an_entitled_fleet_are_stored_but_not_published() {
    let pipeline = PipelineFixture::new(2);
    let vid = pipeline.vehicle("unsubscribed").await;
    pipeline.upload(&vid, "a", &[(60, 50.0)]).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    assert_eq!(pipeline.stored_events().len(), 1);
    assert!(pipeline.memory.deliveries().is_empty() && pipeline.memory.published().is_empty());
}
