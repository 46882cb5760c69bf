#![allow(clippy::unwrap_used)]
use roadcast_domain::ids::{Eid, SubscriptionId, VehicleId};
use roadcast_ports::PortErrorKind;
use roadcast_signals::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::fake_aws::{FakeAws, Request, Response};

#[test]
fn pointer_expires_an_hour_after_the_retention_of_14_days() {
    let now = Timestamp::parse_rfc3339("2026-11-03T09:59:59.999Z").unwrap();
    let events = vec![(VehicleId::from_random_bits(1), Eid::lower_bound(now))];
    let held_by = Holders::any([SubscriptionId::from_random_bits(3)].into());
    let delivery = Delivery { fleet_id: FleetId::from_random_bits(2), events: events.clone(), held_by };
    let pointer = FeedPointer::new(&delivery, now);
    let (_, item) = encode(&delivery.fleet_id, &pointer);
    assert_eq!(decode(&item).unwrap(), pointer);
    let held_by = Holders::all([4, 5].map(SubscriptionId::from_random_bits).into());
    let by_several = FeedPointer { held_by, ..pointer };
    assert_eq!(decode(&encode(&delivery.fleet_id, &by_several).1).unwrap(), by_several);
    assert_eq!(pointers::decode(item[EVENTS].as_b().unwrap().as_ref()).unwrap(), events);
    let expires_at: i64 = item[EXPIRES_AT].as_n().unwrap().parse().unwrap();
    assert_eq!(expires_at, Timestamp::parse_rfc3339("2026-11-17T10:59:59Z").unwrap().ms() / 1000);
}

/// Records one delivery for each of the fleets with the numbers from 0.
async fn record(fake: &FakeAws, fleets: u128) -> Result<(), PortErrorKind> {
    let index = DynamoFeedIndex::new(fake.sdk().dynamodb(), "feedIndex");
    let delivery = |n| Delivery { fleet_id: FleetId::from_random_bits(n), events: Vec::new(), held_by: Holders::None };
    index.record(&(0..fleets).map(delivery).collect::<Vec<_>>()).await.map_err(|error| error.kind())
}

/// Returns the items of a request.
fn items(request: &Request) -> Vec<Value> {
    let body = request.json();
    body["RequestItems"]["feedIndex"].as_array().unwrap().iter().map(|put| put["PutRequest"]["Item"].clone()).collect()
}

/// A response that leaves the first item of the request unprocessed.
fn first_unprocessed(request: &Request) -> Response {
    let left = json!([{ "PutRequest": { "Item": items(request)[0] } }]);
    Response::ok(json!({ "UnprocessedItems": { "feedIndex": left } }))
}

#[tokio::test]
async fn unprocessed_pointers_are_written_again() {
    let fake = FakeAws::new(|number, request| if number < 2 { first_unprocessed(request) } else { Response::ok("{}") });
    assert_eq!(record(&fake, 3).await, Ok(()));
    let requests = fake.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        let feeds: Vec<_> = items(request).iter().map(|item| item["feed"].clone()).collect();
        let first: Vec<_> = items(&requests[0]).iter().map(|item| item["feed"].clone()).collect();
        assert_eq!(feeds.len(), 3);
        assert_eq!(feeds, first, "each attempt writes the pointers of all deliveries");
    }
}

#[tokio::test]
async fn unprocessed_pointers_are_an_error_after_five_attempts() {
    let fake = FakeAws::new(|_, request| first_unprocessed(request));
    assert_eq!(record(&fake, 2).await, Err(PortErrorKind::Throttled));
    assert_eq!(fake.requests().len(), 5);
}

#[tokio::test]
async fn attempt_is_a_single_request_without_sdk_retries() {
    // The SDK would send the old stamp again.
    let fake = FakeAws::new(|_, _| Response::error(500, json!({ "__type": "InternalServerError" })));
    assert_eq!(record(&fake, 1).await, Err(PortErrorKind::Unavailable));
    assert_eq!(fake.requests().len(), 5);
}

#[tokio::test]
async fn refused_request_is_not_sent_again() {
    let fake = FakeAws::with_responses([Response::error(400, json!({ "__type": "ValidationException" }))]);
    assert_eq!(record(&fake, 1).await, Err(PortErrorKind::Internal));
}

#[tokio::test]
async fn one_failed_request_fails_the_recording() {
    let fake = FakeAws::new(|_, request| {
        let is_last = items(request).len() < batch_put::ITEMS_PER_REQUEST;
        if is_last { Response::error(400, json!({ "__type": "ValidationException" })) } else { Response::ok("{}") }
    });
    assert_eq!(record(&fake, 60).await, Err(PortErrorKind::Internal));
    let mut sizes: Vec<usize> = fake.requests().iter().map(|request| items(request).len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [10, 25, 25]);
}
