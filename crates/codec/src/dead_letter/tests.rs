#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

const STREAM: &str = include_str!("fixtures/stream-failure.json");
const FUNCTION: &str = include_str!("fixtures/function-failure.json");
const DEVICE_RULE: &str = include_str!("fixtures/device-rule-failure.json");
const BUS_EVENT: &str = include_str!("fixtures/bus-event.json");
const OBJECT: &str = include_str!("fixtures/object-created.json");

fn message(body: &str) -> QueueMessage {
    QueueMessage {
        message_id: "059f36b4-87a3-44ab-83d2-661975830a7d".to_owned(),
        body: body.to_owned(),
        sent_at: time("2026-11-29T10:00:00Z"),
        moved_from: None,
        attributes: BTreeMap::new(),
    }
}

fn from_rule(rule: &str, body: &str) -> QueueMessage {
    let attributes = [
        ("RULE_ARN", format!("arn:aws:events:eu-central-1:123456789012:rule/{rule}")),
        ("TARGET_ARN", "arn:aws:sqs:eu-central-1:123456789012:target".to_owned()),
        ("ERROR_CODE", "NO_PERMISSIONS".to_owned()),
        ("ERROR_MESSAGE", "the queue does not allow it".to_owned()),
        ("EXHAUSTED_RETRY_CONDITION", "MaximumRetryAttempts".to_owned()),
        ("RETRY_ATTEMPTS", "185".to_owned()),
    ];
    QueueMessage { attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into(), ..message(body) }
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn failure(message: &QueueMessage) -> Failure {
    match DeadMessage::parse(message) {
        DeadMessage::Failure(failure) => *failure,
        other => panic!("not a failure: {other:?}"),
    }
}

#[test]
fn event_that_a_fleet_rule_could_not_deliver_names_the_fleet() {
    let rule = "roadcast-dev-delivery/roadcast-dev-feed-flt_0000000000000002";
    let found = failure(&from_rule(rule, BUS_EVENT));
    assert_eq!((found.hop, found.reason.as_str(), found.items), (Hop::Feed, "no_permissions", 2));
    assert_eq!(found.fleet_id, "flt_0000000000000002".parse().ok(), "of the rule that failed");
    assert_eq!(found.detail.as_deref(), Some("MaximumRetryAttempts is exhausted: the queue does not allow it"));
    assert_eq!((found.first_at, found.failed_at), (time("2026-11-29T09:00:00Z"), time("2026-11-29T10:00:00Z")));
    assert_eq!(found.pointers.source.as_deref(), Some("roadcast-dev-feed-flt_0000000000000002"));
    assert_eq!(found.pointers.attempts, Some(185));
    // What the target receives, an array, instead of the event.
    let found = failure(&from_rule(rule, r#"[{"id":"a"}]"#));
    assert_eq!((found.hop, found.items), (Hop::Feed, 1));
}

#[test]
fn failure_of_an_enrichment_rule_has_its_lane() {
    let found = failure(&from_rule("roadcast-dev-ingest/roadcast-dev-enrichment-alerts", BUS_EVENT));
    assert_eq!((found.hop, found.pointers.lane.as_deref()), (Hop::Enrichment, Some("alerts")));
    let found = failure(&from_rule("roadcast-dev-ingest/roadcast-dev-enrichment", BUS_EVENT));
    assert_eq!((found.hop, found.pointers.lane), (Hop::Enrichment, None));
    assert_eq!(failure(&from_rule("other/rule", BUS_EVENT)).hop, Hop::Unknown);
}

#[test]
fn failures_of_notices_are_those_of_their_rules_and_their_queue() {
    let bus = "roadcast-dev-ingest/roadcast-dev-alert-notices";
    for rule in [bus.to_owned(), format!("{bus}-endpoint")] {
        let found = failure(&from_rule(&rule, BUS_EVENT));
        assert_eq!((found.hop, found.pointers.lane, found.pointers.attempts), (Hop::Notice, None, Some(185)), "{rule}");
    }
    let detail = r#"{"notice":true,"events":[{"id":"a"}]}"#;
    let moved = QueueMessage {
        moved_from: Some("arn:aws:sqs:eu-central-1:123456789012:roadcast-dev-alert-notices".to_owned()),
        ..message(detail)
    };
    for message in [moved, message(detail)] {
        let found = failure(&message);
        assert_eq!((found.hop, found.reason.as_str(), found.items), (Hop::Notice, "receives_exhausted", 1));
        assert_eq!(found.bytes, detail.as_bytes());
    }
    assert_eq!(failure(&message(r#"{"notice":false,"events":[]}"#)).hop, Hop::Unknown);
}

#[test]
fn event_of_the_ingest_bus_names_its_lane_without_a_queue() {
    let ingest = BUS_EVENT.replace("roadcast.delivery", "roadcast.ingest");
    let found = failure(&message(&ingest));
    assert_eq!((found.hop, found.pointers.lane.as_deref()), (Hop::Enrichment, Some("telemetry")));
    assert_eq!(failure(&message(BUS_EVENT)).hop, Hop::Webhook, "only webhooks get whole entries of the delivery bus");
    let foreign = BUS_EVENT.replace("roadcast.delivery", "com.example");
    assert_eq!(failure(&message(&foreign)).hop, Hop::Unknown, "an event of another bus");
}

#[test]
fn message_that_was_received_too_often_has_its_queue_and_lane() {
    let moved_from = Some("arn:aws:sqs:eu-central-1:123456789012:roadcast-dev-enrichment-telemetry".to_owned());
    let found = failure(&QueueMessage { moved_from, ..message(BUS_EVENT) });
    assert_eq!((found.hop, found.reason.as_str()), (Hop::Enrichment, "receives_exhausted"));
    assert_eq!(found.pointers.lane.as_deref(), Some("telemetry"));
    assert_eq!(found.pointers.message_id.as_deref(), Some("17793124-05d4-b198-2fde-7ededc63b103"));
    assert_eq!(found.bytes, BUS_EVENT.as_bytes());
    let moved_from = Some("arn:aws:sqs:eu-central-1:123456789012:other".to_owned());
    assert_eq!(failure(&QueueMessage { moved_from, ..message(BUS_EVENT) }).hop, Hop::Unknown);
}

#[test]
fn failed_import_is_identified_by_its_invocation() {
    let found = failure(&message(FUNCTION));
    assert_eq!((found.hop, found.reason.as_str(), found.items), (Hop::BulkImport, "retries_exhausted", 1));
    assert_eq!(found.detail.as_deref(), Some("opening a file of bulk data: unavailable"));
    assert_eq!(found.source, "e4b46cbf-b738-4f3c-8880-a18cdf61200e");
    assert_eq!(found.failed_at, time("2026-11-29T18:16:05.568Z"));
    assert_eq!(found.pointers.target.as_deref(), Some("roadcast-dev-reference-loader"));
}

#[test]
fn device_message_is_read_as_json_and_as_base64_without_a_vin() {
    for body in [DEVICE_RULE.to_owned(), STANDARD.encode(DEVICE_RULE)] {
        let found = failure(&message(&body));
        assert_eq!((found.hop, found.reason.as_str()), (Hop::DeviceRule, "kinesis_action"));
        assert!(found.detail.unwrap().starts_with("Failed to put record for (vin). The error"));
        assert_eq!(found.bytes, DEVICE_RULE.as_bytes());
    }
}

#[test]
fn notification_names_objects_and_a_test_names_none() {
    let DeadMessage::Objects(notices) = DeadMessage::parse(&message(OBJECT)) else { panic!("objects") };
    let [notice] = notices.as_slice() else { panic!("{notices:?}") };
    assert!(notice.key.ends_with("-a+b") && notice.bytes == 1024);
    let key = FailureObjectKey::parse(&notice.key).unwrap();
    assert_eq!((key.shard.as_str(), key.stored_at), ("shardId-000000000001", time("2026-11-29T00:38:06Z")));
    let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-11-29T09:00:00.000Z","Bucket":"b"}"#;
    assert_eq!(DeadMessage::parse(&message(test)), DeadMessage::TestNotice);
}

#[test]
fn quarantine_key_has_reason_day_and_records() {
    let key = "quarantine/reason=time_ahead/dt=2026-11-03/shardId-000000000003-7-9-0123456789abcdef.ndjson.zst";
    let parsed = QuarantineKey::parse(key).unwrap();
    assert_eq!((parsed.reason.code(), parsed.day), ("time_ahead", time("2026-11-03T00:00:00Z")));
    assert_eq!((parsed.shard.as_str(), parsed.last_sequence_number.as_str()), ("shardId-000000000003", "9"));
    for key in ["quarantine/", "quarantine/reason=x/dt=2026-11-03/a-1-2-3", "raw/dt=2026-11-03/hour=1/a-1-2.zst"] {
        assert_eq!(QuarantineKey::parse(key), None, "{key}");
    }
}

#[test]
fn failed_batch_has_its_records_and_its_payload() {
    let found = StreamFailure::parse(STREAM.as_bytes()).unwrap();
    assert_eq!((found.reason.as_str(), found.items), ("retry_attempts_exhausted", 2));
    assert_eq!(found.failed_at, Some(time("2026-11-29T00:38:06.021Z")));
    assert_eq!(found.first_at, Some(time("2026-11-28T22:38:04.835Z")));
    assert_eq!(found.pointers.source.as_deref(), Some("roadcast-dev-telemetry"));
    assert_eq!(found.pointers.shard.as_deref(), Some("shardId-000000000001"));
    assert!(found.pointers.last_sequence_number.unwrap().ends_with("3495186"));
    let payload = StreamFailure::payload(STREAM.as_bytes()).unwrap();
    assert!(payload.starts_with(r#"{"Records":[{"kinesis":"#));
    assert_eq!(StreamFailure::payload(br#"{"payload": {"Records": []}}"#).unwrap(), r#"{"Records": []}"#);
    assert!(matches!(StreamFailure::payload(b"{}"), Err(InvalidFailureRecord::WithoutPayload)));
    assert!(StreamFailure::parse(&STREAM.as_bytes()[..STREAM.len() - 10]).is_err());
}

#[test]
fn message_of_an_unknown_format_is_a_failure_with_its_body() {
    let records = r#"{"Records": [{"dynamodb": {}}]}"#;
    for body in ["", "not json", "[]", "{}", records, r#"{"Records": []}"#, r#"{"Event": "other"}"#, "aGVsbG8="] {
        let found = failure(&message(body));
        assert_eq!((found.hop, found.reason.as_str()), (Hop::Unknown, "unknown_format"), "{body}");
        assert_eq!(found.bytes, body.as_bytes());
    }
}

proptest! {
    #[test]
    fn any_message_has_a_meaning(body: String, attributes: BTreeMap<String, String>, rule: String, moved_from: Option<String>) {
        let mut message = QueueMessage { moved_from, attributes, ..message(&body) };
        let _ = DeadMessage::parse(&message);
        message.attributes.insert("RULE_ARN".to_owned(), rule);
        let _ = DeadMessage::parse(&message);
    }

    #[test]
    fn any_object_and_key_is_parsed_or_refused(bytes: Vec<u8>, key in "(aws/lambda/|quarantine/)?\\PC{0,80}") {
        let _ = StreamFailure::parse(&bytes);
        let _ = StreamFailure::payload(&bytes);
        let _ = FailureObjectKey::parse(&key);
        let _ = QuarantineKey::parse(&key);
    }
}

#[test]
fn failed_webhook_delivery_is_one_failure_when_sent_again() {
    use roadcast_domain::ids::{DeliveryId, EndpointId};
    use roadcast_domain::webhook::{Delivery, DeliveryKey, FailureReason, Payload};

    let at = time("2026-11-29T09:00:00Z");
    let key =
        DeliveryKey { endpoint_id: EndpointId::from_random_bits(1), delivery_id: DeliveryId::from_time_and_salt(at, 1) };
    let payload = Payload::Notice { event_type: "t".to_owned(), cloud_event: "{}".to_owned() };
    let delivery = Delivery::new(key, FleetId::from_random_bits(2), payload, at);
    let record = |delivery: &Delivery| crate::failed_delivery::encode(delivery).unwrap();
    let failed = delivery.failed(FailureReason::Expired, at.plus_ms(60_000));
    let first = failure(&message(&record(&failed)));
    let again = QueueMessage { message_id: "another".to_owned(), ..message(&record(&failed)) };
    assert_eq!((first.hop, first.reason.as_str()), (Hop::Webhook, "expired"));
    assert_eq!(first.fleet_id, Some(FleetId::from_random_bits(2)));
    assert_eq!((first.failed_at, &first.source), (at.plus_ms(60_000), &failure(&again).source));
    assert_eq!(first.bytes, record(&failed).into_bytes());
    let redriven = Delivery { created_at: at.plus_ms(90_000), ..delivery };
    let failed_again = failure(&message(&record(&redriven.failed(FailureReason::Expired, at.plus_ms(99_000)))));
    assert_ne!(failed_again.source, first.source, "a failure after a redrive is another one");
}

#[test]
fn webhook_messages_are_found_with_and_without_their_queue() {
    let moved = |queue: &str, body: &str| QueueMessage {
        moved_from: Some(format!("arn:aws:sqs:eu-central-1:123456789012:{queue}")),
        ..message(body)
    };
    let task = r#"{"task":"attempt","fleetId":"flt_0000000000000002","endpointId":"e","deliveryId":"d"}"#;
    let entry = BUS_EVENT.replace("roadcast.ingest", "roadcast.delivery");
    for found in [
        failure(&moved("roadcast-dev-webhook-deliveries", task)),
        failure(&message(task)),
        failure(&moved("roadcast-dev-webhook-events", &entry)),
        failure(&from_rule("roadcast-dev-delivery/roadcast-dev-webhooks", &entry)),
    ] {
        assert_eq!(found.hop, Hop::Webhook, "{found:?}");
    }
    assert_eq!(failure(&message(task)).fleet_id, "flt_0000000000000002".parse().ok());
    assert_eq!(failure(&moved("roadcast-dev-other", task)).hop, Hop::Unknown);
}

#[test]
fn task_of_a_back_test_names_it_and_its_fleet() {
    let task = r#"{"fleetId":"flt_0000000000000002","backTestId":"bkt_0000000000000003"}"#;
    let moved = |queue: &str, body: &str| QueueMessage {
        moved_from: Some(format!("arn:aws:sqs:eu-central-1:123456789012:{queue}")),
        ..message(body)
    };
    for found in [failure(&moved("roadcast-dev-back-tests", task)), failure(&message(task))] {
        assert_eq!((found.hop, found.reason.as_str()), (Hop::BackTest, "receives_exhausted"));
        assert_eq!(found.fleet_id, "flt_0000000000000002".parse().ok());
        assert_eq!(found.pointers.target.as_deref(), Some("bkt_0000000000000003"));
        assert_eq!(found.bytes, task.as_bytes());
    }
    let of_operator = failure(&moved("roadcast-dev-back-tests", r#"{"backTestId":"bkt_0000000000000003"}"#));
    assert_eq!((of_operator.hop, of_operator.fleet_id), (Hop::BackTest, None));
    // Whatever is in the queue of back-tests is kept as such.
    assert_eq!(failure(&moved("roadcast-dev-back-tests", "{}")).hop, Hop::BackTest);
    assert_eq!(failure(&moved("roadcast-dev-other", task)).hop, Hop::Unknown);
}
