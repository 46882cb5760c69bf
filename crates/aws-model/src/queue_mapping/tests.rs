#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::convert::Infallible;

use proptest::prelude::*;
use roadcast_testbed::QueueConfig;

use super::*;

const REPORTING: QueueMappingConfig =
    QueueMappingConfig { batch_size: 10, maximum_concurrency: 2, report_batch_item_failures: true };

/// A mapping of a queue with these bodies.
fn mapping(config: QueueMappingConfig, max_receive_count: u32, bodies: &[&str]) -> (QueueMapping, MemoryQueue) {
    let clock = ManualClock::default();
    let queue = MemoryQueue::new(QueueConfig { max_receive_count, ..QueueConfig::default() }, clock.clone());
    for body in bodies {
        queue.send(*body);
    }
    (QueueMapping::new(config, queue.clone(), clock), queue)
}

fn ids_of(messages: &[QueuedMessage], bodies: &[&str]) -> Vec<String> {
    let named = messages.iter().filter(|message| bodies.contains(&message.body.as_str()));
    named.map(|message| message.message_id.clone()).collect()
}

#[tokio::test]
async fn only_reported_messages_are_delivered_again() {
    let (mut mapping, queue) = mapping(REPORTING, 3, &["a", "b", "c"]);
    let seen = RefCell::new(Vec::new());
    let handler = async |messages: Vec<QueuedMessage>| -> Result<_, Infallible> {
        let mut bodies: Vec<String> = messages.iter().map(|message| message.body.clone()).collect();
        bodies.sort();
        seen.borrow_mut().push(bodies.concat());
        Ok(ids_of(&messages, &["b"]))
    };
    mapping.drain(&handler).await;
    assert_eq!(seen.into_inner(), ["abc", "b", "b"]);
    assert_eq!((queue.dead_letters(), mapping.invocations()), (vec!["b".to_owned()], 3));
}

#[tokio::test]
async fn error_or_unknown_id_retains_the_entire_batch() {
    for response in [Err("down"), Ok(vec!["unknown".to_owned()]), Ok(vec![String::new()])] {
        let (mut mapping, queue) = mapping(REPORTING, 3, &["a", "b"]);
        mapping.poll(&async |_| response.clone()).await;
        assert_eq!((queue.backlog(), mapping.next_due().is_some()), (2, true));
    }
}

#[tokio::test]
async fn response_is_ignored_if_reporting_is_off() {
    let (mut mapping, queue) = mapping(QueueMappingConfig::default(), 3, &["a", "b"]);
    mapping.drain(&async |messages: Vec<QueuedMessage>| Ok::<_, Infallible>(ids_of(&messages, &["a"]))).await;
    assert_eq!((queue.backlog(), queue.dead_letters().len()), (0, 0));
}

#[tokio::test]
async fn concurrency_and_batch_size_are_limited() {
    let bodies: Vec<String> = (0..35).map(|n| n.to_string()).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let (mut mapping, queue) = mapping(REPORTING, 3, &bodies);
    assert_eq!(mapping.poll(&async |_| Ok::<_, Infallible>(Vec::new())).await, 2);
    assert_eq!(queue.backlog(), 15);
}

proptest! {
    #[test]
    fn every_message_succeeds_or_is_a_dead_letter(
        outcomes in proptest::collection::vec(0_u8..10, 1..200),
        max_receive_count in 1_u32..6,
        batch_size in 1_usize..12,
    ) {
        let bodies: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        let (mut mapping, queue) = mapping(QueueMappingConfig { batch_size, ..REPORTING }, max_receive_count, &bodies);
        let (outcomes, succeeded) = (RefCell::new(outcomes.into_iter()), RefCell::new(Vec::new()));
        let handler = async |messages: Vec<QueuedMessage>| {
            // After the given outcomes, every invocation succeeds.
            let failed = match outcomes.borrow_mut().next().unwrap_or(9) {
                0..=2 => return Err("down"),
                n @ 3..=6 => vec![messages[usize::from(n) % messages.len()].message_id.clone()],
                _ => Vec::new(),
            };
            let done = messages.into_iter().filter(|message| !failed.contains(&message.message_id));
            succeeded.borrow_mut().extend(done.map(|message| message.body));
            Ok(failed)
        };
        futures::executor::block_on(mapping.drain(&handler));
        let mut ended = succeeded.into_inner();
        ended.extend(queue.dead_letters());
        ended.sort_by_key(|body| body.parse::<u32>().unwrap());
        prop_assert_eq!(ended, bodies);
        prop_assert_eq!(queue.backlog(), 0);
    }
}
