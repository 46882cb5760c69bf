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
    let mut transaction = Transaction::new(&fake.sdk().await.dynamodb(), "test");
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
    check(["None", "ValidationError"], PortErrorKind::Rejected).await;
    check(["ItemCollectionSizeLimitExceeded", "None"], PortErrorKind::Rejected).await;
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

#[tokio::test]
async fn conflicting_transaction_fails_after_six_attempts() {
    let fake = FakeAws::new(|_, _| cancelled(["TransactionConflict", "None"]));
    assert_eq!(commit(&fake).await, Err(PortErrorKind::Conflict));
    assert_eq!(fake.requests().len(), 6);
}
