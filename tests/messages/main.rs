//! The output of the code, the golden files and asyncapi.yaml agree.

// Tests may panic.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod alerts;
mod back_tests;
mod contract;
mod golden;
mod pipeline;
mod produced;
mod webhooks;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::Contract;
use pipeline::Pipeline;
use roadcast_aws::{FEED_INPUT_PATH, feed_pattern};
use roadcast_domain::lane::Lane;
use roadcast_domain::limits;
use roadcast_domain::refusal::Reason;
use roadcast_lambda_kit::eventbridge::BusEvent;
use serde_json::{Value, json};

/// Messages that only Roadcast writes.
const OWN_MESSAGES: [&str; 18] = [
    "AlertRecord",
    "AlertEntry",
    "NoticeRequest",
    "NoticeEntry",
    "AlertNotice",
    "IngestEntry",
    "DeliveryEntry",
    "FeedMessage",
    "ProbeEntry",
    "ProbeDelivery",
    "ProbeMessage",
    "RawLine",
    "QuarantineLine",
    "AttemptTask",
    "LineTask",
    "BackTestTask",
    "WebhookNotice",
    "FailedDelivery",
];
/// Their optional members, each with the end of its path, which begins with the message.
const OPTIONAL: [&str; 12] = [
    "BackTestTask/fleetId",
    "mil",
    "vid",
    "eid",
    "index",
    "status",
    "rule/fleetId",
    "detail/notice",
    "data/cause",
    "data/signals",
    "data/diagnostic",
    "diagnostic/at",
];

#[tokio::test]
async fn written_messages_equal_the_golden_files() {
    let contract = Contract::read();
    let produced = produced::produce().await.messages;
    let differences: Vec<String> =
        produced.iter().flat_map(|(message, written)| golden::compare(&contract, message, written)).collect();
    assert!(differences.is_empty(), "{}", golden::advice(&differences));
}

#[tokio::test]
async fn written_messages_match_their_schemas() {
    let contract = Contract::read();
    let produced = produced::produce().await;
    for (message, written) in &produced.messages {
        for payload in written {
            contract.check(message, payload).unwrap_or_else(|error| panic!("{message}: {error}\n{payload:#}"));
        }
    }
    let headers = json!({ "partitionKey": produced.upload_key });
    contract.check_headers("UploadRecord", &headers).unwrap_or_else(|error| panic!("{error}"));
    for message in ["WebhookDelivery", "WebhookNotice"] {
        let checked = contract.check_headers(message, &produced.webhook_headers);
        checked.unwrap_or_else(|error| panic!("{message}: {error}"));
    }
}

#[tokio::test]
async fn contract_code_and_golden_files_have_the_same_messages() {
    let contract = Contract::read().messages();
    assert_eq!(golden::messages(), contract, "the golden files differ from the messages of the contract");
    let produced: BTreeSet<String> = produced::produce().await.messages.into_keys().map(str::to_owned).collect();
    assert_eq!(produced, contract, "the written messages differ from those of the contract");
}

#[test]
fn golden_files_match_their_schemas() {
    let contract = Contract::read();
    for message in contract.messages() {
        let messages = golden::read(&contract, &message);
        assert!(!messages.is_empty(), "{message}: the file is empty");
        for payload in messages {
            contract.check(&message, &payload).unwrap_or_else(|error| panic!("{message}: {error}\n{payload:#}"));
        }
    }
}

/// Ensures that the schemas are strict enough for the tests above to be meaningful.
#[test]
fn schema_rejects_renamed_and_missing_members() {
    let contract = Contract::read();
    for message in OWN_MESSAGES {
        for payload in golden::read(&contract, message) {
            for (pointer, name) in members(&payload) {
                let without = changed(&payload, &pointer, &name, None);
                let renamed = changed(&payload, &pointer, &name, Some(&format!("{name}x")));
                assert!(
                    contract.check(message, &renamed).is_err(),
                    "{message}{pointer}: the schema accepts a renamed {name}"
                );
                let path = format!("/{message}{pointer}/{name}");
                if !OPTIONAL.iter().any(|optional| path.ends_with(&format!("/{optional}"))) {
                    assert!(
                        contract.check(message, &without).is_err(),
                        "{message}{pointer}: the schema accepts a missing {name}"
                    );
                }
            }
        }
    }
}

