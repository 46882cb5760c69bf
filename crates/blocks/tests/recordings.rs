//! Encodes real recordings as blocks: they round-trip and do not exceed the promised sizes.

// A test stops at the first error.
#![allow(clippy::cast_precision_loss, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "../benches/blocks/recordings.rs"]
mod recordings;

use recordings::{Recorded, events_of};
use roadcast_blocks::Block;

/// Returns the bytes per sample in blocks of 10 samples and in blocks of 60 samples.
fn sizes(recorded: &Recorded) -> (f64, f64) {
    let size = |events_per_block: usize| {
        let (mut bytes, mut samples) = (0, 0);
        for vehicle in &recorded.vehicles {
            for events in events_of(vehicle).chunks(events_per_block) {
                let block = Block::from_events(events).unwrap();
                let encoded = block.encode();
                assert_eq!(Block::decode(&encoded).unwrap().events(), events, "the block must round-trip");
                bytes += encoded.len();
                samples += events.iter().map(|event| event.samples.len()).sum::<usize>();
            }
        }
        bytes as f64 / samples as f64
    };
    (size(1), size(6))
}

fn check_sizes(name: &str, max: (f64, f64)) {
    let Some(recorded) = recordings::read(name) else { return };
    let sizes = sizes(&recorded);
    println!("{name}: {:.2} bytes per sample in blocks of 10, {:.2} in blocks of 60", sizes.0, sizes.1);
    assert!(sizes.0 <= max.0 && sizes.1 <= max.1, "{name}: {sizes:?}, at most {max:?}");
}

#[test]
fn envirocar_takes_20_and_16_bytes_per_sample() {
    check_sizes("envirocar", (20.0, 16.0));
}

#[test]
fn twizy_takes_9_and_4_bytes_per_sample() {
    check_sizes("twizy", (9.0, 4.0));
}

#[test]
fn truck_takes_8_and_5_bytes_per_sample() {
    check_sizes("truck", (8.0, 5.0));
}
