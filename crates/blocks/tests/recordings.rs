//! Real recordings in blocks: nothing is lost, and they are as small as is promised.

// A test stops at the first surprise.
#![allow(clippy::cast_precision_loss, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "../benches/recordings/mod.rs"]
mod recordings;

use recordings::{Recorded, events_of};
use roadcast_blocks::Block;

/// Bytes a sample in blocks of ten samples, and of six times ten.
fn sizes(recorded: &Recorded) -> (f64, f64) {
    let size = |events_per_block: usize| {
        let (mut bytes, mut samples) = (0, 0);
        for vehicle in &recorded.vehicles {
            for events in events_of(vehicle).chunks(events_per_block) {
                let block = Block::of_events(events).unwrap();
                let encoded = block.encode();
                assert_eq!(Block::decode(&encoded).unwrap().events(), events, "what is written is read back");
                bytes += encoded.len();
                samples += events.iter().map(|event| event.samples.len()).sum::<usize>();
            }
        }
        bytes as f64 / samples as f64
    };
    (size(1), size(6))
}

fn check(name: &str, most: (f64, f64)) {
    let Some(recorded) = recordings::read(name) else {
        println!("no recordings beside this clone: {name} was not checked");
        return;
    };
    let sizes = sizes(&recorded);
    println!("{name}: {:.2} bytes a sample in blocks of 10, {:.2} in blocks of 60", sizes.0, sizes.1);
    assert!(sizes.0 <= most.0 && sizes.1 <= most.1, "{name}: {sizes:?}, at most {most:?}");
}

#[test]
fn envirocar_takes_23_and_19_bytes_a_sample() {
    check("envirocar", (23.0, 19.0));
}

#[test]
fn twizy_takes_8_bytes_a_sample_in_blocks_of_60() {
    check("twizy", (f64::MAX, 8.0));
}

#[test]
fn the_truck_takes_6_bytes_a_sample_in_blocks_of_60() {
    check("truck", (f64::MAX, 6.0));
}
