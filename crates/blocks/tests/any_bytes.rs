//! The body of the fuzz target over bytes that a seed makes up and over changed blocks: a stable compiler's share of fuzzing.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "../fuzz/any_bytes.rs"]
mod any_bytes;
#[path = "../benches/recordings/mod.rs"]
mod recordings;

use std::sync::LazyLock;

use proptest::prelude::*;
use roadcast_blocks::Block;

/// Blocks of one simulated drive.
static DRIVE: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let recorded = recordings::read("simulated").unwrap();
    let events = recordings::events_of(&recorded.vehicles[0]);
    events.chunks(2).map(|events| Block::of_events(events).unwrap().encode()).collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn bytes_that_were_made_up(bytes: Vec<u8>) {
        any_bytes::check(&bytes);
    }

    #[test]
    fn blocks_of_drives_with_some_bytes_changed(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = DRIVE[which.index(DRIVE.len())].clone();
        bytes.truncate(bytes.len() - 4);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        any_bytes::check(&bytes[1..]);
    }
}
