//! The messages of alerts.

use roadcast_codec::{alert_record, bus_entry};
use roadcast_domain::Timestamp;
use roadcast_domain::alert::Alert;
use roadcast_domain::alert_notice::AlertNotice;
use roadcast_domain::event::{Event, StoredEvent};
use roadcast_domain::ids::{AlertId, Eid, FleetId, RuleId, VehicleId};
use roadcast_domain::lane::Lane;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_lambda_kit::eventbridge::BusEvent;
use roadcast_ports::bus::Batch;
use roadcast_ports::secrets::SecretSource as _;
use roadcast_services::alerts::notifier::{AlertNotifier, NotifierCounts};
use roadcast_testbed::InMemory;
use serde_json::{Value, json};

use crate::contract::Contract;
use crate::golden;
use crate::pipeline::Pipeline;

/// An alert of a rule of the fleet, or of the operator: raised, and withdrawn later.
fn alerts(vid: &VehicleId, owner: Option<&FleetId>) -> [StoredEvent; 2] {
    let at = Timestamp::parse_rfc3339("2026-11-20T08:15:03Z").expect("a time");
    let (rule_id, cause) = (RuleId::from_random_bits(17), Eid::for_event(vid, "urn:example:logger:42", "184467", at));
    let raised = json!({
        "alertId": AlertId::for_alert(&rule_id, 3, vid, at), "change": "raised",
        "rule": {"fleetId": owner, "ruleId": rule_id, "version": 3, "name": "Fast with a fault", "severity": "warning"},
        "at": at, "raisedAt": at, "revision": 1, "cause": {"eid": cause, "received": at.plus_ms(3_120)},
        "signals": [
            {"path": "Vehicle.Speed", "value": 131.5, "at": at},
            {"path": "Vehicle.CurrentLocation.Latitude"},
        ],
        "diagnostic": {"at": at.plus_ms(-2_000), "mil": true, "dtcs": [{"code": "P0301", "status": "active"}]},
    });
    let raised: Alert = serde_json::from_value(raised).expect("an alert");
    let mut withdrawn = serde_json::to_value(&raised).expect("JSON");
    for (name, value) in
        [("change", json!("withdrawn")), ("withdraws", json!("raised")), ("revision", json!(2)), ("late", json!(true))]
    {
        withdrawn[name] = value;
    }
    let withdrawn: Alert = serde_json::from_value(withdrawn).expect("an alert");
    [raised, withdrawn].map(|alert| alert.into_event(vid.clone()))
}

/// The record of an alert event.
async fn record(pipeline: &Pipeline, event: &Event) -> Vec<u8> {
    alert_record::write(event, &pipeline.memory.secrets().await.expect("the secret")).expect("a record")
}

/// What the code writes about alerts.
pub(crate) struct Alerts {
    /// The record of an alert of the fleet.
    pub(crate) record: Value,
    /// The entry of alerts of the operator.
    pub(crate) entry: Batch,
    /// The notice of the first of them.
    pub(crate) notice: AlertNotice,
}

