#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type HandlerResult = Result<BatchResponse, &'static str>;

/// A mapping on one shard with `records` records, whose data are 0, 1, 2 …
fn mapping(config: MappingConfig, records: u8) -> (EventSourceMapping, ManualClock) {
    let clock = ManualClock::default();
    let stream = MemoryStream::new(clock.clone(), 1);
    for n in 0..records {
        stream.put_bytes("a", &[n]);
    }
    (EventSourceMapping::new(config, stream, clock.clone()), clock)
}

fn reporting() -> MappingConfig {
    MappingConfig { report_batch_item_failures: true, ..MappingConfig::default() }
}

fn numbers(records: &[ShardRecord]) -> Vec<u8> {
    records.iter().map(|record| record.data[0]).collect()
}

/// Drains with a handler that receives each batch as numbers, and returns the batches that it received.
async fn drain(esm: &mut EventSourceMapping, handle: impl Fn(&[u8], &[ShardRecord]) -> HandlerResult) -> Vec<Vec<u8>> {
    let seen = RefCell::new(Vec::new());
    let handler = async |records: Vec<ShardRecord>| {
        let batch = numbers(&records);
        seen.borrow_mut().push(batch.clone());
        handle(&batch, &records)
    };
    esm.drain(&handler).await;
    seen.into_inner()
}

/// Returns a handler that fails at the first record with this number and reports it.
fn stop_at(poison: u8) -> impl Fn(&[u8], &[ShardRecord]) -> HandlerResult {
    move |batch, records| {
        let failed = batch.iter().position(|n| *n == poison);
        Ok(failed.map_or_else(BatchResponse::success, |index| BatchResponse::failed_from(&records[index].sequence_number)))
    }
}

#[tokio::test]
async fn error_retries_the_entire_batch_before_later_records() {
    let (mut esm, _) = mapping(MappingConfig { batch_size: 2, ..MappingConfig::default() }, 4);
    let tries = Cell::new(0);
    let seen = drain(&mut esm, |_, _| {
        tries.set(tries.get() + 1);
        if tries.get() <= 2 { Err("down") } else { Ok(BatchResponse::success()) }
    });
    assert_eq!(seen.await, [vec![0, 1], vec![0, 1], vec![0, 1], vec![2, 3]]);
    assert_eq!(esm.invocations().iter().map(|invocation| invocation.retries).collect::<Vec<_>>(), [0, 1, 2, 0]);
    assert_eq!(
        esm.invocations().iter().map(|invocation| invocation.succeeded).collect::<Vec<_>>(),
        [false, false, true, true]
    );
}

#[tokio::test]
async fn reported_failure_retries_from_the_lowest_sequence_number() {
    let (mut esm, _) = mapping(reporting(), 6);
    let first = Cell::new(true);
    let seen = drain(&mut esm, |_, records| {
        // 4 is reported before 2: the lowest counts, and 3 is retried although it was not reported.
        let failed = [4, 2].map(|index: usize| records.get(index).map(|record| record.sequence_number.clone()));
        let failed = if first.replace(false) { failed.into_iter().flatten().collect() } else { Vec::new() };
        Ok(BatchResponse { batch_item_failures: failed, ..BatchResponse::default() })
    });
    assert_eq!(seen.await, [vec![0, 1, 2, 3, 4, 5], vec![2, 3, 4, 5]]);
    assert_eq!(esm.backlog(), 0);
}

#[tokio::test]
async fn response_is_ignored_if_reporting_is_off() {
    let (mut esm, _) = mapping(MappingConfig::default(), 3);
    assert_eq!(drain(&mut esm, stop_at(1)).await, [vec![0, 1, 2]]);
}

#[tokio::test]
async fn empty_or_unknown_identifier_fails_the_entire_batch() {
    for invalid in ["", "12345"] {
        let (mut esm, _) = mapping(reporting(), 3);
        let first = Cell::new(true);
        let seen = drain(&mut esm, |_, records| {
            let failed = vec![records[1].sequence_number.clone(), invalid.to_owned()];
            let batch_item_failures = if first.replace(false) { failed } else { Vec::new() };
            Ok(BatchResponse { batch_item_failures, ..BatchResponse::default() })
        });
        assert_eq!(seen.await, [vec![0, 1, 2], vec![0, 1, 2]], "{invalid:?}");
    }
}

#[tokio::test]
async fn bisecting_isolates_a_poison_record_without_using_retries() {
    let config =
        MappingConfig { bisect_batch_on_function_error: true, max_retry_attempts: Some(1), ..MappingConfig::default() };
    let (mut esm, _) = mapping(config, 8);
    let seen = drain(&mut esm, |batch, _| if batch.contains(&5) { Err("poison") } else { Ok(BatchResponse::success()) });
    let all: Vec<u8> = (0..8).collect();
    let expected: [&[u8]; 8] = [&all, &[0, 1, 2, 3], &[4, 5, 6, 7], &[4, 5], &[4], &[5], &[5], &[6, 7]];
    assert_eq!(seen.await, expected);
    assert_eq!(esm.discarded().len(), 1);
    assert_eq!(numbers(&esm.discarded()[0].records), [5]);
}

#[tokio::test]
async fn bisecting_and_reporting_split_a_batch_at_its_checkpoint() {
    let config = MappingConfig { bisect_batch_on_function_error: true, max_retry_attempts: Some(1), ..reporting() };
    let (mut esm, _) = mapping(config, 4);
    // The split at 2 does not count as a retry. The discarded records are all remaining records of the batch.
    assert_eq!(drain(&mut esm, stop_at(2)).await, [vec![0, 1, 2, 3], vec![2, 3], vec![2, 3]]);
    assert_eq!(numbers(&esm.discarded()[0].records), [2, 3]);
}

