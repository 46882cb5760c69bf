#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use roadcast_domain::Timestamp;
use roadcast_domain::dead_letter::LetterState;
use roadcast_ports::dead_letters::ContentDescription;
use roadcast_testbed::{FaultPlan, Faulty, InMemory, Memory, WithFaults};

use super::*;

const RECORD_KEY: &str = "aws/lambda/9f2b6f3e/shardId-000000000001/2026/11/29/2026-11-29T00.38.06-4c4e";
const QUARANTINE_KEY: &str =
    "quarantine/reason=time_ahead/dt=2026-11-28/shardId-000000000003-7-9-0123456789abcdef.ndjson.zst";
const RECORD: &str = r#"{"requestContext":{"condition":"RetryAttemptsExhausted"},"timestamp":"2026-11-29T00:38:06.021Z",
    "KinesisBatchInfo":{"shardId":"shardId-000000000001","startSequenceNumber":"1","endSequenceNumber":"2","batchSize":2,
    "approximateArrivalOfFirstRecord":"2026-11-28T22:38:04.835Z"},"payload":"{\"Records\":[]}"}"#;
const EVENT: &str = r#"{"id":"e","time":"2026-11-29T09:00:00Z","detail":{"events":[{},{}]}}"#;

fn buckets() -> LetterBuckets {
    LetterBuckets { dead_letters: "dead-letters".to_owned(), archive: "archive".to_owned() }
}

fn collector(memory: &Memory) -> DeadLetterCollector<InMemory> {
    DeadLetterCollector { letters: memory.clone(), contents: memory.clone(), buckets: buckets() }
}

fn message(id: &str, body: &str) -> QueueMessage {
    QueueMessage {
        message_id: id.to_owned(),
        body: body.to_owned(),
        sent_at: time("2026-11-29T10:00:00Z"),
        moved_from: None,
        attributes: BTreeMap::new(),
    }
}

fn from_enrichment(id: &str) -> QueueMessage {
    let moved_from = Some("arn:aws:sqs:eu-central-1:1:roadcast-dev-enrichment-telemetry".to_owned());
    QueueMessage { moved_from, ..message(id, EVENT) }
}

