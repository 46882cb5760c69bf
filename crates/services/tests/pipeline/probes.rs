//! Probes: a subscription becomes active only after events pass to the feed, and no fleet receives a probe.

use proptest::prelude::*;
use roadcast_aws_model::state_machine::ExecutionStatus;
use roadcast_codec::bus_entry::{PROBE_TYPE, Probe};
use roadcast_domain::ids::VehicleId;
use roadcast_domain::subscription::SubscriptionState;
use roadcast_ports::bus::{DeliveryBus as _, FleetBatch};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::feed::{FeedQueue as _, ReceiveOptions};
use roadcast_ports::provisioning::{FeedProofs, FleetChannel as _};
use roadcast_ports::stream::{StreamRecord, TelemetryStream};
use roadcast_services::authz::FleetOwner;
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::delivery::feed::FeedReader;
use roadcast_testbed::{ChannelStart, FaultPlan, InMemory};
use serde_json::json;

use crate::fixture::{NOON, PipelineFixture, admin, client_of};
use crate::workflow_fixture::WorkflowFixture;

impl WorkflowFixture {
    fn owner(&self) -> FleetOwner {
        client_of(&self.fleet.fleet_id)
    }

    /// Returns the number of probes on the delivery buses so far.
    fn probes(&self) -> usize {
        let deliveries = self.pipeline.memory.deliveries();
        let events = deliveries.iter().flat_map(|entry| &entry.events);
        events.filter(|json| Probe::decode(json).is_some()).count()
    }

    /// Publishes to the fleet's feed without enrichment.
    async fn publish(&self, json: String) {
        let (fleet_id, bus) = (self.fleet.fleet_id.clone(), self.fleet.delivery_bus.clone());
        self.pipeline
            .memory
            .publish(&[FleetBatch { fleet_id, bus, for_webhooks: false, events: vec![json] }])
            .await
            .remove(0)
            .unwrap();
    }

    async fn read_feed(&self) -> usize {
        let reader = FeedReader::<InMemory> {
            queue: self.pipeline.memory.clone(),
            entitlements: CachedEntitlements::new(self.pipeline.memory.clone(), self.pipeline.clock.clone()),
            clock: self.pipeline.clock.clone(),
        };
        let feed = reader.read(&self.owner(), ReceiveOptions::default()).await.unwrap();
        assert_eq!(feed.unreadable, Vec::<String>::new());
        feed.events.len()
    }

    fn probe(&self) -> Probe {
        Probe { fleet_id: self.fleet.fleet_id.clone(), round: 1, number: 1, time: self.pipeline.clock.now() }
    }

    fn queued(&self) -> usize {
        self.pipeline.memory.queued(&self.fleet.fleet_id).len()
    }
}

#[tokio::test]
async fn new_feed_is_probed_and_no_trace_remains() {
    let fixture = WorkflowFixture::new().await;
    let subscription = fixture.subscribe().await;
    let before = fixture.pipeline.clock.now();
    fixture.succeed().await;
    assert_eq!(fixture.subscription(&subscription).await.state, SubscriptionState::Active);
    assert_eq!(fixture.probes(), 5);
    assert_eq!(fixture.pipeline.clock.now().ms_since(before), 60_000, "the workflow waits before it probes");
    assert_eq!((fixture.queued(), fixture.read_feed().await), (0, 0));
    let memory = &fixture.pipeline.memory;
    assert_eq!(memory.pointers(&fixture.fleet.fleet_id), []);
    assert_eq!((memory.archived(), memory.quarantined(), memory.events()), (Vec::new(), Vec::new(), Vec::new()));
}

#[tokio::test]
async fn proven_feed_is_neither_waited_for_nor_probed_again() {
    let fixture = WorkflowFixture::new().await;
    fixture.subscribe().await;
    fixture.succeed().await;
    let before = fixture.pipeline.clock.now();
    let second = fixture.subscribe().await;
    fixture.succeed().await;
    assert_eq!(fixture.subscription(&second).await.state, SubscriptionState::Active);
    assert_eq!((fixture.probes(), fixture.pipeline.clock.now()), (5, before));
}

