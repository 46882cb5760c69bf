//! The store of dead letters, and what quarantine objects state about themselves.

use roadcast_aws::{DynamoDeadLetters, OsRandomness, S3Archive, S3DeadLetterContents, Sdk};
use roadcast_domain::dead_letter::{Content, ContentBucket};
use roadcast_domain::refusal::Reason;
use roadcast_ports::archive::{Quarantine, QuarantinedItem};
use roadcast_ports::clock::Randomness;
use roadcast_ports::conformance as suites;
use roadcast_ports::dead_letters::DeadLetterContents;
use roadcast_signals::Timestamp;

use crate::stack::Stack;

pub(crate) async fn check(sdk: &Sdk, stack: &Stack) {
    let random = &OsRandomness;
    let letters = DynamoDeadLetters::new(sdk.dynamodb(), &stack.dead_letters);
    Box::pin(suites::dead_letters(&letters, random)).await;
    suites::redrives(&letters, random).await;
    println!("dead letters and redrives");
    let contents = S3DeadLetterContents::new(sdk.s3(), &stack.dead_letter_bucket, &stack.bucket);
    suites::dead_letter_contents(&contents, random).await;
    println!("bytes of dead letters");
    quarantine_object_is_described(sdk, stack, &contents).await;
    println!("quarantine objects are described");
}

async fn quarantine_object_is_described(sdk: &Sdk, stack: &Stack, contents: &S3DeadLetterContents) {
    let shard = format!("shard-{:x}", OsRandomness.bits());
    let item = |ms| QuarantinedItem {
        reason: Reason::TimeAhead,
        pointer: "/data".parse().unwrap(),
        vid: None,
        eid: None,
        index: None,
        samples: 1,
        shard: shard.clone(),
        sequence_number: "7".to_owned(),
        arrived_at: Timestamp::from_ms(ms),
        bytes: b"{}".to_vec(),
    };
    let items = [item(1_000), item(2_000)];
    let key = roadcast_aws::quarantine_objects(&items).unwrap().remove(0).key;
    Quarantine::store(&S3Archive::new(sdk.s3(), &stack.bucket), &items).await.unwrap();
    let content = Content { bucket: ContentBucket::Archive, key, bytes: 0 };
    let described = contents.describe(&content).await.unwrap().unwrap();
    assert_eq!(described.items, Some(2));
    assert_eq!(described.first_arrival, Some(Timestamp::from_ms(1_000)));
    assert_eq!(described.last_arrival, Some(Timestamp::from_ms(2_000)));
}
