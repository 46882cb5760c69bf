//! [`IngestBus`]

use super::fixtures::{Fixtures, NOON};
use crate::bus::{Batch, ENTRY_BYTES, IngestBus};
use crate::clock::Randomness;
use crate::{PortError, PortErrorKind};
use roadcast_domain::lane::Lane;

/// Checks every implementation of [`IngestBus`]. Who receives the entries is tested with the adapters.
pub async fn ingest_bus(bus: &impl IngestBus, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    assert!(bus.publish(&[]).await.is_empty(), "publishing no entries returns no results");

    // More than one PutEvents request accepts, in number and in bytes.
    let event = || {
        let stored = fixtures.telemetry(&fixtures.vid(), NOON);
        serde_json::to_string(&stored.event.to_cloud_event()).expect("an event is JSON")
    };
    let entry =
        |events: usize| Batch { lane: Lane::Telemetry, for_notices: false, events: (0..events).map(|_| event()).collect() };
    for (entries, what) in [(vec![entry(1); 25], "25 small entries"), (vec![entry(150); 12], "12 entries of nearly 64 KiB")]
    {
        let results = bus.publish(&entries).await;
        assert_eq!(results.len(), entries.len(), "{what} have one result each");
        for result in results {
            result.unwrap_or_else(|error| panic!("{what} are published: {error}"));
        }
    }

    let of_bytes =
        |bytes: usize| Batch { lane: Lane::Alerts, for_notices: false, events: vec![format!("\"{}\"", "x".repeat(bytes))] };
    let results = bus.publish(&[of_bytes(1), of_bytes(300_000), of_bytes(ENTRY_BYTES)]).await;
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().err().map(PortError::kind)).collect();
    assert_eq!(kinds, [None, None, Some(PortErrorKind::Rejected)], "only the entry that is too large is rejected");
}
