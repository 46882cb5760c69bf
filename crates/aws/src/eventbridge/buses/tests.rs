#![allow(clippy::unwrap_used)]
use roadcast_domain::ids::FleetId;
use roadcast_domain::lane::Lane;
use roadcast_ports::PortErrorKind;
use serde_json::{Value, json};

use super::*;
use crate::fake_aws::{FakeAws, Request, Response};

/// An entry with one event, which is the number `n`.
fn entry(n: usize) -> Batch {
    Batch { lane: Lane::Telemetry, for_notices: false, events: vec![n.to_string()] }
}

fn published() -> Value {
    json!({ "EventId": "1" })
}

fn failed(code: &str) -> Value {
    json!({ "ErrorCode": code, "ErrorMessage": "refused" })
}

fn throttled() -> Value {
    failed("ThrottlingException")
}

fn response(results: impl Into<Vec<Value>>) -> Response {
    Response::ok(json!({ "FailedEntryCount": 0, "Entries": results.into() }))
}

/// Returns the numbers of the entries in a request.
fn numbers(request: &Request) -> Vec<usize> {
    let body = request.json();
    let detail = |entry: &Value| serde_json::from_str::<Value>(entry["Detail"].as_str().unwrap()).unwrap();
    let number = |entry| usize::try_from(detail(entry)["events"][0].as_u64().unwrap()).unwrap();
    body["Entries"].as_array().unwrap().iter().map(number).collect()
}

/// Publishes entries with the numbers from 0. Returns the kind of error of each, and which entries each request contained.
async fn publish_numbers(fake: &FakeAws, count: usize) -> (Vec<Option<PortErrorKind>>, Vec<Vec<usize>>) {
    let bus = EventBridgeIngestBus::new(fake.sdk().eventbridge(), "ingest");
    let results = bus.publish(&(0..count).map(entry).collect::<Vec<_>>()).await;
    let kinds = results.iter().map(|result| result.as_ref().err().map(PortError::kind)).collect();
    (kinds, fake.requests().iter().map(numbers).collect())
}

