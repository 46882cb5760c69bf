//! [`IngestBus`]

use super::fresh::{Fresh, NOON};
use crate::bus::{Batch, ENTRY_BYTES, IngestBus};
use crate::clock::Randomness;
use crate::{PortError, PortErrorKind};

/// What every [`IngestBus`] does. Who gets the entries is for the pipe's own tests.
pub async fn ingest_bus(bus: &impl IngestBus, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    assert!(bus.publish(&[]).await.is_empty(), "publishing nothing answers nothing");

    // More than PutEvents takes at once, in number and in bytes.
    let event = || {
        let stored = fresh.telemetry(&fresh.vid(), NOON);
        serde_json::to_string(&stored.event.to_cloud_event()).expect("an event is JSON")
    };
    let entry = |events: usize| Batch { events: (0..events).map(|_| event()).collect() };
    for (entries, what) in [(vec![entry(1); 25], "25 small entries"), (vec![entry(150); 12], "12 entries of nearly 64 KiB")]
    {
        let answers = bus.publish(&entries).await;
        assert_eq!(answers.len(), entries.len(), "{what} are answered one by one");
        for answer in answers {
            answer.unwrap_or_else(|error| panic!("{what} are published: {error}"));
        }
    }

    let of_bytes = |bytes: usize| Batch { events: vec![format!("\"{}\"", "x".repeat(bytes))] };
    let answers = bus.publish(&[of_bytes(1), of_bytes(300_000), of_bytes(ENTRY_BYTES)]).await;
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(PortError::kind)).collect();
    assert_eq!(kinds, [None, None, Some(PortErrorKind::Rejected)], "one entry too large is refused, and no other");
}