fn notice(bucket: &str, keys: &[&str]) -> QueueMessage {
    let object = |key: &&str| serde_json::json!({"s3": {"bucket": {"name": bucket}, "object": {"key": key.replace('=', "%3D"), "size": 9}}});
    let records: Vec<_> = keys.iter().map(object).collect();
    message("notice", &serde_json::json!({ "Records": records }).to_string())
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

#[tokio::test]
async fn message_is_one_letter_however_often_it_is_delivered() {
    let memory = Memory::default();
    for repeated in [false, true] {
        let collected = collector(&memory).collect(&from_enrichment("m")).await.unwrap();
        assert_eq!(collected.iter().map(|letter| letter.repeated).collect::<Vec<_>>(), [repeated]);
    }
    let letters = memory.dead_letters();
    let [letter] = letters.as_slice() else { panic!("one letter: {letters:?}") };
    assert_eq!((letter.hop, letter.items, letter.state()), (Hop::Enrichment, 2, LetterState::Kept));
    let bytes = memory.read(&letter.content, usize::MAX).await.unwrap();
    assert_eq!(bytes.as_deref(), Some(EVENT.as_bytes()), "the bytes are those of the message");
}

#[tokio::test]
async fn record_of_a_failed_batch_is_a_letter_whose_bytes_stay_in_place() {
    let memory = Memory::default();
    memory.put_letter_object(RECORD_KEY, RECORD.into());
    collector(&memory).collect(&notice("dead-letters", &[RECORD_KEY])).await.unwrap();
    let letter = memory.dead_letters().remove(0);
    assert_eq!((letter.hop, letter.reason.as_str(), letter.items), (Hop::Stream, "retry_attempts_exhausted", 2));
    assert_eq!(letter.dead_letter_id.failed_at(), time("2026-11-29T00:38:06Z"));
    assert_eq!(letter.first_at, time("2026-11-28T22:38:04.835Z"));
    assert_eq!(letter.content.key, RECORD_KEY);
}

#[tokio::test]
async fn unreadable_record_is_a_letter_with_what_its_key_states() {
    for (record, reason) in [(Some("{"), "record_unreadable"), (None, "record_missing")] {
        let memory = Memory::default();
        if let Some(record) = record {
            memory.put_letter_object(RECORD_KEY, record.into());
        }
        collector(&memory).collect(&notice("dead-letters", &[RECORD_KEY])).await.unwrap();
        let letter = memory.dead_letters().remove(0);
        assert_eq!((letter.hop, letter.reason.as_str(), letter.items), (Hop::Stream, reason, 0));
        assert_eq!(letter.pointers.shard.as_deref(), Some("shardId-000000000001"));
        assert_eq!(letter.content.key, RECORD_KEY);
    }
}

#[tokio::test]
async fn quarantine_object_is_a_letter_in_the_same_list() {
    let memory = Memory::default();
    let (first, last) = (time("2026-11-28T22:00:00Z"), time("2026-11-28T23:00:00Z"));
    let description = ContentDescription { items: Some(3), first_arrival: Some(first), last_arrival: Some(last) };
    memory.put_described_object(QUARANTINE_KEY, b"lines".to_vec(), description);
    // A retried batch replaces the object, and S3 notifies again.
    for _ in 0..2 {
        collector(&memory).collect(&notice("archive", &[QUARANTINE_KEY])).await.unwrap();
    }
    let letters = memory.dead_letters();
    let [letter] = letters.as_slice() else { panic!("one letter: {letters:?}") };
    assert_eq!((letter.hop, letter.reason.as_str(), letter.items), (Hop::Quarantine, "time_ahead", 3));
    assert_eq!((letter.first_at, letter.last_at), (first, last));
    assert_eq!(letter.content.bucket, ContentBucket::Archive);
}

#[tokio::test]
async fn unknown_message_and_unknown_object_are_kept() {
    let memory = Memory::default();
    let collector = collector(&memory);
    collector.collect(&message("a", "not json")).await.unwrap();
    // A quarantine key outside of the archive and a record outside of the bucket of dead letters are unknown, too.
    for (bucket, key) in [("archive", RECORD_KEY), ("dead-letters", QUARANTINE_KEY), ("archive", "raw/x")] {
        collector.collect(&notice(bucket, &[key])).await.unwrap();
    }
    let reasons: Vec<_> = memory.dead_letters().iter().map(|letter| (letter.hop, letter.reason.clone())).collect();
    assert_eq!(reasons.len(), 4);
    assert!(reasons.iter().all(|(hop, _)| *hop == Hop::Unknown));
    assert_eq!(reasons.iter().filter(|(_, reason)| reason == "unknown_object").count(), 3);
}

#[tokio::test]
async fn test_of_a_notification_is_no_letter() {
    let memory = Memory::default();
    let test = message("t", r#"{"Service":"Amazon S3","Event":"s3:TestEvent"}"#);
    assert!(collector(&memory).collect(&test).await.unwrap().is_empty());
    assert!(memory.dead_letters().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever fails between two steps, repeated messages end as one letter each, and every letter has its bytes.
    #[test]
    fn faults_and_repetitions_end_as_one_letter_each_with_its_bytes(seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let memory = Memory::default();
            memory.put_letter_object(RECORD_KEY, RECORD.into());
            memory.put_letter_object(QUARANTINE_KEY, b"lines".to_vec());
            let faulty = Faulty::new(memory.clone(), FaultPlan::seeded(seed, 40));
            let collector = DeadLetterCollector::<WithFaults> {
                letters: faulty.clone(),
                contents: faulty,
                buckets: buckets(),
            };
            let messages = [
                from_enrichment("a"),
                from_enrichment("b"),
                notice("dead-letters", &[RECORD_KEY]),
                notice("archive", &[QUARANTINE_KEY, "raw/x"]),
                message("c", "?"),
            ];
            let mut queue: Vec<&QueueMessage> = messages.iter().chain(&messages).collect();
            for _ in 0..200 {
                let mut failed = Vec::new();
                for message in queue {
                    if collector.collect(message).await.is_err() {
                        failed.push(message);
                    }
                    for letter in memory.dead_letters() {
                        let bytes = memory.read(&letter.content, 1).await.unwrap();
                        assert!(bytes.is_some(), "a letter without its bytes: {letter:?}");
                    }
                }
                queue = failed;
            }
            assert!(queue.is_empty(), "every message is collected in the end");
            assert_eq!(memory.dead_letters().len(), 6);
        });
    }
}