#[tokio::test]
async fn batch_without_retries_left_is_discarded_and_the_shard_continues() {
    for (max_retries, calls) in [(0, 1), (3, 4)] {
        let (mut esm, _) =
            mapping(MappingConfig { batch_size: 2, max_retry_attempts: Some(max_retries), ..MappingConfig::default() }, 4);
        let seen =
            drain(&mut esm, |batch, _| if batch.contains(&0) { Err("poison") } else { Ok(BatchResponse::success()) }).await;
        assert_eq!(seen.len(), calls + 1);
        assert_eq!(seen.last().unwrap(), &[2, 3]);
        let [discarded] = esm.discarded() else { panic!("one batch is discarded") };
        assert_eq!(discarded.condition, DiscardCondition::RetryAttemptsExhausted);
        assert_eq!(numbers(&discarded.records), [0, 1]);
        assert_eq!(esm.backlog(), 0);
    }
}

#[tokio::test]
async fn records_are_retried_until_the_age_limit_or_their_expiry() {
    for (limit, condition) in [(Some(60_000), DiscardCondition::RecordAgeExceeded), (None, DiscardCondition::Expired)] {
        let (mut esm, clock) =
            mapping(MappingConfig { max_record_age_ms: limit, retry_pause_ms: 10_000, ..MappingConfig::default() }, 2);
        let start = clock.now();
        drain(&mut esm, |_, _| Err("down")).await;
        let retried_for = limit.unwrap_or(24 * 3_600_000);
        let last = esm.invocations().last().unwrap();
        assert_eq!(last.at.ms_since(start), retried_for);
        assert_eq!(esm.discarded().iter().map(|discarded| discarded.condition).collect::<Vec<_>>(), [condition]);
        assert_eq!(esm.backlog(), 0);
    }
}

#[tokio::test]
async fn records_over_age_before_the_first_invocation_are_never_sent() {
    let (mut esm, clock) = mapping(MappingConfig { max_record_age_ms: Some(60_000), ..MappingConfig::default() }, 2);
    clock.advance_ms(60_001);
    assert_eq!(drain(&mut esm, |_, _| Ok(BatchResponse::success())).await, Vec::<Vec<u8>>::new());
    assert_eq!(numbers(&esm.discarded()[0].records), [0, 1]);
}

#[tokio::test]
async fn restarted_mapping_retries_in_other_batches() {
    let (mut esm, clock) = mapping(MappingConfig { batch_size: 4, ..reporting() }, 6);
    let handler = async |records: Vec<ShardRecord>| stop_at(2)(&numbers(&records), &records);
    esm.poll(&handler).await;
    assert_eq!(esm.backlog(), 4);
    clock.advance_ms(700);
    assert_eq!(esm.iterator_age_ms(), 700);
    esm.restart();
    assert_eq!(drain(&mut esm, |_, _| Ok(BatchResponse::success())).await, [vec![2, 3, 4, 5]]);
}

proptest! {
    #[test]
    fn every_record_ends_once_and_keys_stay_in_order(
        batch_size in 1_usize..7,
        factor in 1_usize..4,
        report: bool,
        bisect: bool,
        retries in proptest::option::of(0_u32..4),
        window_ms in 0_i64..3000,
        outcomes in proptest::collection::vec(0_u8..10, 1..200),
    ) {
        let clock = ManualClock::default();
        let stream = MemoryStream::new(clock.clone(), 2);
        for n in 0..60_u8 {
            stream.put_bytes(&format!("key {}", n % 7), &[n]);
            clock.advance_ms(137);
        }
        let config = MappingConfig {
            batch_size,
            window_ms,
            parallelization_factor: factor,
            report_batch_item_failures: report,
            bisect_batch_on_function_error: bisect,
            max_retry_attempts: retries,
            ..MappingConfig::default()
        };
        let mut esm = EventSourceMapping::new(config, stream.clone(), clock);
        let outcomes = RefCell::new(outcomes.into_iter());
        let succeeded: RefCell<BTreeMap<String, Vec<u8>>> = RefCell::default();
        let handler = async |records: Vec<ShardRecord>| -> HandlerResult {
            // After the given outcomes, every invocation succeeds.
            let failed = match outcomes.borrow_mut().next().unwrap_or(9) {
                0 | 1 => return Err("down"),
                n @ 2..=4 if report => usize::from(n) % records.len(),
                _ => records.len(),
            };
            for record in &records[..failed] {
                succeeded.borrow_mut().entry(record.partition_key.clone()).or_default().push(record.data[0]);
            }
            let failed = records.get(failed).map(|record| BatchResponse::failed_from(&record.sequence_number));
            Ok(failed.unwrap_or_default())
        };
        futures::executor::block_on(esm.drain(&handler));
        let succeeded = succeeded.into_inner();
        prop_assert!(succeeded.values().all(|numbers| numbers.is_sorted_by(|a, b| a < b)), "{:?}", succeeded);
        let discarded = esm.discarded().iter().flat_map(|discarded| numbers(&discarded.records));
        let mut ended: Vec<u8> = succeeded.into_values().flatten().chain(discarded).collect();
        ended.sort_unstable();
        prop_assert_eq!(ended, (0..60).collect::<Vec<u8>>());
        prop_assert_eq!(esm.backlog(), 0);
        let due = esm.next_due();
        prop_assert_eq!(due, None);
    }
}
