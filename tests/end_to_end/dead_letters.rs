//! Dead letters: what failed is listed, shown and redriven, with one effect, by the commands of `docs/dead-letters.md`.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::consent::{drain, send, vehicle};
use crate::shared::Shared;
use crate::stack::Stack;

const CHECK: &str = "com.example.wheel-check.v1";
/// The maximum time until a failure is a letter, or an event is stored.
const TIMEOUT: Duration = Duration::from_mins(2);
/// For how long functions do not see a new schema.
const SCHEMA_CACHE: Duration = Duration::from_secs(6);
/// The variable with the address of DynamoDB for a function.
const TABLES: &str = "AWS_ENDPOINT_URL_DYNAMODB";

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(started.elapsed() < TIMEOUT, "timeout after {TIMEOUT:?}: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// An event of a custom type about no stated vehicle: the partition key of its record names it.
fn event(id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "urn:letters", "type": CHECK, "time": "2026-02-01T12:00:00Z",
        "data": {"wheel": "front-left"}})
}

fn redrive(stack: &Stack, id: &str, body: &Value) -> Value {
    let headers = [("content-type", "application/json")];
    let response = stack.call("PUT", &format!("/redrives/{id}"), Some(stack.admin()), &headers, body.to_string());
    assert_eq!(response.status, 200, "{}", response.body);
    response.json()
}

/// Waits for a letter of the hop with this text in its bytes, and returns it as it is shown.
fn letter(stack: &Stack, hop: &str, text: &str) -> Value {
    until("a letter", || {
        let listed = stack.all(stack.admin(), &format!("/dead-letters?hop={hop}&state=kept"), "items");
        let shown = listed.iter().filter_map(|letter| letter["deadLetterId"].as_str());
        let mut shown = shown.map(|id| stack.json(stack.admin(), &format!("/dead-letters/{id}")));
        shown.find(|shown| shown["text"].as_str().is_some_and(|found| found.contains(text)))
    })
}

/// Lists kept letters with the tool, finds this one, and returns it as the tool shows it.
fn look_at(stack: &Stack, command: &str, filter: &[&str], id: &str) -> Value {
    let listed = stack.command(&[&[command, "list", "--since", "1d", "--state", "kept"], filter].concat());
    let letters = listed["items"].as_array().expect("letters");
    assert!(letters.iter().any(|letter| letter["deadLetterId"] == id), "{listed}");
    stack.command(&[command, "show", id])
}

fn stored_ids(stack: &Stack, vid: &str) -> Vec<Value> {
    let events = stack.all(stack.admin(), &format!("/vehicles/{vid}/events"), "events");
    events.iter().map(|event| event["id"].clone()).collect()
}

pub(crate) fn poison_record_is_redriven_once_after_its_cause_is_corrected(shared: &Shared) {
    let stack = shared.stack();
    let vid = vehicle(stack, "poison");
    let data = STANDARD.encode(event("poison").to_string());
    let record = json!({"StreamName": stack.resource("TelemetryStreamName"), "PartitionKey": vid, "Data": data});
    stack.aws("kinesis", "Kinesis_20131202.PutRecord", &record);

    let found = letter(stack, "quarantine", "\\\"poison\\\"");
    let letter = found["deadLetterId"].as_str().expect("an id");
    let shown = look_at(stack, "quarantine", &[], letter);
    assert_eq!((&shown["reason"], &shown["state"]), (&json!("type_unknown"), &json!("kept")), "{shown}");
    let failed = stack.command_with_code(&["quarantine", "reprocess", letter, "--id", "too-early"], 1);
    assert_eq!(failed["failures"][0]["reason"], "quarantined-again", "{failed}");

    // What made the record invalid is corrected.
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("checks.ndjson");
    let schema = json!({"type": CHECK, "version": 1, "schema": {"type": "object"}});
    std::fs::write(&file, schema.to_string()).expect("the file is written");
    let loaded = stack.command(&["load", "--as", "schemas", file.to_str().expect("a path")]);
    assert_eq!(loaded["summary"]["loaded"], 1, "{loaded}");
    std::thread::sleep(SCHEMA_CACHE);
    let redriven = stack.command(&["quarantine", "reprocess", letter, "--id", "schema-registered"]);
    assert_eq!((&redriven["redriven"], &redriven["failed"]), (&json!(1), &json!(0)), "{redriven}");
    let stored = stored_ids(stack, &vid);
    assert_eq!(stored.len(), 1, "{stored:?}");
    let again = stack.command(&["quarantine", "reprocess", letter, "--id", "schema-registered"]);
    assert_eq!(again, redriven, "a repeated redrive returns its record");
    assert_eq!(stack.command(&["quarantine", "reprocess", letter])["skipped"], 1);
    assert_eq!(stored_ids(stack, &vid), stored);
    assert_eq!(stack.command(&["quarantine", "show", letter])["state"], "redriven");
}

