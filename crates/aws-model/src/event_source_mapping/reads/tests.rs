#![allow(clippy::unwrap_used)]

use roadcast_ports::clock::Clock as _;
use roadcast_testbed::ManualClock;

use super::*;

/// A stream with `count` records of `bytes` bytes.
fn stream(count: usize, bytes: usize) -> (MemoryStream, ManualClock) {
    let clock = ManualClock::default();
    let stream = MemoryStream::new(clock.clone(), 1);
    let data = vec![0; bytes];
    for _ in 0..count {
        stream.put_bytes("a", &data);
    }
    (stream, clock)
}

#[test]
fn shard_accepts_five_reads_a_second_and_two_megabytes() {
    let (now, few) = (Timestamp::from_ms(0), SharedReads::default());
    for _ in 0..READS_PER_S {
        assert!(few.allow(0, now));
        few.record(0, now, 10);
    }
    assert!(!few.allow(0, now.plus_ms(999)));
    assert!(few.allow(0, now.plus_ms(1000)));
    let large = SharedReads::default();
    for _ in 0..2 {
        assert!(large.allow(0, now));
        large.record(0, now, READ_BYTES_PER_S / 2);
    }
    assert!(!large.allow(0, now.plus_ms(1)));
    assert!(large.allow(1, now.plus_ms(1)), "another shard has limits of its own");
    assert_eq!((few.throttled(), large.throttled()), (1, 1));
}

#[test]
fn read_of_ten_megabytes_blocks_the_shard_for_five_seconds() {
    let (now, reads) = (Timestamp::from_ms(0), SharedReads::default());
    assert!(reads.allow(0, now));
    reads.record(0, now, READ_BYTES);
    assert!(!reads.allow(0, now.plus_ms(4999)));
    assert!(reads.allow(0, now.plus_ms(5000)));
}

#[test]
fn mapping_polls_once_a_second_and_more_often_while_it_is_behind() {
    let (stream, clock) = stream(25, 1_000_000);
    let shared = SharedReads::default();
    let first = clock.now().plus_ms(300);
    let reads = Reads::Polls { shared: shared.clone(), first };
    let mut position = Position::default();
    assert_eq!(position.next_read(&reads, &stream, 0), Some(first));
    assert_eq!(position.read(&reads, &stream, 0, first.plus_ms(-1)), []);
    assert_eq!(position.read(&reads, &stream, 0, first).len(), 10, "at most 10 MB");
    let second = first.plus_ms(CATCH_UP_POLL_MS);
    assert_eq!(position.next_read(&reads, &stream, 0), Some(second));
    assert_eq!(position.read(&reads, &stream, 0, second), [], "the shard is blocked");
    assert_eq!(shared.throttled(), 1);
    assert_eq!(position.read(&reads, &stream, 0, first.plus_ms(5000)).len(), 10);
    assert_eq!(position.read(&reads, &stream, 0, first.plus_ms(10_000)).len(), 5);
    assert_eq!(position.next_read(&reads, &stream, 0), None);
    // The rhythm stays that of the last poll.
    clock.set(first.plus_ms(12_345));
    stream.put_bytes("a", b"x");
    assert_eq!(position.next_read(&reads, &stream, 0), Some(first.plus_ms(13_000)));
}

#[test]
fn fan_out_passes_two_megabytes_a_second_after_seventy_milliseconds() {
    let (stream, clock) = stream(3, 1_000_000);
    let start = clock.now();
    let mut position = Position::default();
    assert_eq!(position.next_read(&Reads::FanOut, &stream, 0), Some(start.plus_ms(FAN_OUT_DELAY_MS + 501)));
    assert_eq!(position.read(&Reads::FanOut, &stream, 0, start.plus_ms(FAN_OUT_DELAY_MS + 499)), []);
    assert_eq!(position.read(&Reads::FanOut, &stream, 0, start.plus_ms(FAN_OUT_DELAY_MS + 1000)).len(), 2);
    assert_eq!(position.read(&Reads::FanOut, &stream, 0, start.plus_ms(FAN_OUT_DELAY_MS + 1500)).len(), 1);
}
