#![allow(clippy::unwrap_used)]
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::vehicle_mapping::{FileVersion, MappedDetails, VehicleMapping};
use roadcast_ports::bulk::{PutOutcome, VehicleMappings as _};
use roadcast_signals::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::dynamodb::DynamoVehicleMappings;
use crate::fake_aws::{FakeAws, Request, Response};

fn put(name: &str) -> ItemPut<'static> {
    ("table", Item::new(), Key::keyed_request(name), Condition::None)
}

#[test]
fn group_is_limited_by_transaction_size_and_repeated_items() {
    let mut sets: Vec<_> = (0..60).map(|n| vec![put(&format!("a{n}")), put(&format!("b{n}"))]).collect();
    sets.push(vec![put("a59")]);
    sets.push(vec![put("c")]);
    let groups = groups(sets);
    let sizes: Vec<_> = groups.iter().map(|group| (group.indexes[0], group.indexes.len(), group.puts.len())).collect();
    assert_eq!(sizes, [(0, 50, 100), (50, 10, 20), (60, 2, 2)]);
}

const TRANSACT: &str = "TransactWriteItems";
const TOO_LARGE: &str = "Item size has exceeded the maximum allowed size";

fn mapping(n: usize) -> VehicleMapping {
    VehicleMapping {
        fleet_id: FleetId::from_random_bits(1),
        vid: VehicleId::from_random_bits(n as u128),
        details: MappedDetails::default(),
        removed: false,
        version: FileVersion::new(Timestamp::from_ms(0), "", "test"),
        line: n as u64,
    }
}

/// Stores mappings with the numbers from 0.
async fn put_all(fake: &FakeAws, count: usize) -> Result<Vec<Result<PutOutcome, PortErrorKind>>, PortErrorKind> {
    let mappings = DynamoVehicleMappings::new(fake.sdk().dynamodb(), "reference");
    let results = mappings.put_all(&(0..count).map(mapping).collect::<Vec<_>>()).await;
    let results = results.map_err(|error| error.kind())?;
    Ok(results.into_iter().map(|result| result.map_err(|error| error.kind())).collect())
}

/// Returns the number of the mapping that an action writes.
fn number(item: &Value) -> usize {
    let vid = item["sk"]["S"].as_str().unwrap();
    (0..1_000).find(|n| vid == mapping(*n).vid.as_str()).unwrap()
}

/// Returns the numbers of the mappings that a request writes.
fn numbers(request: &Request) -> Vec<usize> {
    let body = request.json();
    match body["TransactItems"].as_array() {
        Some(actions) => actions.iter().map(|action| number(&action["Put"]["Item"])).collect(),
        None => vec![number(&body["Item"])],
    }
}

/// A cancelled transaction in which the action at `index` has the reason `code`.
fn cancelled(actions: usize, index: usize, code: &str) -> Response {
    let reason = |n| if n == index { json!({ "Code": code, "Message": TOO_LARGE }) } else { json!({ "Code": "None" }) };
    let reasons: Vec<_> = (0..actions).map(reason).collect();
    Response::error(400, json!({ "__type": "TransactionCanceledException", "CancellationReasons": reasons }))
}

fn condition_failed() -> Response {
    Response::error(400, json!({ "__type": "ConditionalCheckFailedException", "message": "not newer" }))
}

#[tokio::test]
async fn sets_of_a_cancelled_group_are_written_one_by_one() {
    // Mapping 150 is not newer than the stored one. Its group is the second of three, and the first ends last.
    let fake = FakeAws::new(|_, request| {
        let numbers = numbers(request);
        match numbers.iter().position(|n| *n == 150) {
            Some(index) if request.operation == TRANSACT => cancelled(numbers.len(), index, "ConditionalCheckFailed"),
            Some(_) => condition_failed(),
            None if numbers[0] == 0 => Response::ok("{}").late(),
            None => Response::ok("{}"),
        }
    });
    let results = put_all(&fake, 250).await.unwrap();
    let expect: Vec<_> = (0..250).map(|n| Ok(if n == 150 { PutOutcome::NotNewer } else { PutOutcome::Stored })).collect();
    assert_eq!(results, expect, "the results are in the order of the mappings");

    let (groups, alone): (Vec<_>, Vec<_>) = fake.requests().into_iter().partition(|sent| sent.operation == TRANSACT);
    assert_eq!(groups.len(), 3, "a cancelled group is not sent again");
    let alone: Vec<usize> = alone.iter().flat_map(numbers).collect();
    assert_eq!(alone, (100..200).collect::<Vec<_>>(), "only the sets of the cancelled group are written alone");
}

#[tokio::test]
async fn throttled_group_is_retried_as_a_group() {
    let fake = FakeAws::with_responses([cancelled(3, 1, "ThrottlingError"), Response::ok("{}")]);
    assert_eq!(put_all(&fake, 3).await.unwrap(), vec![Ok(PutOutcome::Stored); 3]);
    assert_eq!(fake.operations(), [TRANSACT; 2]);
    assert!(fake.requests().iter().all(|request| numbers(request) == [0, 1, 2]));
}

#[tokio::test]
async fn refused_set_is_reported_at_its_index() {
    let refused = || Response::error(400, json!({ "__type": "ValidationException", "message": TOO_LARGE }));
    let fake =
        FakeAws::with_responses([cancelled(3, 1, "ValidationError"), Response::ok("{}"), refused(), Response::ok("{}")]);
    let stored = Ok(PutOutcome::Stored);
    assert_eq!(put_all(&fake, 3).await.unwrap(), [stored, Err(PortErrorKind::Rejected), stored]);
    assert_eq!(fake.operations(), [TRANSACT, "PutItem", "PutItem", "PutItem"]);
}