/// Writes an alert of the fleet and alerts of the operator.
pub(crate) async fn produce(pipeline: &Pipeline) -> Alerts {
    let [of_fleet, _] = alerts(&pipeline.car, Some(&pipeline.fleet_id));
    let record = record(pipeline, &of_fleet.event).await;
    let of_operator = alerts(&pipeline.car, None);
    let events: Vec<&Event> = of_operator.iter().map(|alert| &alert.event).collect();
    let encoded = bus_entry::encode(&events, DeliveryFormat::Blocks, None).expect("JSON");
    let events: Vec<String> = encoded.into_iter().map(|entry| entry.json).collect();
    let detail = format!(r#"{{"notice":true,"events":[{}]}}"#, events.first().expect("an event"));
    let memory = &pipeline.memory;
    let notifier = AlertNotifier::<InMemory> {
        sent: memory.clone(),
        bus: memory.clone(),
        topic: memory.clone(),
        clock: memory.clock().clone(),
        stage: "dev".to_owned(),
    };
    notifier.notify(&detail).await.expect("the notice is sent");
    Alerts {
        record: serde_json::from_slice(&record).expect("JSON"),
        entry: Batch { lane: Lane::Alerts, for_notices: true, events },
        notice: memory.notices_on_bus().remove(0),
    }
}

#[tokio::test]
async fn golden_alert_record_is_stored_and_not_published() {
    let contract = Contract::read();
    let golden = golden::read(&contract, "AlertRecord").remove(0);
    let pipeline = Pipeline::new().await;
    let (event, _) = Event::from_cloud_event(&golden["event"].to_string()).unwrap();
    // The MAC is of the bytes, which the golden file does not keep.
    pipeline.put(&record(&pipeline, &event).await);
    let outcome = pipeline.process().await;
    assert_eq!((outcome.retry_from, outcome.counts.samples_stored), (None, 1), "{:?}", outcome.failures);
    assert!(pipeline.memory.quarantined().is_empty() && pipeline.memory.take_published().is_empty());
}

#[tokio::test]
async fn golden_entry_of_alerts_is_delivered_and_matches_the_contract() {
    let contract = Contract::read();
    let text = golden::read(&contract, "AlertEntry").remove(0).to_string();
    let entry: BusEvent = serde_json::from_str(&text).unwrap();
    let pipeline = Pipeline::new().await;
    let counts = pipeline.enrich(&entry.events().collect::<Vec<_>>()).await.unwrap();
    assert_eq!((counts.events_received, counts.events_delivered), (2, 2));
    let message: Value = serde_json::from_str(&pipeline.memory.queued(&pipeline.fleet_id)[0]).unwrap();
    contract.check("FeedMessage", &message).unwrap_or_else(|error| panic!("{error}"));
    for event in message.as_array().unwrap() {
        contract.check("WebhookDelivery", event).unwrap_or_else(|error| panic!("{error}"));
    }
    let feed = pipeline.feed().await;
    let expected = alerts(&pipeline.car, None).map(|alert| alert.event);
    let mut returned: Vec<Event> = feed.events.into_iter().map(|delivered| delivered.event).collect();
    returned.sort_by_key(|event| event.eid != expected[0].eid);
    assert_eq!(returned, expected);
    for (name, wrong) in [("change", json!("lowered")), ("withdraws", json!("raised")), ("alertId", json!("1"))] {
        let mut other = message.clone();
        let raised = other.as_array_mut().unwrap().iter_mut().find(|event| event["data"]["change"] == "raised").unwrap();
        raised["data"][name] = wrong;
        assert!(contract.check("FeedMessage", &other).is_err(), "{name}");
    }
}

#[tokio::test]
async fn golden_notice_is_sent_and_put_on_the_bus() {
    let contract = Contract::read();
    let golden = |message: &str| golden::read(&contract, message).remove(0);
    let pipeline = Pipeline::new().await;
    let memory = &pipeline.memory;
    let notifier = AlertNotifier::<InMemory> {
        sent: memory.clone(),
        bus: memory.clone(),
        topic: memory.clone(),
        clock: memory.clock().clone(),
        stage: "dev".to_owned(),
    };
    for (message, published) in [("NoticeRequest", 1), ("NoticeEntry", 1)] {
        let counts = notifier.notify(&golden(message).to_string()).await.unwrap();
        assert_eq!(counts, NotifierCounts { sent: 1, repeated: 0, ignored: 0 }, "{message}");
        assert_eq!(memory.published_notices().len(), published, "{message}");
    }
    let on_bus = memory.notices_on_bus();
    let notice = golden("AlertNotice");
    assert_eq!((on_bus.len(), serde_json::to_value(&on_bus[0]).unwrap()), (2, notice.clone()));
    assert_eq!(on_bus[0], on_bus[1]);
    for (name, wrong) in [("withdraws", json!("raised")), ("value", json!(131.5)), ("summary", json!("x".repeat(100)))] {
        let mut other = notice.clone();
        other[name] = wrong;
        assert!(contract.check("AlertNotice", &other).is_err(), "{name}");
    }
}
