//! Blocks of version 1 are still decoded.
//!
//! Each line of the fixture has a block, written by the last code that wrote version 1, and what it contains. Together, the
//! blocks have every form of a sequence, every kind of values, escaped codes and every form of a presence.

// A test stops at the first error.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use roadcast_blocks::{Block, EventRow};
use roadcast_signals::{Sample, Signals, Timestamp};
use serde::Deserialize;

#[derive(Deserialize)]
struct Content {
    /// Id, received time and number of samples of each event.
    events: Vec<(String, i64, usize)>,
    times: Vec<i64>,
    signals: Vec<Signals>,
}

#[test]
fn blocks_of_version_1_have_the_content_that_was_written() {
    let fixture = include_str!("fixtures/version_1.txt");
    assert_eq!(fixture.lines().count(), 27);
    for (index, line) in fixture.lines().enumerate() {
        let (hex, json) = line.split_once(' ').unwrap();
        let bytes: Vec<u8> = (0..hex.len() / 2).map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap()).collect();
        assert_eq!(bytes[0], 0xB1);
        let content: Content = serde_json::from_str(json).unwrap();
        let event = |(eid, received, samples): &(String, i64, usize)| EventRow {
            eid: u128::from_str_radix(eid, 16).unwrap(),
            received: Timestamp::from_ms(*received),
            samples: *samples,
        };
        let events: Vec<EventRow> = content.events.iter().map(event).collect();
        let sample = |(at, signals): (i64, Signals)| Sample { at: Timestamp::from_ms(at), signals };
        let samples: Vec<Sample> = content.times.into_iter().zip(content.signals).map(sample).collect();

        let block = Block::decode(&bytes).unwrap();
        assert_eq!(block.event_rows(), events, "block {index}");
        assert_eq!(block.samples(), samples, "block {index}");
        let values =
            |samples: &[Sample]| -> Vec<_> { samples.iter().flat_map(|sample| sample.signals.values().cloned()).collect() };
        let are_equal = values(&block.samples()).iter().zip(values(&samples)).all(|(a, b)| a.bits_eq(&b));
        assert!(are_equal, "block {index}: every bit of the numbers");
        assert_eq!(Block::decode_eids(&bytes).unwrap(), events.iter().map(|event| event.eid).collect::<Vec<_>>());
        assert_eq!(Block::count_samples(&bytes), Ok(samples.len()));
        assert_eq!(Block::decode(&block.encode()).as_ref(), Ok(&block), "block {index} in the present version");
    }
}