#[tokio::test]
async fn feed_is_probed_again_after_its_channel_was_lost() {
    for lost in ["queue", "rule"] {
        let fixture = WorkflowFixture::new().await;
        fixture.subscribe().await;
        fixture.succeed().await;
        let memory = &fixture.pipeline.memory;
        match lost {
            "queue" => memory.remove_queue(&fixture.fleet).await.unwrap(),
            _ => memory.remove_rule(&fixture.fleet).await.unwrap(),
        }
        fixture.subscribe().await;
        fixture.succeed().await;
        assert_eq!(fixture.probes(), 10, "{lost}");
    }
}

#[tokio::test]
async fn round_with_a_missing_probe_does_not_count() {
    let fixture = WorkflowFixture::new().await;
    // The last probe of the first round and the first one of the second round are lost.
    fixture.pipeline.memory.set_channel_start(ChannelStart { delay_ms: 1, pass: 0, lost: 6 });
    let subscription = fixture.subscribe().await;
    fixture.succeed().await;
    assert_eq!((fixture.probes(), fixture.queued()), (15, 0), "the third round is complete");
    assert_eq!(fixture.subscription(&subscription).await.state, SubscriptionState::Active);
}

#[tokio::test]
async fn channel_that_never_works_fails_with_the_name_of_the_error() {
    let fixture = WorkflowFixture::new().await;
    fixture.pipeline.memory.set_channel_start(ChannelStart { delay_ms: i64::from(u32::MAX), pass: 0, lost: 0 });
    let subscription = fixture.subscribe().await;
    let status = fixture.run(&FaultPlan::healthy(), usize::MAX).await;
    assert_eq!(status, Some(ExecutionStatus::Failed("ProvisioningFailed".to_owned())));
    let stored = fixture.subscription(&subscription).await;
    assert_eq!(stored.state, SubscriptionState::Pending);
    assert!(stored.reason.as_ref().is_some_and(|reason| reason.contains("FeedNotReady")), "{:?}", stored.reason);
    let proof = FeedProofs::get(&fixture.pipeline.memory, &fixture.fleet.fleet_id).await.unwrap();
    assert_eq!(proof.proven_at, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn active_subscription_receives_every_event_from_then_on(
        delay_ms in 0..400_000_i64,
        pass in 0..=5_u32,
        lost in 0..40_u32,
        faults in 0..40_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            // A channel that passes every entry works already.
            let pass = if pass == 1 { 0 } else { pass };
            let fixture = WorkflowFixture::new().await;
            fixture.pipeline.memory.set_channel_start(ChannelStart { delay_ms, pass, lost });
            let subscription = fixture.subscribe().await;
            let plan = if faults < 20 { FaultPlan::healthy() } else { FaultPlan::seeded(faults, 10) };
            let status = fixture.run(&plan, usize::MAX).await;
            let state = fixture.subscription(&subscription).await.state;
            if faults < 20 && delay_ms <= 60_000 && lost < 25 {
                assert_eq!(status, Some(ExecutionStatus::Succeeded));
            }
            if state != SubscriptionState::Active {
                return;
            }
            let before = fixture.queued();
            for n in 0..7 {
                fixture.pipeline.upload(&subscription.vehicles[0], &format!("{n}"), &[(n * 60, 50.0)]).await;
                fixture.pipeline.process_all(|_| FaultPlan::healthy()).await;
            }
            assert_eq!(fixture.queued() - before, 7, "delay {delay_ms} ms, every {pass}-th passes, {lost} lost");
        });
    }
}

