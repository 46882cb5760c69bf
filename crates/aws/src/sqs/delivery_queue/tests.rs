#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;

use roadcast_domain::ids::{DeliveryId, FleetId};
use roadcast_domain::webhook::DeliveryKey;
use roadcast_signals::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::fake_aws::{FakeAws, Response};

fn task(n: u128, vid: Option<u128>) -> DeliveryTask {
    let delivery_id = DeliveryId::from_time_and_salt(Timestamp::from_ms(1), n);
    DeliveryTask::Attempt {
        fleet_id: FleetId::from_random_bits(1),
        key: DeliveryKey { endpoint_id: EndpointId::from_random_bits(7), delivery_id },
        vid: vid.map(VehicleId::from_random_bits),
    }
}

fn queue(fake: &FakeAws) -> SqsDeliveryQueue {
    SqsDeliveryQueue::new(fake.sdk().sqs(), "https://sqs/webhooks", "https://sqs/webhooks.fifo")
}

fn sent() -> Response {
    Response::ok(json!({ "Successful": [], "Failed": [] }))
}

fn entries(body: &Value) -> &Vec<Value> {
    body["Entries"].as_array().unwrap()
}

#[tokio::test]
async fn messages_of_an_endpoint_are_one_group_and_delayed_at_most_15_minutes() {
    let fake = FakeAws::with_responses([sent()]);
    let results = queue(&fake).send(&[(task(1, Some(3)), 0), (task(2, None), 5000)]).await;
    assert!(results.len() == 2 && results.iter().all(Result::is_ok));
    let body = &fake.bodies()[0];
    assert_eq!(body["QueueUrl"], "https://sqs/webhooks");
    for (entry, delay_s) in entries(body).iter().zip([0, 900]) {
        assert_eq!(entry["MessageGroupId"], json!(EndpointId::from_random_bits(7)));
        assert_eq!(entry["DelaySeconds"], delay_s);
        assert!(entry.get("MessageDeduplicationId").is_none());
    }
    assert_eq!(
        serde_json::from_str::<DeliveryTask>(entries(body)[1]["MessageBody"].as_str().unwrap()).unwrap(),
        task(2, None)
    );
}

#[tokio::test]
async fn equal_ordered_messages_of_a_vehicle_are_all_sent_in_one_group() {
    let fake = FakeAws::with_responses([sent(), sent()]);
    let queue = queue(&fake);
    for _ in 0..2 {
        assert!(queue.send_ordered(&[task(1, Some(3)), task(1, Some(4))]).await.iter().all(Result::is_ok));
    }
    let bodies = fake.bodies();
    assert_eq!(bodies[0]["QueueUrl"], "https://sqs/webhooks.fifo");
    let all = || bodies.iter().flat_map(entries);
    let of = |name: &str| all().map(|entry| entry[name].as_str().unwrap()).collect::<BTreeSet<_>>();
    let group = |vid| format!("{}#{}", EndpointId::from_random_bits(7), VehicleId::from_random_bits(vid));
    assert_eq!(of("MessageGroupId"), [group(3), group(4)].iter().map(String::as_str).collect());
    assert_eq!(of("MessageDeduplicationId").len(), 4);
    assert!(all().all(|entry| entry.get("DelaySeconds").is_none()), "SQS refuses a delay of a FIFO message");
}

#[tokio::test]
async fn request_that_is_repeated_has_the_same_deduplication_id() {
    let failed = json!({ "Successful": [], "Failed": [{ "Id": "0", "Code": "InternalError", "SenderFault": false }] });
    let fake = FakeAws::with_responses([Response::ok(failed), sent()]);
    assert!(queue(&fake).send_ordered(&[task(1, Some(3))]).await[0].is_ok());
    let bodies = fake.bodies();
    let id = |n: usize| &entries(&bodies[n])[0]["MessageDeduplicationId"];
    assert_eq!(id(0), id(1));
}

#[tokio::test]
async fn each_task_has_the_result_of_its_entry() {
    let failed = json!({ "Successful": [], "Failed": [{ "Id": "1", "Code": "AccessDenied", "SenderFault": true }] });
    let fake =
        FakeAws::new(move |_, request| if entries(&request.json()).len() == 10 { Response::ok(&failed) } else { sent() });
    let tasks: Vec<_> = (0..12).map(|n| (task(n, None), 0)).collect();
    let results = queue(&fake).send(&tasks).await;
    let failed: Vec<usize> = (0..results.len()).filter(|index| results[*index].is_err()).collect();
    assert_eq!((results.len(), failed), (12, vec![1]));
}