pub(crate) fn failed_enrichment_is_redriven_once_after_its_cause_is_corrected(shared: &Shared) {
    let stack = shared.stack();
    let vid = vehicle(stack, "failed-enrichment");
    let fleet = stack.fleet(&[&vid], &["telematics"]);
    // Nothing listens on port 9, so enrichment reads no entitlement.
    stack.set_variable("enrichment", TABLES, Some("http://127.0.0.1:9"));
    let eid = send(stack, &vid, 1);
    let found = letter(stack, "enrichment", &vid);
    let letter = found["deadLetterId"].as_str().expect("an id");
    assert_eq!(look_at(stack, "dead-letters", &["--hop", "enrichment"], letter), found);
    stack.set_variable("enrichment", TABLES, None);
    assert_eq!(drain(stack, &fleet).0.len(), 0, "nothing is delivered while enrichment fails");

    let redriven = stack.command(&["dead-letters", "redrive", letter, "--id", "enriched"]);
    assert_eq!((&redriven["redriven"], &redriven["failed"]), (&json!(1), &json!(0)), "{redriven}");
    let expected = (vid.clone(), eid);
    let delivered = until("the delivery", || Some(drain(stack, &fleet).0).filter(|events| !events.is_empty()));
    assert_eq!(delivered.into_iter().collect::<Vec<_>>(), std::slice::from_ref(&expected));
    let again = stack.command(&["dead-letters", "redrive", letter, "--id", "enriched"]);
    assert_eq!(again, redriven, "a repeated redrive returns its record");
    assert_eq!(stack.command(&["dead-letters", "redrive", letter])["skipped"], 1);
    assert_eq!(stack.command(&["dead-letters", "show", letter])["state"], "redriven");
    assert_eq!(drain(stack, &fleet).0.len(), 0, "the event is delivered once");
}

pub(crate) fn failed_batch_of_the_stream_is_redriven(shared: &Shared) {
    let stack = shared.stack();
    let vid = vehicle(stack, "batch");
    let at = "2026-02-01T12:00:00.000Z";
    let event = json!({"specversion": "1.0", "id": "failed-batch", "source": "urn:letters", "type": "roadcast.telemetry.v1",
        "time": at, "data": {"samples": [{"at": at, "signals": {"Vehicle.Speed": 48.0}}]}});
    let sequence_number = "49601189658422359378836298521827638475320189012309704722";
    let batch = json!({"Records": [{
        "kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": vid, "sequenceNumber": sequence_number,
            "data": STANDARD.encode(event.to_string()), "approximateArrivalTimestamp": 1_769_947_201.5},
        "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": format!("shardId-000000000009:{sequence_number}"),
        "eventName": "aws:kinesis:record",
    }]});
    let failure = json!({
        "requestContext": {"requestId": "r", "functionArn": "arn:aws:lambda:eu-central-1:000000000000:function:processor",
            "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0", "timestamp": "2026-02-01T13:00:00.000Z",
        "KinesisBatchInfo": {"shardId": "shardId-000000000009", "startSequenceNumber": sequence_number,
            "endSequenceNumber": sequence_number, "approximateArrivalOfFirstRecord": at,
            "approximateArrivalOfLastRecord": at, "batchSize": 1, "streamArn": "arn:aws:kinesis:eu-central-1:0:stream/t"},
        "payload": batch.to_string(),
    });
    let key = "aws/lambda/5b5cbd2b/shardId-000000000009/2026/02/01/2026-02-01T13.00.00-test";
    stack.put_object(stack.resource("DeadLetterBucketName"), key, failure.to_string());

    let shown = letter(stack, "stream", sequence_number);
    assert_eq!(shown["pointers"]["shard"], "shardId-000000000009", "{shown}");
    let redriven = redrive(stack, "after-the-outage", &json!({"deadLetterIds": [shown["deadLetterId"]]}));
    assert_eq!((&redriven["redriven"], &redriven["failed"]), (&json!(1), &json!(0)), "{redriven}");
    let events = stack.all(stack.admin(), &format!("/vehicles/{vid}/events"), "events");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["receivedtime"], "2026-02-01T12:00:01.500Z", "received when the stream accepted the record");
    let state = stack.json(stack.admin(), &format!("/vehicles/{vid}/state"));
    assert_eq!(state["signals"]["Vehicle.Speed"]["value"], 48.0, "{state}");
}
