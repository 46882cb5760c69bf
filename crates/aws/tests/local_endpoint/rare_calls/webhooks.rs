//! Calls of the functions of webhooks that depend on failures and on time: slots of slow endpoints, counts of endpoints with a rate
//! limit, what waits in the store, and messages that are delayed.

use roadcast_aws::{
    DynamoDeliveries, DynamoEndpointHealths, DynamoEndpointRedrives, DynamoEndpoints, DynamoEntitlements,
    DynamoWaitingDeliveries, KmsSealer, OsRandomness, Sdk, SqsDeliveryQueue, SqsFailedDeliveries, SqsMessageDelay,
    SystemClock, keys,
};
use roadcast_domain::ids::{DeliveryId, EndpointId, FleetId};
use roadcast_domain::webhook::{Delivery, DeliveryKey, Payload};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::conformance::{self as suites, Fixtures};
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::message_delay::{FailedMessage, MessageDelay as _};
use roadcast_ports::webhooks::{
    Deliveries as _, DeliveryPut, DeliveryQueue as _, DeliveryTask, Endpoints as _, FailedDeliveries as _, Sealer as _,
    WaitingDeliveries as _, WaitingLine,
};

use super::REFERENCE;
use crate::stack::{self, REGION};

const DELIVERIES: &str = "roadcast-local-deliveries";
const QUEUES: [&str; 4] = ["webhook-events", "webhook-deliveries", "webhook-ordered.fifo", "dead-letters"];

/// The functions of webhooks.
pub(super) struct Functions<'f> {
    pub(super) api: &'f Sdk,
    pub(super) fan_out: &'f Sdk,
    pub(super) dispatcher: &'f Sdk,
    pub(super) scheduler: &'f Sdk,
    pub(super) redriver: &'f Sdk,
}

/// Makes the calls.
pub(super) async fn make(operator: &Sdk, functions: Functions<'_>) {
    stack::table(operator, DELIVERIES.to_owned(), keys::PK, Some(keys::SK)).await;
    let mut urls = Vec::new();
    for name in QUEUES {
        let fifo = (aws_sdk_sqs::types::QueueAttributeName::FifoQueue, "true");
        let attributes = if name.rsplit('.').next() == Some("fifo") { vec![fifo] } else { Vec::new() };
        urls.push(stack::queue(operator, format!("roadcast-local-{name}"), &attributes).await);
    }
    let Functions { api, fan_out, dispatcher, scheduler, redriver } = functions;
    let random = &OsRandomness;
    suites::endpoint_healths(&DynamoEndpointHealths::new(dispatcher.dynamodb(), DELIVERIES), random).await;
    suites::waiting_deliveries(&DynamoWaitingDeliveries::new(dispatcher.dynamodb(), DELIVERIES), random).await;
    suites::endpoint_redrives(&DynamoEndpointRedrives::new(api.dynamodb(), DELIVERIES), random).await;

    let fixtures = Fixtures::new(random);
    let endpoint_id = EndpointId::from_random_bits(1);
    let line = WaitingLine { fleet_id: fixtures.fleet_id(), endpoint_id, vid: Some(fixtures.vid()) };
    let lines = DynamoWaitingDeliveries::new(scheduler.dynamodb(), DELIVERIES);
    lines.lines(SystemClock.now(), None, 1).await.unwrap();
    lines.reschedule(&line, Some(SystemClock.now()), 1).await.unwrap();

    repeated_messages(fan_out, redriver).await;
    // A repeated creation returns the secret again.
    let sealer = KmsSealer::new(api.kms(), stack::key(operator).await);
    let closed = sealer.seal(&line.endpoint_id, "secret").await.unwrap();
    assert_eq!(sealer.open(&line.endpoint_id, &closed).await.unwrap(), "secret");

    let task = DeliveryTask::Line { line };
    for function in [api, fan_out, dispatcher, scheduler, redriver] {
        let queue = SqsDeliveryQueue::new(function.sqs(), &urls[1], &urls[2]);
        let sent = queue.send(&[(task.clone(), 0)]).await;
        assert!(sent.into_iter().chain(queue.send_ordered(std::slice::from_ref(&task)).await).all(|sent| sent.is_ok()));
    }
    for function in [fan_out, dispatcher] {
        SqsFailedDeliveries::new(function.sqs(), &urls[3]).send("{}").await.unwrap();
    }
    for (function, names) in [(fan_out, &QUEUES[..1]), (dispatcher, &QUEUES[1..3])] {
        let delay = SqsMessageDelay::new(function.sqs(), urls.clone());
        for name in names {
            let message = FailedMessage { receipt_handle: "unknown".to_owned(), delay_s: 1 };
            for delayed in delay.delay(&format!("arn:aws:sqs:{REGION}:000000000000:roadcast-local-{name}"), &[message]).await
            {
                delayed.unwrap();
            }
        }
    }
}

/// A message that was processed before finds its delivery, and the redrive of a dead letter changes one.
async fn repeated_messages(fan_out: &Sdk, redriver: &Sdk) {
    DynamoEntitlements::new(fan_out.dynamodb(), REFERENCE).version().await.unwrap();
    let key = DeliveryKey {
        endpoint_id: EndpointId::from_random_bits(2),
        delivery_id: DeliveryId::from_time_and_salt(SystemClock.now(), 1),
    };
    let fleet_id = FleetId::from_random_bits(1);
    let payload = Payload::Notice { event_type: "roadcast.webhook.test.v1".to_owned(), cloud_event: "{}".to_owned() };
    let delivery = Delivery::new(key.clone(), fleet_id.clone(), payload, SystemClock.now());
    let deliveries = DynamoDeliveries::new(fan_out.dynamodb(), DELIVERIES);
    for expected in [DeliveryPut::Stored, DeliveryPut::Exists] {
        assert_eq!(deliveries.put(&delivery).await.unwrap(), expected);
    }
    assert_eq!(deliveries.get(&key).await.unwrap(), Some(delivery.clone()));
    let deliveries = DynamoDeliveries::new(redriver.dynamodb(), DELIVERIES);
    assert_eq!(deliveries.get(&key).await.unwrap(), Some(delivery.clone()));
    deliveries.replace(&delivery).await.unwrap();
    let endpoints = DynamoEndpoints::new(redriver.dynamodb(), REFERENCE);
    assert_eq!(endpoints.get(&fleet_id, &key.endpoint_id).await.unwrap(), None);
}
