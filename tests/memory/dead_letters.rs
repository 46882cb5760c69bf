//! The collector of dead letters, 256 MiB. What it reads comes from AWS, but contains what others sent.

use std::collections::BTreeMap;

use roadcast_codec::dead_letter::QueueMessage;
use roadcast_domain::Timestamp;
use roadcast_services::dead_letters::collector::{DeadLetterCollector, LetterBuckets, MAX_RECORD_BYTES};
use roadcast_testbed::{InMemory, Memory};

use crate::peak::{MIB, assert_peak};

const BOUND: usize = 48 * MIB;
/// The largest message of the queue.
const MAX_MESSAGE: usize = MIB;
const KEY: &str = "aws/lambda/1/shardId-000000000001/2026/11/29/2026-11-29T00.38.06-4c4e";

fn message(body: String) -> QueueMessage {
    QueueMessage {
        message_id: "m".to_owned(),
        body,
        sent_at: Timestamp::from_ms(0),
        moved_from: None,
        attributes: BTreeMap::new(),
    }
}

/// Collects a message, and returns the number of letters that it results in.
fn collect(input: &str, memory: &Memory, message: &QueueMessage) -> usize {
    let collector = DeadLetterCollector::<InMemory> {
        letters: memory.clone(),
        contents: memory.clone(),
        buckets: LetterBuckets { dead_letters: "dead-letters".to_owned(), archive: "archive".to_owned() },
    };
    assert_peak(input, BOUND, collector.collect(message)).unwrap().len()
}

fn collect_record(input: &str, record: Vec<u8>) {
    let memory = Memory::default();
    memory.put_letter_object(KEY, record);
    let notice = format!(r#"{{"Records":[{{"s3":{{"bucket":{{"name":"dead-letters"}},"object":{{"key":"{KEY}"}}}}}}]}}"#);
    assert_eq!(collect(input, &memory, &message(notice)), 1);
}

#[test]
fn failed_batch_of_the_largest_size_is_bounded() {
    let batch = r#""KinesisBatchInfo":{"shardId":"s","startSequenceNumber":"1","endSequenceNumber":"2"}"#;
    let payload = r#"\"a\","#.repeat(8 * MIB / 6);
    collect_record("a batch of 8 MiB", format!(r#"{{{batch},"payload":"[{payload}]"}}"#).into_bytes());
    let error = "e".repeat(MAX_RECORD_BYTES);
    collect_record(
        "an error of 16 MiB",
        format!(r#"{{{batch},"responsePayload":{{"errorMessage":"{error}"}}}}"#).into_bytes(),
    );
    collect_record("16 MiB of brackets", vec![b'['; MAX_RECORD_BYTES]);
}

#[test]
fn message_of_the_largest_size_is_bounded() {
    let events = vec!["0"; MAX_MESSAGE / 2 - 100].join(",");
    let event = message(format!(r#"{{"detail":{{"events":[{events}]}}}}"#));
    let moved_from = Some("arn:aws:sqs:eu:1:roadcast-dev-enrichment-telemetry".to_owned());
    assert_eq!(collect("an entry of 500,000 events", &Memory::default(), &QueueMessage { moved_from, ..event }), 1);
    let text = message("A".repeat(MAX_MESSAGE));
    assert_eq!(collect("a text of 1 MiB", &Memory::default(), &text), 1);
    let notice = r#"{"s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}"#;
    let notices = vec![notice; MAX_MESSAGE / (notice.len() + 1)].join(",");
    let notices = message(format!(r#"{{"Records":[{notices}]}}"#));
    assert_eq!(collect("a notification of 20,000 objects", &Memory::default(), &notices), 1);
}
