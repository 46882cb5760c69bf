#![allow(clippy::unwrap_used)]
use roadcast_domain::ids::VehicleId;
use serde_json::json;

use super::*;
use crate::fake_aws::{FakeAws, Response};

/// A cancelled transaction with a reason for each of its actions.
fn cancelled(codes: [&str; 2]) -> Response {
    let reasons = codes.map(|code| json!({ "Code": code }));
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    Response::error(400, json!({ "__type": kind, "Message": "Transaction cancelled", "CancellationReasons": reasons }))
}

async fn commit(fake: &FakeAws) -> Result<(), PortErrorKind> {
    let mut transaction = Transaction::new(&fake.sdk().dynamodb(), "test");
    for n in 1..=2 {
        let key = Key::vehicle(&VehicleId::from_random_bits(n));
        transaction = transaction.put("vehicles", key.attributes(), &key, Condition::Absent).unwrap();
    }
    transaction.commit().await.map_err(|error| error.kind())
}

#[tokio::test]
async fn cancelled_transaction_reports_the_cause_of_its_item() {
    let check = async |codes, expect| {
        let fake = FakeAws::with_responses([cancelled(codes)]);
        assert_eq!(commit(&fake).await, Err(expect), "{codes:?}");
    };
    check(["None", "ConditionalCheckFailed"], PortErrorKind::Conflict).await;
    check(["ConditionalCheckFailed", "TransactionConflict"], PortErrorKind::Conflict).await;
    check(["None", "ProvisionedThroughputExceeded"], PortErrorKind::Throttled).await;
    check(["ThrottlingError", "None"], PortErrorKind::Throttled).await;
    check(["None", "ValidationError"], PortErrorKind::Internal).await;
    check(["ItemCollectionSizeLimitExceeded", "None"], PortErrorKind::Internal).await;
}

#[tokio::test]
async fn conflicting_transaction_is_committed_again() {
    let conflict = || cancelled(["None", "TransactionConflict"]);
    let fake = FakeAws::with_responses([conflict(), conflict(), Response::ok("{}")]);
    assert_eq!(commit(&fake).await, Ok(()));
    let items: Vec<_> = fake.bodies().iter().map(|body| body["TransactItems"].clone()).collect();
    assert_eq!(items.len(), 3);
    assert!(items.iter().all(|sent| *sent == items[0]), "each attempt is the entire transaction");
}

fn in_progress() -> Response {
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionInProgressException";
    Response::error(400, json!({ "__type": kind, "Message": "The transaction is already in progress" }))
}

fn tokens(fake: &FakeAws) -> Vec<String> {
    fake.bodies().iter().map(|body| body["ClientRequestToken"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn transaction_in_progress_is_repeated_with_its_token() {
    // The SDK sends the request three times, as it does with a throttled one.
    let fake = FakeAws::with_responses([in_progress(), in_progress(), in_progress(), Response::ok("{}")]);
    assert_eq!(commit(&fake).await, Ok(()));
    let tokens = tokens(&fake);
    assert_eq!(tokens.len(), 4);
    assert!(tokens.iter().all(|token| *token == tokens[0]), "with another token, the items of the first attempt exist");
}

#[tokio::test]
async fn cancelled_transaction_is_committed_again_with_another_token() {
    let fake = FakeAws::with_responses([cancelled(["None", "TransactionConflict"]), Response::ok("{}")]);
    assert_eq!(commit(&fake).await, Ok(()));
    let tokens = tokens(&fake);
    assert_ne!(tokens[0], tokens[1]);
}

#[tokio::test]
async fn conflicting_transaction_fails_after_six_attempts() {
    let fake = FakeAws::new(|_, _| cancelled(["TransactionConflict", "None"]));
    assert_eq!(commit(&fake).await, Err(PortErrorKind::Conflict));
    assert_eq!(fake.requests().len(), 6);
}
