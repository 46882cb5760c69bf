//! Reading and acknowledging a feed when responses are lost, requests are repeated and the queue fails.

use std::time::Duration;

use roadcast_domain::ids::FleetId;
use roadcast_ports::feed::ReceiveOptions;
use roadcast_services::ServiceError;
use roadcast_services::authz::FleetOwner;
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::delivery::feed::{FeedBatch, FeedReader};
use roadcast_testbed::{Fault, FaultPlan, Faulty, WithFaults};

use crate::fixture::{PipelineFixture, client_of};

const VISIBILITY_MS: i64 = 20_000;

/// A fleet whose feed has one message with one event.
struct Feed {
    pipeline: PipelineFixture,
    fleet_id: FleetId,
    owner: FleetOwner,
}

impl Feed {
    async fn new() -> Self {
        let pipeline = PipelineFixture::new(5);
        pipeline.memory.set_visibility_ms(VISIBILITY_MS);
        let vid = pipeline.vehicle("v").await;
        let fleet_id = pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
        let feed = Self { owner: client_of(&fleet_id), pipeline, fleet_id };
        feed.pipeline.upload(&vid, "1", &[(10, 50.0)]).await;
        feed.pipeline.process_all(|_| FaultPlan::healthy()).await;
        assert_eq!(feed.queued(), 1);
        feed
    }

    fn queued(&self) -> usize {
        self.pipeline.memory.queued(&self.fleet_id).len()
    }

    /// Returns a reader whose queue fails by `plan`.
    fn reader(&self, plan: FaultPlan) -> FeedReader<WithFaults> {
        let (memory, clock) = (&self.pipeline.memory, &self.pipeline.clock);
        FeedReader {
            queue: Faulty::new(memory.clone(), plan),
            entitlements: CachedEntitlements::new(Faulty::healthy(memory.clone()), clock.clone()),
            clock: clock.clone(),
        }
    }

    async fn read(&self, plan: FaultPlan) -> Result<FeedBatch, ServiceError> {
        self.reader(plan).read(&self.owner, ReceiveOptions::default()).await
    }

    async fn acknowledge(&self, plan: FaultPlan, ack_handles: &[String]) -> Result<(), ServiceError> {
        self.reader(plan).acknowledge(&self.owner, ack_handles).await
    }
}

#[tokio::test]
async fn lost_response_is_delivered_again_after_the_visibility_timeout() {
    let feed = Feed::new().await;
    let lost = feed.read(FaultPlan::script([Some(Fault::LostResponse)])).await;
    assert!(matches!(lost, Err(ServiceError::Port(_))));
    feed.pipeline.clock.advance_ms(VISIBILITY_MS - 1);
    assert!(feed.read(FaultPlan::healthy()).await.unwrap().events.is_empty(), "hidden until the visibility timeout");
    feed.pipeline.clock.advance_ms(1);
    assert_eq!(feed.read(FaultPlan::healthy()).await.unwrap().events.len(), 1);
}

#[tokio::test]
async fn acknowledgement_can_be_repeated() {
    let feed = Feed::new().await;
    let batch = feed.read(FaultPlan::healthy()).await.unwrap();
    let lost = feed.acknowledge(FaultPlan::script([Some(Fault::LostResponse)]), &batch.ack_handles).await;
    assert!(matches!(lost, Err(ServiceError::Port(_))));
    assert_eq!(feed.queued(), 0);
    for _ in 0..2 {
        feed.acknowledge(FaultPlan::healthy(), &batch.ack_handles).await.unwrap();
    }
}

#[tokio::test]
async fn outdated_acknowledgement_does_not_delete_the_message() {
    let feed = Feed::new().await;
    let first = feed.read(FaultPlan::healthy()).await.unwrap();
    feed.pipeline.clock.advance_ms(VISIBILITY_MS);
    let second = feed.read(FaultPlan::healthy()).await.unwrap();
    assert_ne!(first.ack_handles, second.ack_handles);
    feed.acknowledge(FaultPlan::healthy(), &first.ack_handles).await.unwrap();
    assert_eq!(feed.queued(), 1, "another reader works on the message");
    feed.acknowledge(FaultPlan::healthy(), &["unknown".to_owned()]).await.unwrap();
    feed.acknowledge(FaultPlan::healthy(), &second.ack_handles).await.unwrap();
    assert_eq!(feed.queued(), 0);
}

#[tokio::test]
async fn read_without_remaining_time_does_not_wait() {
    let feed = Feed::new().await;
    let options = ReceiveOptions { wait_s: 20, timeout: Duration::ZERO, ..ReceiveOptions::default() };
    assert_eq!(feed.reader(FaultPlan::healthy()).read(&feed.owner, options).await.unwrap().events.len(), 1);
}