#[test]
fn detail_contains_the_events_unchanged() {
    let events = [r#"{"id":"1","data":{"v":1.50}}"#.to_owned(), r#"{"id":"2"}"#.to_owned()];
    assert_eq!(detail("", &events), r#"{"events":[{"id":"1","data":{"v":1.50}},{"id":"2"}]}"#);
    let of_fleet: serde_json::Value = serde_json::from_str(&detail(r#""fleetId":"flt_a","#, &events)).unwrap();
    assert_eq!(of_fleet["fleetId"], "flt_a");
    assert_eq!(of_fleet["events"][1], json!({"id": "2"}));
    assert_eq!(detail("", &[]), r#"{"events":[]}"#);
}

#[test]
fn service_counts_no_more_bytes_than_the_port() {
    // PutEvents counts 14 for the time.
    let counted = |entry: &BusEntry<'_>| 14 + entry.source.len() + entry.detail_type.len() + entry.detail.len();
    for events in [vec![], vec!["{}".to_owned()], vec!["{}".to_owned(); 40]] {
        for lane in Lane::ALL {
            let batch = Batch { lane, for_notices: true, events: events.clone() };
            let entry = BusEntry::ingest("bus", &batch);
            assert!(counted(&entry) <= entry.bytes);
        }
        let fleet_batch =
            FleetBatch { fleet_id: FleetId::from_random_bits(u128::MAX), bus: "bus".to_owned(), for_webhooks: true, events };
        let entry = BusEntry::delivery(&fleet_batch);
        assert!(counted(&entry) <= entry.bytes);
    }
}

#[test]
fn only_an_entry_for_the_notices_has_their_mark() {
    let detail = |for_notices| {
        let batch = Batch { lane: Lane::Alerts, for_notices, events: vec!["{}".to_owned()] };
        BusEntry::ingest("bus", &batch).detail
    };
    assert_eq!((detail(true).as_str(), detail(false).as_str()), (r#"{"notice":true,"events":[{}]}"#, r#"{"events":[{}]}"#));
}

#[tokio::test]
async fn detail_type_states_the_lane_of_an_entry() {
    let fake = FakeAws::with_responses([response([published(), published()])]);
    let bus = EventBridgeIngestBus::new(fake.sdk().eventbridge(), "ingest");
    let entries = Lane::ALL.map(|lane| Batch { lane, for_notices: false, events: vec!["{}".to_owned()] });
    assert!(bus.publish(&entries).await.iter().all(Result::is_ok));
    let sent = &fake.bodies()[0]["Entries"];
    assert_eq!([&sent[0]["DetailType"], &sent[1]["DetailType"]], ["roadcast.alerts.v1", "roadcast.events.v1"]);
}

#[test]
fn event_result_is_classified_by_its_own_error_code() {
    let failed = |code: &str| event_result(PutEventsResultEntry::builder().error_code(code).build()).map_err(|e| e.kind());
    assert_eq!(failed("ThrottlingException"), Err(PortErrorKind::Throttled));
    assert_eq!(failed("InternalFailure"), Err(PortErrorKind::Unavailable));
    assert_eq!(failed("MalformedDetail"), Err(PortErrorKind::Rejected));
    assert!(event_result(PutEventsResultEntry::builder().event_id("1").build()).is_ok());
}

#[tokio::test]
async fn throttled_entry_is_retried_alone() {
    let fake = FakeAws::with_responses([response([published(), throttled(), published()]), response([published()])]);
    let (kinds, sent) = publish_numbers(&fake, 3).await;
    assert_eq!(kinds, [None; 3]);
    assert_eq!(sent, [vec![0, 1, 2], vec![1]]);
}

#[tokio::test]
async fn refused_entry_is_reported_at_its_index() {
    let first = response([throttled(), failed("MalformedDetail"), published(), failed("InternalFailure")]);
    let fake = FakeAws::with_responses([first, response([published(), failed("MalformedDetail")])]);
    let (kinds, sent) = publish_numbers(&fake, 4).await;
    assert_eq!(kinds, [None, Some(PortErrorKind::Rejected), None, Some(PortErrorKind::Rejected)]);
    assert_eq!(sent, [vec![0, 1, 2, 3], vec![0, 3]], "an entry that is refused for good is not retried");
}

#[tokio::test]
async fn retries_end_after_four_attempts() {
    let fake =
        FakeAws::new(|number, _| response(if number == 0 { vec![published(), throttled()] } else { vec![throttled()] }));
    let (kinds, sent) = publish_numbers(&fake, 2).await;
    assert_eq!(kinds, [None, Some(PortErrorKind::Throttled)]);
    assert_eq!(sent, [vec![0, 1], vec![1], vec![1], vec![1]]);
}

#[tokio::test]
async fn results_of_concurrent_requests_are_in_the_order_of_the_entries() {
    // Entry 3 is accepted at the third attempt, entry 17 never, so the three requests end in another order.
    let fake = FakeAws::new(|number, request| {
        let result = |n: usize| match n {
            3 if number < 4 => throttled(),
            17 => failed("MalformedDetail"),
            _ => published(),
        };
        response(numbers(request).into_iter().map(result).collect::<Vec<_>>())
    });
    let (kinds, sent) = publish_numbers(&fake, 25).await;
    let refused: Vec<usize> = (0..kinds.len()).filter(|index| kinds[*index].is_some()).collect();
    assert_eq!((kinds.len(), refused), (25, vec![17]));
    let mut sizes: Vec<usize> = sent.iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 5, 10, 10]);
}

#[tokio::test]
async fn delivery_entry_is_retried_on_the_bus_of_its_fleet() {
    let batch = |n: u128| FleetBatch {
        fleet_id: FleetId::from_random_bits(n),
        bus: format!("delivery-{n}"),
        for_webhooks: n == 2,
        events: vec!["{}".to_owned()],
    };
    let fake = FakeAws::with_responses([response([published(), throttled()]), response([published()])]);
    let bus = EventBridgeDeliveryBus::new(fake.sdk().eventbridge());
    let results = bus.publish(&[batch(1), batch(2)]).await;
    assert!(results.len() == 2 && results.iter().all(Result::is_ok));
    let entry = &fake.bodies()[1]["Entries"][0];
    assert_eq!(entry["EventBusName"], "delivery-2");
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail["webhook"], true, "the rule of webhooks selects entries by it");
    assert!(!fake.bodies()[0]["Entries"][0]["Detail"].as_str().unwrap().contains("webhook"));
}
