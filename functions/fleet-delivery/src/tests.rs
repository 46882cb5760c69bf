#![allow(clippy::unwrap_used)]
use roadcast_domain::caller::Caller;
use roadcast_lambda_kit::http::Invocation;
use roadcast_services::cache::CachedEntitlements;
use roadcast_testbed::{Fault, FaultPlan, Faulty, ManualClock, Memory, WithFaults};
use serde_json::{Value, json};

use super::*;

const READ: &str = "/fleets/{fleetId}/feed";
const ACKNOWLEDGE: &str = "/fleets/{fleetId}/feed/ack";

type Feed = FleetDelivery<WithFaults>;

fn fleet_id() -> FleetId {
    FleetId::from_random_bits(1)
}

fn token_of(fleet_id: &FleetId) -> String {
    AckToken { ack_handles: vec!["1-1".to_owned(), "2-1".to_owned()] }.encode(fleet_id).unwrap()
}

/// Returns the API on a queue that fails by `plan`.
fn feed(plan: FaultPlan) -> Feed {
    let (memory, clock) = (Memory::default(), ManualClock::default());
    let entitlements = CachedEntitlements::new(Faulty::healthy(memory.clone()), clock.clone());
    let feed_reader = FeedReader { queue: Faulty::new(memory, plan), entitlements, clock };
    FleetDelivery { feed_reader, poll_interval: PollInterval::new(30) }
}

/// Sends a request as a client of the fleet.
async fn call(feed: &Feed, resource: &str, body: &Value) -> Result<Response, Problem> {
    let operation = Feed::OPERATIONS.iter().find(|found| found.resource == resource).unwrap();
    let event = json!({"httpMethod": "POST", "pathParameters": {"fleetId": fleet_id()}, "body": body.to_string(),
        "requestContext": {"httpMethod": "POST", "resourcePath": resource}});
    let request = serde_json::from_str::<Invocation>(&event.to_string()).unwrap().into_request().unwrap();
    operation.handle(feed, &request, &Caller::Fleet(fleet_id())).await
}

/// Sends a request as a client of the fleet. Returns the status, and the pointer of the problem.
async fn send(feed: &Feed, resource: &str, body: &Value) -> (u16, String) {
    match call(feed, resource, body).await {
        Ok(response) => (response.status().as_u16(), String::new()),
        Err(problem) => {
            let pointer = problem.errors().first().map(|error| error.pointer.clone());
            (problem.status().as_u16(), pointer.unwrap_or_default())
        }
    }
}

#[tokio::test]
async fn members_of_the_body_are_optional_and_bounded() {
    let feed = feed(FaultPlan::healthy());
    for body in [
        json!({}),
        json!({"max": 1, "waitSeconds": 0}),
        json!({"max": 10, "waitSeconds": 20}),
        json!({"ack": token_of(&fleet_id())}),
    ] {
        assert_eq!(send(&feed, READ, &body).await, (200, String::new()), "{body}");
    }
    for (body, pointer) in [
        (json!({"max": 0}), "/max"),
        (json!({"max": 11}), "/max"),
        (json!({"max": -1}), "/max"),
        (json!({"max": 1.5}), "/max"),
        (json!({"max": null}), "/max"),
        (json!({"waitSeconds": 21}), "/waitSeconds"),
        (json!({"waitSeconds": "1"}), "/waitSeconds"),
        (json!({"ack": null}), "/ack"),
        (json!({"wait": 1}), "/wait"),
    ] {
        assert_eq!(send(&feed, READ, &body).await, (422, pointer.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn only_tokens_of_the_feed_are_accepted() {
    let feed = feed(FaultPlan::healthy());
    let token = token_of(&fleet_id());
    let too_many = AckToken { ack_handles: vec!["1-1".to_owned(); 11] }.encode(&fleet_id()).unwrap();
    for invalid in ["", "x", &token[1..], &token[..token.len() - 2], &token_of(&FleetId::from_random_bits(2)), &too_many] {
        let body = json!({ "ack": invalid });
        assert_eq!(send(&feed, READ, &body).await, (422, "/ack".to_owned()), "{body}");
        assert_eq!(send(&feed, ACKNOWLEDGE, &body).await, (422, "/ack".to_owned()), "{body}");
    }
    for _ in 0..2 {
        assert_eq!(send(&feed, ACKNOWLEDGE, &json!({ "ack": token })).await.0, 204, "the message may be deleted already");
    }
}

#[tokio::test]
async fn request_that_failed_after_its_acknowledgement_can_be_repeated() {
    let plan = FaultPlan::script([Some(Fault::Unavailable)]).only(&["receive"]);
    let feed = feed(plan);
    let body = json!({ "ack": token_of(&fleet_id()) });
    assert_eq!(send(&feed, READ, &body).await.0, 503);
    assert_eq!(send(&feed, READ, &body).await.0, 200);
}

#[tokio::test]
async fn response_states_when_to_read_again() {
    let response = call(&feed(FaultPlan::healthy()), READ, &json!({})).await.unwrap();
    assert_eq!(response.header("retry-after"), Some("30"));
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(body, json!({"events": [], "nextPollSeconds": 30}));
}