/// All members of a value, recursively, by the pointer of their object and their name. Signals are not entered: their names
/// vary.
fn members(value: &Value) -> Vec<(String, String)> {
    fn collect(value: &Value, pointer: &str, found: &mut Vec<(String, String)>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    found.push((pointer.to_owned(), name.clone()));
                    if name != "signals" {
                        collect(member, &format!("{pointer}/{name}"), found);
                    }
                }
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(n, item)| collect(item, &format!("{pointer}/{n}"), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(value, "", &mut found);
    found
}

/// The value with one member of the object at `pointer` removed or renamed.
fn changed(value: &Value, pointer: &str, name: &str, renamed: Option<&str>) -> Value {
    let mut value = value.clone();
    let object = value.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object");
    let member = object.remove(name).expect("a member");
    if let Some(renamed) = renamed {
        object.insert(renamed.to_owned(), member);
    }
    value
}

#[tokio::test]
async fn golden_records_are_stored_completely() {
    let contract = Contract::read();
    let only = |message: &str| golden::read(&contract, message).remove(0);
    let compressed = STANDARD.decode(only("PackedRecord").as_str().unwrap()).unwrap();
    for (record, samples) in [
        (only("EventRecord").to_string().into_bytes(), 3),
        (only("BatchRecord").to_string().into_bytes(), 2),
        (compressed, 2),
    ] {
        let pipeline = Pipeline::new().await;
        pipeline.put(&record);
        let outcome = pipeline.process().await;
        assert_eq!((outcome.retry_from, outcome.counts.samples_stored), (None, samples), "{:?}", outcome.failures);
        assert_eq!(pipeline.memory.quarantined(), []);
        assert!(outcome.counts.signals_rejected.is_empty());
    }
}

#[tokio::test]
async fn golden_ingest_entry_is_delivered() {
    let contract = Contract::read();
    let text = golden::read(&contract, "IngestEntry").remove(0).to_string();
    let entry: BusEvent = serde_json::from_str(&text).unwrap();
    let pipeline = Pipeline::new().await;
    let counts = pipeline.enrich(&entry.events().collect::<Vec<_>>()).await.unwrap();
    assert_eq!(counts.events_delivered, 6);
    let delivered: Value = serde_json::from_str(&pipeline.memory.queued(&pipeline.fleet_id)[0]).unwrap();
    assert_eq!(golden::decoded(delivered), golden::decoded(golden::read(&contract, "FeedMessage").remove(0)));
}

#[tokio::test]
async fn rule_selects_the_feed_message_of_a_delivery_entry() {
    let contract = Contract::read();
    let entry = golden::read(&contract, "DeliveryEntry").remove(0);
    let input_path = FEED_INPUT_PATH.strip_prefix('$').unwrap().replace('.', "/");
    assert_eq!(entry.pointer(&input_path), Some(&golden::read(&contract, "FeedMessage").remove(0)));
    let produced = produced::produce().await;
    assert_eq!(feed_pattern(&produced.fleet_id), json!({ "detail": { "fleetId": [entry["detail"]["fleetId"]] } }));
}

#[tokio::test]
async fn golden_feed_message_is_returned_by_the_feed() {
    let contract = Contract::read();
    let message = golden::read(&contract, "FeedMessage").remove(0);
    let pipeline = Pipeline::new().await;
    pipeline.deliver(message.as_array().unwrap().iter().map(Value::to_string).collect()).await;
    let feed = pipeline.feed().await;
    assert_eq!((feed.unreadable.len(), feed.events.len()), (0, 6));
    let returned: Vec<Value> = feed.cloud_events().unwrap().iter().map(|e| serde_json::from_str(e.get()).unwrap()).collect();
    contract.check("FeedMessage", &Value::from(returned)).unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn custom_event_matches_the_contract_at_every_step() {
    let contract = Contract::read();
    let pipeline = Pipeline::new().await;
    pipeline.register_tyres().await;
    let sent = json!({
        "specversion": "1.0", "id": "tyre-1", "source": "urn:example:unit:1207", "type": pipeline::TYRE,
        "time": "2026-11-20T08:15:04Z", "data": {"wheel": "rear-left", "kPa": 612.5},
    });
    contract.check("EventRecord", &sent).unwrap_or_else(|error| panic!("{error}"));
    pipeline.put(sent.to_string().as_bytes());
    let outcome = pipeline.process().await;
    assert_eq!((outcome.retry_from, outcome.counts.samples_stored), (None, 1), "{:?}", outcome.failures);
    let published = pipeline.memory.take_published().remove(0).events;
    pipeline.enrich(&published.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    let entry = json!({
        "source": "roadcast.ingest", "detail-type": "roadcast.events.v1",
        "detail": {"events": published.iter().map(|event| serde_json::from_str(event).unwrap()).collect::<Vec<Value>>()},
    });
    contract.check("IngestEntry", &entry).unwrap_or_else(|error| panic!("{error}"));
    let message: Value = serde_json::from_str(&pipeline.memory.queued(&pipeline.fleet_id)[0]).unwrap();
    contract.check("FeedMessage", &message).unwrap_or_else(|error| panic!("{error}"));
    let data = STANDARD.decode(message[0]["data_base64"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&message[0]["type"], serde_json::from_slice::<Value>(&data).unwrap()),
        (&sent["type"], sent["data"].clone())
    );
    let returned: Value = serde_json::from_str(pipeline.feed().await.cloud_events().unwrap()[0].get()).unwrap();
    assert_eq!((&returned["data"], &returned["data_base64"]), (&sent["data"], &Value::Null));
    for (name, wrong) in [("type", json!("roadcast.tyre.v1")), ("subject", json!("bus")), ("datax", json!(1))] {
        let mut other = message.clone();
        other[0][name] = wrong;
        assert!(contract.check("FeedMessage", &other).is_err(), "{name}");
    }
}

#[test]
fn limits_and_reasons_of_the_contract_equal_those_of_the_code() {
    let contract = Contract::read();
    let limit =
        |pointer: &str| usize::try_from(contract.at(&format!("/components/schemas{pointer}")).as_u64().unwrap()).unwrap();
    assert_eq!(limit("/UploadRecord/maxItems"), limits::EVENTS_PER_UPLOAD);
    assert_eq!(limit("/SentAttribute/maxLength"), limits::ATTRIBUTE_BYTES);
    assert_eq!(limit("/SentSubject/maxLength"), limits::ATTRIBUTE_BYTES);
    assert_eq!(limit("/Extension/maxLength"), limits::ATTRIBUTE_BYTES);
    for schema in ["SentTelemetryData", "Telemetry"] {
        assert_eq!(limit(&format!("/{schema}/properties/samples/maxItems")), limits::SAMPLES_PER_EVENT);
    }
    for schema in ["SentDiagnosticData", "Diagnostic"] {
        assert_eq!(limit(&format!("/{schema}/properties/dtcs/maxItems")), limits::CODES_PER_EVENT);
    }
    assert_eq!(limit("/SignalPath/maxLength"), roadcast_signals::MAX_PATH_BYTES);
    assert_eq!(contract.at("/components/schemas/Reason/enum"), &json!(Reason::ALL.map(Reason::code)));
}

/// A string of the template, with its substitutions replaced by the parameters of the contract.
fn template_text(path: &[&str]) -> String {
    let template: serde_norway::Value = serde_norway::from_str(&contract::read("template.yaml")).unwrap();
    let value = path.iter().fold(&template["Resources"], |value, name| match name.parse::<usize>() {
        Ok(index) => &value[index],
        Err(_) => &value[*name],
    });
    let text = value.as_str().unwrap_or_else(|| panic!("{path:?} is not a string"));
    text.replace("${Stage}", "{stage}")
        .replace("${AWS::AccountId}", "{accountId}")
        .replace("${AWS::Region}", "{region}")
        .replace("${!iot:Connection.Thing.ThingName}", "{vid}")
}

#[test]
fn channel_addresses_equal_those_of_the_template() {
    let contract = Contract::read();
    let property = |resource: &str, property: &str| template_text(&[resource, "Properties", property]);
    assert_eq!(contract.address("telemetry"), property("TelemetryStream", "Name"));
    assert_eq!(contract.address("ingestBus"), property("IngestBus", "Name"));
    assert_eq!(contract.address("telemetryQueue"), property("TelemetryQueue", "QueueName"));
    assert_eq!(contract.address("alertsQueue"), property("AlertsQueue", "QueueName"));
    assert_eq!(contract.address("alertNotices"), property("AlertNotices", "QueueName"));
    assert_eq!(contract.address("operatorAlerts"), property("OperatorAlerts", "TopicName"));
    assert_eq!(contract.address("deliveryBus"), property("DeliveryBus", "Name"));
    assert_eq!(contract.address("webhookEvents"), property("WebhookEvents", "QueueName"));
    assert_eq!(contract.address("webhookDeliveries"), property("WebhookDeliveries", "QueueName"));
    assert_eq!(contract.address("webhookOrdered"), property("WebhookOrdered", "QueueName"));
    assert_eq!(contract.address("backTests"), property("BackTestTasks", "QueueName"));
    assert_eq!(contract.address("deadLetters"), property("DeadLetters", "QueueName"));
    for function in ["FleetDelivery", "Provisioner"] {
        let prefix = template_text(&[function, "Properties", "Environment", "Variables", "FEED_QUEUE_PREFIX"]);
        assert_eq!(contract.address("fleetQueue"), format!("{prefix}{{fleetId}}"));
    }
    let bucket = property("ArchiveBucket", "BucketName");
    assert!(contract.address("rawArchive").starts_with(&format!("{bucket}/raw/")));
    assert!(contract.address("quarantine").starts_with(&format!("{bucket}/quarantine/")));

    let rule = property("DeviceRule", "RuleName");
    assert_eq!(contract.address("deviceTopic"), format!("$aws/rules/{rule}/{{vid}}"));
    let policy = ["DevicePolicy", "Properties", "PolicyDocument", "Statement", "1", "Resource"];
    assert!(template_text(&policy).ends_with(&format!(":topic/{}", contract.address("deviceTopic"))));
    // The partition key is the first topic level after the rule name, the vehicle. The record is the unchanged payload.
    let payload = ["DeviceRule", "Properties", "TopicRulePayload"];
    assert_eq!(template_text(&[&payload[..], &["Actions", "0", "Kinesis", "PartitionKey"]].concat()), "${topic(1)}");
    assert_eq!(template_text(&[&payload[..], &["Sql"]].concat()), "SELECT *");
}

#[test]
fn rules_of_notices_match_what_the_code_writes() {
    let contract = Contract::read();
    for (rule, message, selected) in
        [("AlertNoticesRule", "AlertEntry", "NoticeRequest"), ("IncidentRule", "NoticeEntry", "AlertNotice")]
    {
        let entry = golden::read(&contract, message).remove(0);
        for name in ["source", "detail-type"] {
            assert_eq!(entry[name], template_text(&[rule, "Properties", "EventPattern", name, "0"]), "{rule}: {name}");
        }
        assert_eq!(template_text(&[rule, "Properties", "Targets", "0", "InputPath"]), "$.detail", "{rule}");
        contract.check(selected, &entry["detail"]).unwrap_or_else(|error| panic!("{rule}: {error}"));
    }
}

#[test]
fn each_lane_of_the_ingest_bus_is_matched_by_its_rule() {
    let contract = Contract::read();
    for (lane, rule, message) in
        [(Lane::Telemetry, "TelemetryRule", "IngestEntry"), (Lane::Alerts, "AlertsRule", "AlertEntry")]
    {
        let entry = golden::read(&contract, message).remove(0);
        assert_eq!(entry["detail-type"], lane.detail_type());
        for name in ["source", "detail-type"] {
            assert_eq!(entry[name], template_text(&[rule, "Properties", "EventPattern", name, "0"]), "{rule}: {name}");
        }
    }
}

#[tokio::test]
async fn bus_names_and_object_keys_match_the_contract() {
    let contract = Contract::read();
    let produced = produced::produce().await;
    assert_eq!(produced.delivery_bus, contract.address("deliveryBus").replace("{stage}", "dev"));
    let raw = golden::read(&contract, "RawLine");
    let day = |line: &Value| line["arrivedAt"].as_str().unwrap()[..10].to_owned();
    let key = |channel: &str| contract.address(channel).split_once('/').unwrap().1.to_owned();
    let seq = |n: usize| format!("4960{n:052}");
    let fill = |key: String, line: &Value, first: usize, last: usize| {
        key.replace("{date}", &day(line))
            .replace("{hour}", "08")
            .replace("{shard}", line["shard"].as_str().unwrap())
            .replace("{firstSeq}", &seq(first))
            .replace("{lastSeq}", &seq(last))
    };
    assert_eq!(produced.raw_key, fill(key("rawArchive"), &raw[0], 1, 6));
    let quarantined = golden::read(&contract, "QuarantineLine");
    assert_eq!(produced.quarantine_keys.len(), quarantined.len(), "one object per quarantined line");
    for (written, line) in produced.quarantine_keys.iter().zip(&quarantined) {
        let record = line["seq"].as_str().unwrap().trim_start_matches("4960").trim_start_matches('0').parse().unwrap();
        let expected = fill(key("quarantine"), line, record, record).replace("{reason}", line["reason"].as_str().unwrap());
        let (before, after) = expected.split_once("{hash}").unwrap();
        let hash = written.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let hash = hash.unwrap_or_else(|| panic!("{written} does not match {expected}"));
        assert!(hash.len() == 16 && hash.bytes().all(|c| c.is_ascii_hexdigit()), "{written}");
    }
}
