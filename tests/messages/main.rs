//! What the code writes, what tests/golden holds of it, and what asyncapi.yaml says of it are the same.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod contract;
mod golden;
mod pipeline;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::Contract;
use pipeline::Pipeline;
use roadcast_aws::{FEED_INPUT_PATH, feed_pattern};
use roadcast_domain::limits;
use roadcast_domain::refusal::Reason;
use roadcast_lambda_kit::eventbridge::BusEvent;
use serde_json::{Value, json};

/// Messages that Roadcast writes from the first byte to the last.
const OURS: [&str; 5] = ["IngestEntry", "DeliveryEntry", "FeedMessage", "RawLine", "QuarantineLine"];
/// Members that may be absent from them.
const OPTIONAL: [&str; 4] = ["mil", "vid", "eid", "index"];

#[tokio::test]
async fn what_the_code_writes_is_what_the_golden_files_hold() {
    let contract = Contract::read();
    let produced = pipeline::produce().await.messages;
    let differences: Vec<String> =
        produced.iter().flat_map(|(message, written)| golden::compare(&contract, message, written)).collect();
    assert!(differences.is_empty(), "{}", golden::advice(&differences));
}

#[tokio::test]
async fn what_the_code_writes_is_of_the_schemas() {
    let contract = Contract::read();
    let produced = pipeline::produce().await;
    for (message, written) in &produced.messages {
        for payload in written {
            contract.check(message, payload).unwrap_or_else(|error| panic!("{message}: {error}\n{payload:#}"));
        }
    }
    let headers = json!({ "partitionKey": produced.upload_key });
    contract.check_headers("UploadRecord", &headers).unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn the_contract_the_code_and_the_golden_files_have_the_same_messages() {
    let contract = Contract::read().messages();
    assert_eq!(golden::messages(), contract, "the golden files are not the messages of the contract");
    let produced: BTreeSet<String> = pipeline::produce().await.messages.into_keys().map(str::to_owned).collect();
    assert_eq!(produced, contract, "what is written here is not what the contract has");
}

#[test]
fn every_golden_file_is_of_its_schema() {
    let contract = Contract::read();
    for message in contract.messages() {
        let held = golden::read(&contract, &message);
        assert!(!held.is_empty(), "{message}: nothing in the file");
        for payload in held {
            contract.check(&message, &payload).unwrap_or_else(|error| panic!("{message}: {error}\n{payload:#}"));
        }
    }
}

/// Without this a schema could grow so loose that the tests above say nothing.
#[test]
fn a_member_that_is_renamed_or_left_out_is_against_the_schema() {
    let contract = Contract::read();
    for message in OURS {
        for payload in golden::read(&contract, message) {
            for (place, name) in members(&payload) {
                let without = changed(&payload, &place, &name, None);
                let renamed = changed(&payload, &place, &name, Some(&format!("{name}x")));
                assert!(contract.check(message, &renamed).is_err(), "{message}{place}: {name} may be renamed");
                if !OPTIONAL.contains(&name.as_str()) {
                    assert!(contract.check(message, &without).is_err(), "{message}{place}: {name} may be left out");
                }
            }
        }
    }
}

/// Every member of every object below, by the object's place and its name; signals have names of their own.
fn members(value: &Value) -> Vec<(String, String)> {
    fn below(value: &Value, place: &str, found: &mut Vec<(String, String)>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    found.push((place.to_owned(), name.clone()));
                    if name != "signals" {
                        below(member, &format!("{place}/{name}"), found);
                    }
                }
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(n, item)| below(item, &format!("{place}/{n}"), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    below(value, "", &mut found);
    found
}

/// The value with a member of the object at a place taken out, or named otherwise.
fn changed(value: &Value, place: &str, name: &str, renamed: Option<&str>) -> Value {
    let mut value = value.clone();
    let object = value.pointer_mut(place).and_then(Value::as_object_mut).expect("an object");
    let member = object.remove(name).expect("a member");
    if let Some(renamed) = renamed {
        object.insert(renamed.to_owned(), member);
    }
    value
}

#[tokio::test]
async fn records_of_the_golden_files_are_taken_in_full() {
    let contract = Contract::read();
    let only = |message: &str| golden::read(&contract, message).remove(0);
    let packed = STANDARD.decode(only("PackedRecord").as_str().unwrap()).unwrap();
    for (record, samples) in
        [(only("EventRecord").to_string().into_bytes(), 3), (only("BatchRecord").to_string().into_bytes(), 2), (packed, 2)]
    {
        let road = Pipeline::new().await;
        road.put(&record);
        let outcome = road.process().await;
        assert_eq!((outcome.retry_from, outcome.counts.samples_stored), (None, samples), "{:?}", outcome.failures);
        assert_eq!(road.memory.quarantined(), []);
        assert!(outcome.counts.signals_rejected.is_empty());
    }
}

#[tokio::test]
async fn an_entry_of_the_ingest_bus_as_the_golden_file_holds_it_is_delivered() {
    let contract = Contract::read();
    let text = golden::read(&contract, "IngestEntry").remove(0).to_string();
    let entry: BusEvent = serde_json::from_str(&text).unwrap();
    let road = Pipeline::new().await;
    let counts = road.enrich(&entry.events().collect::<Vec<_>>()).await.unwrap();
    assert_eq!(counts.events_delivered, 6);
    let delivered: Value = serde_json::from_str(&road.memory.queued(&road.fleet_id)[0]).unwrap();
    assert_eq!(golden::meaning(delivered), golden::meaning(golden::read(&contract, "FeedMessage").remove(0)));
}

#[tokio::test]
async fn a_queue_holds_what_the_fleets_rule_takes_of_an_entry() {
    let contract = Contract::read();
    let entry = golden::read(&contract, "DeliveryEntry").remove(0);
    let taken = FEED_INPUT_PATH.strip_prefix('$').unwrap().replace('.', "/");
    assert_eq!(entry.pointer(&taken), Some(&golden::read(&contract, "FeedMessage").remove(0)));
    let produced = pipeline::produce().await;
    assert_eq!(feed_pattern(&produced.fleet_id), json!({ "detail": { "fleetId": [entry["detail"]["fleetId"]] } }));
}

#[tokio::test]
async fn a_message_as_the_golden_file_holds_it_is_handed_out_in_the_same_form() {
    let contract = Contract::read();
    let message = golden::read(&contract, "FeedMessage").remove(0);
    let road = Pipeline::new().await;
    road.deliver(message.as_array().unwrap().iter().map(Value::to_string).collect()).await;
    let feed = road.feed().await;
    assert_eq!((feed.unreadable.len(), feed.events.len()), (0, 6));
    let handed_out: Vec<Value> =
        feed.cloud_events().unwrap().iter().map(|e| serde_json::from_str(e.get()).unwrap()).collect();
    contract.check("FeedMessage", &Value::from(handed_out)).unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn an_event_of_a_registered_type_travels_as_the_contract_says() {
    let contract = Contract::read();
    let road = Pipeline::new().await;
    road.register_tyres().await;
    let sent = json!({
        "specversion": "1.0", "id": "tyre-1", "source": "urn:example:unit:1207", "type": pipeline::TYRE,
        "time": "2026-11-20T08:15:04Z", "data": {"wheel": "rear-left", "kPa": 612.5},
    });
    contract.check("EventRecord", &sent).unwrap_or_else(|error| panic!("{error}"));
    road.put(sent.to_string().as_bytes());
    let outcome = road.process().await;
    assert_eq!((outcome.retry_from, outcome.counts.samples_stored), (None, 1), "{:?}", outcome.failures);
    let published = road.memory.take_published().remove(0).events;
    road.enrich(&published.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    let entry = json!({
        "source": "roadcast.ingest", "detail-type": "roadcast.events.v1",
        "detail": {"events": published.iter().map(|event| serde_json::from_str(event).unwrap()).collect::<Vec<Value>>()},
    });
    contract.check("IngestEntry", &entry).unwrap_or_else(|error| panic!("{error}"));
    let message: Value = serde_json::from_str(&road.memory.queued(&road.fleet_id)[0]).unwrap();
    contract.check("FeedMessage", &message).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((&message[0]["type"], &message[0]["data"]), (&sent["type"], &sent["data"]));
    for (name, wrong) in [("type", json!("roadcast.tyre.v1")), ("subject", json!("bus")), ("datax", json!(1))] {
        let mut other = message.clone();
        other[0][name] = wrong;
        assert!(contract.check("FeedMessage", &other).is_err(), "{name}");
    }
}

#[test]
fn the_limits_and_the_reasons_are_those_of_the_code() {
    let contract = Contract::read();
    let limit =
        |pointer: &str| usize::try_from(contract.at(&format!("/components/schemas{pointer}")).as_u64().unwrap()).unwrap();
    assert_eq!(limit("/UploadRecord/maxItems"), limits::EVENTS_PER_UPLOAD);
    assert_eq!(limit("/SentAttribute/maxLength"), limits::ATTRIBUTE_BYTES);
    assert_eq!(limit("/SentSubject/maxLength"), limits::ATTRIBUTE_BYTES);
    assert_eq!(limit("/Extension/maxLength"), limits::ATTRIBUTE_BYTES);
    for of in ["SentTelemetryData", "Telemetry"] {
        assert_eq!(limit(&format!("/{of}/properties/samples/maxItems")), limits::SAMPLES_PER_EVENT);
    }
    for of in ["SentDiagnosticData", "Diagnostic"] {
        assert_eq!(limit(&format!("/{of}/properties/dtcs/maxItems")), limits::CODES_PER_EVENT);
    }
    assert_eq!(limit("/SignalPath/maxLength"), roadcast_signals::MAX_PATH_BYTES);
    assert_eq!(contract.at("/components/schemas/Reason/enum"), &json!(Reason::ALL.map(Reason::code)));
}

/// A text of the template, its substitutions written as the contract's parameters.
fn of_the_template(path: &[&str]) -> String {
    let template: serde_norway::Value = serde_norway::from_str(&contract::read("template.yaml")).unwrap();
    let value = path.iter().fold(&template["Resources"], |value, name| match name.parse::<usize>() {
        Ok(place) => &value[place],
        Err(_) => &value[*name],
    });
    let text = value.as_str().unwrap_or_else(|| panic!("{path:?} is no text"));
    text.replace("${Stage}", "{stage}")
        .replace("${AWS::AccountId}", "{accountId}")
        .replace("${AWS::Region}", "{region}")
        .replace("${!iot:Connection.Thing.ThingName}", "{vid}")
}

#[test]
fn the_channels_have_the_addresses_that_the_template_gives() {
    let contract = Contract::read();
    let named = |resource: &str, property: &str| of_the_template(&[resource, "Properties", property]);
    assert_eq!(contract.address("telemetry"), named("TelemetryStream", "Name"));
    assert_eq!(contract.address("ingestBus"), named("IngestBus", "Name"));
    assert_eq!(contract.address("deliveryBus"), named("DeliveryBus", "Name"));
    for function in ["FleetDelivery", "Provisioner"] {
        let prefix = of_the_template(&[function, "Properties", "Environment", "Variables", "FEED_QUEUE_PREFIX"]);
        assert_eq!(contract.address("fleetQueue"), format!("{prefix}{{fleetId}}"));
    }
    let bucket = named("ArchiveBucket", "BucketName");
    assert!(contract.address("rawArchive").starts_with(&format!("{bucket}/raw/")));
    assert!(contract.address("quarantine").starts_with(&format!("{bucket}/quarantine/")));

    let rule = named("DeviceRule", "RuleName");
    assert_eq!(contract.address("deviceTopic"), format!("$aws/rules/{rule}/{{vid}}"));
    let policy = ["DevicePolicy", "Properties", "PolicyDocument", "Statement", "1", "Resource"];
    assert!(of_the_template(&policy).ends_with(&format!(":topic/{}", contract.address("deviceTopic"))));
    // The first level after the rule's name: the record is keyed by the vehicle, and is the payload as it is.
    let payload = ["DeviceRule", "Properties", "TopicRulePayload"];
    assert_eq!(of_the_template(&[&payload[..], &["Actions", "0", "Kinesis", "PartitionKey"]].concat()), "${topic(1)}");
    assert_eq!(of_the_template(&[&payload[..], &["Sql"]].concat()), "SELECT *");
}

#[test]
fn the_rule_of_the_ingest_bus_matches_its_entries() {
    let contract = Contract::read();
    let entry = golden::read(&contract, "IngestEntry").remove(0);
    for name in ["source", "detail-type"] {
        let matched = of_the_template(&["IngestRule", "Properties", "EventPattern", name, "0"]);
        assert_eq!(entry[name], matched, "{name}");
    }
}

#[tokio::test]
async fn entries_and_objects_go_where_the_contract_says() {
    let contract = Contract::read();
    let produced = pipeline::produce().await;
    assert_eq!(produced.delivery_bus, contract.address("deliveryBus").replace("{stage}", "dev"));
    let raw = golden::read(&contract, "RawLine");
    let day = |line: &Value| line["arrivedAt"].as_str().unwrap()[..10].to_owned();
    let key = |channel: &str| contract.address(channel).split_once('/').unwrap().1.to_owned();
    let seq = |n: usize| format!("4960{n:052}");
    let filled = |key: String, line: &Value, first: usize, last: usize| {
        key.replace("{date}", &day(line))
            .replace("{hour}", "08")
            .replace("{shard}", line["shard"].as_str().unwrap())
            .replace("{firstSeq}", &seq(first))
            .replace("{lastSeq}", &seq(last))
    };
    assert_eq!(produced.raw_key, filled(key("rawArchive"), &raw[0], 1, 6));
    let quarantined = golden::read(&contract, "QuarantineLine");
    assert_eq!(produced.quarantine_keys.len(), quarantined.len(), "a line of each reason");
    for (written, line) in produced.quarantine_keys.iter().zip(&quarantined) {
        let record = line["seq"].as_str().unwrap().trim_start_matches("4960").trim_start_matches('0').parse().unwrap();
        let expected = filled(key("quarantine"), line, record, record).replace("{reason}", line["reason"].as_str().unwrap());
        let (before, after) = expected.split_once("{hash}").unwrap();
        let hash = written.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let hash = hash.unwrap_or_else(|| panic!("{written} is not {expected}"));
        assert!(hash.len() == 16 && hash.bytes().all(|c| c.is_ascii_hexdigit()), "{written}");
    }
}
