#![allow(clippy::unwrap_used)]
use roadcast_domain::ids::VehicleId;
use serde_json::{Value, json};

use super::*;
use crate::dynamodb::keys::VID;
use crate::fake_aws::{FakeAws, Request, Response};

fn vid(n: u128) -> String {
    VehicleId::from_random_bits(n).to_string()
}

fn item(vid: &str) -> Value {
    json!({ VID: { "S": vid } })
}

/// A response with the items of `read`; the keys of `unprocessed` are left.
fn response(read: &[String], unprocessed: &[String]) -> Response {
    let items = |vids: &[String]| vids.iter().map(|vid| item(vid)).collect::<Vec<_>>();
    let left = if unprocessed.is_empty() { json!({}) } else { json!({ "vehicles": { "Keys": items(unprocessed) } }) };
    Response::ok(json!({ "Responses": { "vehicles": items(read) }, "UnprocessedKeys": left }))
}

/// Returns the keys of a request.
fn requested(request: &Request) -> Vec<String> {
    let keys = &request.json()["RequestItems"]["vehicles"]["Keys"];
    keys.as_array().unwrap().iter().map(|key| key[VID]["S"].as_str().unwrap().to_owned()).collect()
}

async fn get(fake: &FakeAws, count: u128) -> Result<BTreeSet<String>, PortErrorKind> {
    let keys = (0..count).map(|n| Key::vehicle(&VehicleId::from_random_bits(n))).collect();
    let items = get_all(&fake.sdk().dynamodb(), "vehicles", keys, "test").await.map_err(|error| error.kind())?;
    let vids: BTreeSet<String> = items.iter().map(|item| item[VID].as_s().unwrap().clone()).collect();
    assert_eq!(vids.len(), items.len(), "each item is returned once");
    Ok(vids)
}

#[tokio::test]
async fn unprocessed_keys_are_requested_again() {
    let fake = FakeAws::new(|number, request| {
        let keys = requested(request);
        match number {
            0 => response(&keys[..1], &keys[1..]),
            // No progress at all.
            1 => response(&[], &keys),
            _ => response(&keys, &[]),
        }
    });
    assert_eq!(get(&fake, 3).await, Ok((0..3).map(vid).collect()));
    let requests = fake.requests();
    let all = requested(&requests[0]);
    assert_eq!(requested(&requests[1]), all[1..]);
    assert_eq!(requested(&requests[2]), all[1..]);
    let is_consistent = |request: &Request| request.json()["RequestItems"]["vehicles"]["ConsistentRead"] == true;
    assert!(requests.len() == 3 && requests.iter().all(is_consistent));
}

#[tokio::test]
async fn read_without_progress_is_throttled_after_eight_requests() {
    let fake = FakeAws::new(|_, request| response(&[], &requested(request)));
    assert_eq!(get(&fake, 2).await, Err(PortErrorKind::Throttled));
    assert_eq!(fake.requests().len(), 8);
}

#[tokio::test]
async fn keys_are_split_into_requests_of_at_most_100() {
    let fake = FakeAws::new(|_, request| response(&requested(request), &[]));
    assert_eq!(get(&fake, 250).await, Ok((0..250).map(vid).collect()));
    let mut sizes: Vec<usize> = fake.requests().iter().map(|request| requested(request).len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 100, 100]);
}

#[tokio::test]
async fn failed_request_fails_the_read() {
    let denied = Response::error(400, json!({ "__type": "AccessDeniedException" }));
    let fake = FakeAws::new(move |number, request| {
        let keys = requested(request);
        if number == 0 { response(&keys[..1], &keys[1..]) } else { denied.clone() }
    });
    assert_eq!(get(&fake, 3).await, Err(PortErrorKind::Internal));
}