#[tokio::test]
async fn activation_without_a_proof_is_refused() {
    let fixture = WorkflowFixture::new().await;
    let subscription = fixture.subscribe().await;
    // Queue, rule and client exist.
    fixture.run(&FaultPlan::healthy(), 3).await;
    let task = json!({
        "workflow": "provisioning", "step": "activate", "attempt": 1,
        "fleetId": fixture.fleet.fleet_id, "subscriptionId": subscription.subscription_id,
    });
    let refused = fixture.step(task.clone(), &FaultPlan::healthy()).await.unwrap_err().to_string();
    assert!(refused.contains("not proven"), "{refused}");
    assert_eq!(fixture.subscription(&subscription).await.state, SubscriptionState::Provisioning);
    fixture.pipeline.memory.mark_feed_proven(&fixture.fleet.fleet_id);
    fixture.step(task, &FaultPlan::healthy()).await.unwrap();
}

#[tokio::test]
async fn probing_leaves_other_messages_visible() {
    let fixture = WorkflowFixture::new().await;
    fixture.subscribe().await;
    fixture.succeed().await;
    for _ in 0..25 {
        fixture.publish("{}".to_owned()).await;
    }
    fixture.pipeline.memory.invalidate(&fixture.fleet.fleet_id).await.unwrap();
    fixture.subscribe().await;
    fixture.succeed().await;
    assert_eq!((fixture.probes(), fixture.queued()), (10, 25));
    let receive = || fixture.pipeline.memory.receive(&fixture.fleet.fleet_id, ReceiveOptions::default());
    for expected in [10, 10, 5] {
        assert_eq!(receive().await.unwrap().len(), expected, "they are visible at once");
    }
}

#[tokio::test]
async fn feed_deletes_stray_probes_and_leaves_those_of_a_round() {
    let fixture = WorkflowFixture::new().await;
    fixture.subscribe().await;
    fixture.succeed().await;
    fixture.publish(fixture.probe().encode().unwrap()).await;
    assert_eq!((fixture.read_feed().await, fixture.queued()), (0, 1), "a round may wait for the probe");
    fixture.pipeline.clock.advance_ms(1_000);
    let visible = fixture.pipeline.memory.receive(&fixture.fleet.fleet_id, ReceiveOptions::default()).await.unwrap();
    assert_eq!(visible.len(), 1, "the round receives it a second later");
    fixture.pipeline.clock.advance_ms(60_000);
    assert_eq!((fixture.read_feed().await, fixture.queued()), (0, 0));
}

async fn send_as_event(pipeline: &PipelineFixture, vid: &VehicleId, probe: &str) {
    let mut event: serde_json::Value = serde_json::from_str(probe).unwrap();
    let refused = pipeline.ingest().upload(&admin(), vid, &event.to_string()).await;
    assert!(refused.is_err(), "an upload with a probe is refused");
    event["subject"] = json!(vid);
    for data in [json!({}), json!({"at": NOON, "dtcs": []}), json!(null)] {
        event["data"] = data;
        for source in ["urn:roadcast", "urn:example"] {
            event["source"] = json!(source);
            let refused = pipeline.ingest().upload(&admin(), vid, &event.to_string()).await;
            assert!(refused.is_err(), "an upload with the type of a probe is refused");
            let record = StreamRecord { vid: vid.clone(), data: event.to_string().into_bytes() };
            TelemetryStream::put(&pipeline.memory, &[record]).await.remove(0).unwrap();
        }
    }
}

#[tokio::test]
async fn sender_cannot_send_a_probe() {
    let pipeline = PipelineFixture::new(3);
    let vid = pipeline.vehicle("v").await;
    let fleet_id = pipeline.fleet(std::slice::from_ref(&vid), &["telematics", "diagnostics"]).await;
    let probe = Probe { fleet_id: fleet_id.clone(), round: 1, number: 1, time: pipeline.clock.now() };
    send_as_event(&pipeline, &vid, &probe.encode().unwrap()).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    assert_eq!(pipeline.memory.quarantined().len(), 6, "every record is quarantined");
    let deliveries = pipeline.memory.deliveries();
    assert!(!format!("{deliveries:?}").contains(PROBE_TYPE), "{deliveries:?}");
}
