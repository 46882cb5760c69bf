#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;

use roadcast_ports::clock::Clock;

use super::*;

type HandlerResult = Result<BatchResponse, Infallible>;

fn mapping(config: MappingConfig, shards: usize) -> (EventSourceMapping, MemoryStream, ManualClock) {
    let clock = ManualClock::default();
    let stream = MemoryStream::new(clock.clone(), shards);
    (EventSourceMapping::new(config, stream.clone(), clock.clone()), stream, clock)
}

async fn succeed(_: Vec<ShardRecord>) -> HandlerResult {
    Ok(BatchResponse::success())
}

fn sizes(esm: &EventSourceMapping) -> Vec<usize> {
    esm.invocations().iter().map(|invocation| invocation.records).collect()
}

#[tokio::test]
async fn batch_size_is_respected_and_shard_order_is_kept() {
    let (mut esm, stream, _) = mapping(MappingConfig { batch_size: 4, ..MappingConfig::default() }, 1);
    let sent: Vec<String> = (0..10).map(|n| stream.put_bytes(&format!("key {n}"), b"x").sequence_number).collect();
    let seen = RefCell::new(Vec::new());
    let handler = async |records: Vec<ShardRecord>| -> HandlerResult {
        seen.borrow_mut().extend(records.into_iter().map(|record| record.sequence_number));
        Ok(BatchResponse::success())
    };
    esm.drain(&handler).await;
    assert_eq!(sizes(&esm), [4, 4, 2]);
    assert_eq!(seen.into_inner(), sent);
    assert_eq!((esm.backlog(), esm.iterator_age_ms()), (0, 0));
}

#[tokio::test]
async fn without_a_window_available_records_are_sent_at_once() {
    let (mut esm, stream, clock) = mapping(MappingConfig::default(), 1);
    assert_eq!(esm.poll(&succeed).await, 0);
    stream.put_bytes("a", b"1");
    clock.advance_ms(300);
    stream.put_bytes("a", b"2");
    assert_eq!(esm.poll(&succeed).await, 1);
    assert_eq!(sizes(&esm), [2]);
}

#[tokio::test]
async fn window_opens_with_the_first_record_and_batches_until_it_closes() {
    let (mut esm, stream, clock) = mapping(MappingConfig { window_ms: 60_000, ..MappingConfig::default() }, 1);
    let start = clock.now();
    clock.advance_ms(5000);
    stream.put_bytes("a", b"1");
    clock.advance_ms(59_999);
    stream.put_bytes("a", b"2");
    assert_eq!(esm.poll(&succeed).await, 0, "the window is still open");
    clock.advance_ms(1);
    assert_eq!(esm.next_due(), Some(start.plus_ms(65_000)));
    // The mapping is polled late: records that arrived after the window had closed belong to the next one.
    clock.advance_ms(10);
    stream.put_bytes("a", b"3");
    assert_eq!(esm.poll(&succeed).await, 1);
    assert_eq!(sizes(&esm), [2]);
    esm.drain(&succeed).await;
    assert_eq!(sizes(&esm), [2, 1]);
    assert_eq!(esm.invocations()[1].at, start.plus_ms(125_010));
}

#[tokio::test]
async fn full_batch_does_not_wait_for_its_window() {
    let (mut esm, stream, clock) =
        mapping(MappingConfig { window_ms: 60_000, batch_size: 3, ..MappingConfig::default() }, 1);
    let start = clock.now();
    for _ in 0..4 {
        stream.put_bytes("a", b"x");
    }
    esm.drain(&succeed).await;
    assert_eq!(sizes(&esm), [3, 1]);
    assert_eq!(esm.invocations()[0].at, start);
    assert_eq!(esm.invocations()[1].at, start.plus_ms(60_000));
}

#[tokio::test]
async fn batch_is_sent_when_its_base64_payload_reaches_six_megabytes() {
    let (mut esm, stream, clock) = mapping(MappingConfig { window_ms: 60_000, ..MappingConfig::default() }, 1);
    let start = clock.now();
    // 600 KiB are 800 KiB in base64: seven fit into 6 MiB, though ten would without it.
    for _ in 0..9 {
        stream.put_bytes("a", &vec![7; 600 * 1024]);
    }
    esm.drain(&succeed).await;
    assert_eq!(sizes(&esm), [7, 2]);
    assert_eq!(esm.invocations()[0].at, start);
    assert!(esm.invocations()[0].payload_bytes <= payload::PAYLOAD_BYTES);
}

#[tokio::test]
async fn payload_size_equals_the_size_of_the_event() {
    let (_, stream, _) = mapping(MappingConfig::default(), 1);
    let records: Vec<ShardRecord> = (0..5).map(|n| stream.put_bytes("ключ \"1\"", &vec![0xFE; n])).collect();
    for count in 0..=records.len() {
        let event = kinesis_event(&records[..count]);
        assert_eq!(event.len(), payload::event_bytes(&records[..count]));
        let parsed: serde_json::Value = serde_json::from_str(&event).unwrap();
        assert_eq!(parsed["Records"].as_array().unwrap().len(), count);
    }
}

#[tokio::test]
async fn queues_run_concurrently_and_keep_each_partition_key_in_order() {
    let config = MappingConfig { batch_size: 2, parallelization_factor: 4, ..MappingConfig::default() };
    let (mut esm, stream, _) = mapping(config, 3);
    for n in 0..20_u8 {
        for key in 0..12 {
            stream.put_bytes(&format!("key {key}"), &[n]);
        }
    }
    let (running, max_running) = (Cell::new(0), Cell::new(0));
    let seen: RefCell<BTreeMap<String, Vec<u8>>> = RefCell::default();
    let handler = async |records: Vec<ShardRecord>| -> HandlerResult {
        running.set(running.get() + 1);
        max_running.set(max_running.get().max(running.get()));
        tokio::task::yield_now().await;
        for record in records {
            seen.borrow_mut().entry(record.partition_key).or_default().push(record.data[0]);
        }
        running.set(running.get() - 1);
        Ok(BatchResponse::success())
    };
    esm.drain(&handler).await;
    assert!(max_running.get() > 3, "more concurrent batches than shards: {}", max_running.get());
    assert!(max_running.get() <= 12, "at most `ParallelizationFactor` batches per shard: {}", max_running.get());
    let expected: Vec<u8> = (0..20).collect();
    let seen = seen.into_inner();
    assert_eq!(seen.len(), 12);
    assert!(seen.values().all(|values| *values == expected), "{seen:?}");
}

#[tokio::test]
async fn failing_batch_blocks_only_its_own_queue() {
    let (mut esm, stream, _) = mapping(MappingConfig { batch_size: 1, ..MappingConfig::default() }, 2);
    let shards: Vec<String> = (0..64).map(|n| stream.put_bytes(&format!("key {n}"), b"x").shard).collect();
    let blocked = shards[0].clone();
    let handler =
        async |records: Vec<ShardRecord>| if records[0].shard == blocked { Err(()) } else { Ok(BatchResponse::success()) };
    for _ in 0..64 {
        esm.poll(&handler).await;
    }
    let remaining = shards.iter().filter(|shard| **shard == blocked).count();
    assert!(remaining < shards.len());
    assert_eq!(esm.backlog(), remaining);
}
