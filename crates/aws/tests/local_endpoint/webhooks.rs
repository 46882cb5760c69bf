//! The adapters of webhooks: tables, queues and the key.

use roadcast_aws::keys::{EXPIRES_AT, Key};
use roadcast_aws::{
    DynamoAttempts, DynamoDeliveries, DynamoEndpointHealths, DynamoEndpointRedrives, DynamoEndpoints, DynamoFleets,
    DynamoWaitingDeliveries, KmsSealer, OsRandomness, Sdk, SqsDeliveryQueue, SqsFailedDeliveries, SystemClock,
};
use roadcast_domain::ids::{DeliveryId, EndpointId, FleetId};
use roadcast_domain::webhook::{Delivery, DeliveryKey, DeliveryState, Payload};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::{Clock as _, Randomness as _};
use roadcast_ports::conformance as suites;
use roadcast_ports::webhooks::{Deliveries as _, DeliveryPut, FailedDeliveries as _};
use roadcast_signals::Timestamp;

use crate::stack::Stack;

const DAY_S: i64 = 24 * 60 * 60;

pub(crate) async fn check(sdk: &Sdk, stack: &Stack) {
    let random = &OsRandomness;
    let fleets = DynamoFleets::new(sdk.dynamodb(), &stack.reference);
    Box::pin(suites::endpoints(&DynamoEndpoints::new(sdk.dynamodb(), &stack.reference), &fleets, random)).await;
    println!("endpoints");
    let deliveries = DynamoDeliveries::new(sdk.dynamodb(), &stack.deliveries);
    suites::deliveries(&deliveries, random).await;
    suites::attempts(&DynamoAttempts::new(sdk.dynamodb(), &stack.deliveries), random).await;
    suites::endpoint_redrives(&DynamoEndpointRedrives::new(sdk.dynamodb(), &stack.deliveries), random).await;
    suites::endpoint_healths(&DynamoEndpointHealths::new(sdk.dynamodb(), &stack.deliveries), random).await;
    let waiting = DynamoWaitingDeliveries::new(sdk.dynamodb(), &stack.deliveries);
    Box::pin(suites::waiting_deliveries(&waiting, random)).await;
    println!("deliveries, attempts, redrives, health and what waits");
    suites::sealer(&KmsSealer::new(sdk.kms(), &stack.key), random).await;
    println!("sealed texts");
    let queue = SqsDeliveryQueue::new(sdk.sqs(), &stack.webhook_queue, &stack.ordered_webhook_queue);
    let receive = async |ordered| {
        let url = if ordered { &stack.ordered_webhook_queue } else { &stack.webhook_queue };
        receive_all(sdk, url).await
    };
    suites::delivery_queue(&queue, random, receive).await;
    SqsFailedDeliveries::new(sdk.sqs(), &stack.dead_letter_queue).send("{}").await.unwrap();
    assert_eq!(receive_all(sdk, &stack.dead_letter_queue).await, ["{}"]);
    println!("queues of webhooks");

    retention_depends_on_the_state(sdk, stack, &deliveries).await;
    expired_delivery_counts_as_absent(sdk, stack, &deliveries).await;
    event_that_no_item_can_hold_is_rejected(&deliveries).await;
}

/// Receives and deletes the visible messages of a queue.
async fn receive_all(sdk: &Sdk, url: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let received = sdk.sqs().receive_message().queue_url(url).max_number_of_messages(10).send().await.unwrap();
        let messages = received.messages.unwrap_or_default();
        if messages.is_empty() {
            return bodies;
        }
        for message in messages {
            let handle = message.receipt_handle.unwrap();
            sdk.sqs().delete_message().queue_url(url).receipt_handle(handle).send().await.unwrap();
            bodies.push(message.body.unwrap());
        }
    }
}

fn delivery(cloud_event: String) -> Delivery {
    let endpoint_id = EndpointId::from_random_bits(OsRandomness.bits());
    let delivery_id = DeliveryId::from_time_and_salt(SystemClock.now(), 1);
    let payload = Payload::Notice { event_type: "roadcast.webhook.test.v1".to_owned(), cloud_event };
    Delivery::new(DeliveryKey { endpoint_id, delivery_id }, FleetId::from_random_bits(1), payload, SystemClock.now())
}

async fn expiry_of(sdk: &Sdk, stack: &Stack, key: &DeliveryKey) -> i64 {
    let request = sdk.dynamodb().get_item().table_name(&stack.deliveries).set_key(Some(Key::delivery(key).attributes()));
    request.send().await.unwrap().item.unwrap()[EXPIRES_AT].as_n().unwrap().parse().unwrap()
}

async fn retention_depends_on_the_state(sdk: &Sdk, stack: &Stack, deliveries: &DynamoDeliveries) {
    let pending = delivery("{}".to_owned());
    deliveries.put(&pending).await.unwrap();
    let days_from_now = |expires_at| (expires_at - SystemClock.now().ms() / 1000 + DAY_S / 2) / DAY_S;
    assert_eq!(days_from_now(expiry_of(sdk, stack, &pending.key).await), 30);
    deliveries.replace(&Delivery { state: DeliveryState::Delivered, ..pending.clone() }).await.unwrap();
    assert_eq!(days_from_now(expiry_of(sdk, stack, &pending.key).await), 7);
}

async fn expired_delivery_counts_as_absent(sdk: &Sdk, stack: &Stack, deliveries: &DynamoDeliveries) {
    let expired = delivery("{}".to_owned());
    deliveries.put(&expired).await.unwrap();
    let past = aws_sdk_dynamodb::types::AttributeValue::N((Timestamp::from_ms(0).ms() + 1).to_string());
    let update = sdk.dynamodb().update_item().table_name(&stack.deliveries);
    let update = update.set_key(Some(Key::delivery(&expired.key).attributes()));
    let update = update.update_expression("SET #expires = :past").expression_attribute_names("#expires", EXPIRES_AT);
    update.expression_attribute_values(":past", past).send().await.unwrap();
    assert_eq!(deliveries.get(&expired.key).await.unwrap(), None);
    assert_eq!(deliveries.list(&expired.key.endpoint_id, None, 10).await.unwrap(), []);
    assert_eq!(deliveries.put(&expired).await.unwrap(), DeliveryPut::Stored);
    println!("expired deliveries");
}

async fn event_that_no_item_can_hold_is_rejected(deliveries: &DynamoDeliveries) {
    // Zstandard halves hexadecimal digits of random bytes at best.
    let digits =
        |bytes: usize| (0..bytes / 32).map(|_| format!("{:032x}", OsRandomness.bits())).collect::<Vec<_>>().concat();
    let large = delivery(digits(600_000));
    deliveries.put(&large).await.unwrap();
    assert_eq!(deliveries.get(&large.key).await.unwrap(), Some(large), "half of an item after compression");
    let rejected = deliveries.put(&delivery(digits(900_000))).await.unwrap_err();
    assert_eq!(rejected.kind(), PortErrorKind::Rejected);
    assert_eq!(deliveries.put(&delivery("0".repeat(2 << 20))).await.unwrap_err().kind(), PortErrorKind::Rejected);
    println!("large events");
}
