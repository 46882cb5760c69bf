//! Redrives of dead letters that the end-to-end test does not cause.

use roadcast_aws::{
    AwsRedriveTargets, DynamoFleets, EventBridgeDeliveryBus, KinesisTelemetryStream, OsRandomness, RedriveTargetNames, Sdk,
};
use roadcast_ports::bus::{DeliveryBus as _, FleetBatch};
use roadcast_ports::conformance::Fixtures;
use roadcast_ports::fleets::Fleets as _;
use roadcast_ports::redrive::RedriveTargets as _;
use roadcast_ports::stream::{StreamRecord, TelemetryStream as _};

use super::REFERENCE;
use crate::stack;

const DELIVERY_BUS: &str = "roadcast-local-delivery";

/// Sends to the lanes of enrichment, a delivery bus, the stream and the loader.
pub(super) async fn make(operator: &Sdk, function: &Sdk) {
    let fixtures = Fixtures::new(&OsRandomness);
    for lane in ["telemetry", "alerts"] {
        let name = format!("roadcast-local-enrichment-{lane}");
        operator.sqs().create_queue().queue_name(name).send().await.unwrap();
    }
    let notices = operator.sqs().create_queue().queue_name("roadcast-local-alert-notices").send().await.unwrap();
    operator.eventbridge().create_event_bus().name(DELIVERY_BUS).send().await.unwrap();
    let stream = stack::stream(operator, "roadcast-local-telemetry".to_owned()).await;

    let names = RedriveTargetNames {
        stream_processor: "roadcast-local-stream-processor".to_owned(),
        reference_loader: "roadcast-local-reference-loader".to_owned(),
        enrichment_queue_prefix: "roadcast-local-enrichment-".to_owned(),
        notice_queue_url: notices.queue_url.unwrap(),
    };
    let targets = AwsRedriveTargets::new(function.lambda(), function.sqs(), names);
    for lane in ["telemetry", "alerts"] {
        targets.enrich(lane, "{}").await.unwrap();
    }
    targets.notify("{}").await.unwrap();
    targets.import("{}").await.expect_err("no function is deployed");

    let fleets = DynamoFleets::new(function.dynamodb(), REFERENCE);
    assert_eq!(fleets.get(&fixtures.fleet_id()).await.unwrap(), None);
    let batch = FleetBatch {
        fleet_id: fixtures.fleet_id(),
        bus: DELIVERY_BUS.to_owned(),
        for_webhooks: false,
        events: vec!["{}".to_owned()],
    };
    for published in EventBridgeDeliveryBus::new(function.eventbridge()).publish(&[batch]).await {
        published.unwrap();
    }
    let record = StreamRecord { vid: fixtures.vid(), data: b"{}".to_vec() };
    for put in KinesisTelemetryStream::new(function.kinesis(), stream).put(&[record]).await {
        put.unwrap();
    }
}
