//! Keys of `feedIndex`: one partition per fleet and hour of the stamp, and one per restored part.

use roadcast_domain::ids::{ArrivalStamp, FleetId};
use roadcast_ports::feed::RestoredPart;
use roadcast_signals::Timestamp;

use super::{FEED, Key, KeyRange, STAMP};

impl Key {
    /// A feed pointer.
    pub fn feed_pointer(fleet_id: &FleetId, stamp: ArrivalStamp) -> Self {
        Self { partition: (FEED, feed_partition(fleet_id, stamp.time())), sort: Some((STAMP, stamp.to_string())) }
    }

    /// The mark of a restored part. It has the form of a pointer without events, in a partition that no reader of a feed reads.
    pub fn restored_part(part: &RestoredPart) -> Self {
        let RestoredPart { fleet_id, digest } = part;
        let partition = format!("restored#{fleet_id}#{digest:032x}");
        Self { partition: (FEED, partition), sort: Some((STAMP, ArrivalStamp::MIN.to_string())) }
    }
}

impl KeyRange {
    /// The pointers of a fleet from `from` to `to`, limited to the hour of `from`.
    pub fn feed_pointers(fleet_id: &FleetId, from: ArrivalStamp, to: ArrivalStamp) -> Self {
        let partition = (FEED, feed_partition(fleet_id, from.time()));
        Self { partition, sort: STAMP, from: from.to_string(), to: to.to_string(), consistent: true, descending: false }
    }
}

fn feed_partition(fleet_id: &FleetId, at: Timestamp) -> String {
    format!("{fleet_id}#{}", hour(at))
}

/// Returns the start of the next full hour after `at`.
pub(crate) fn next_hour(at: Timestamp) -> Timestamp {
    const HOUR_MS: i64 = 60 * 60 * 1000;
    Timestamp::from_ms((at.ms().div_euclid(HOUR_MS) + 1) * HOUR_MS)
}

/// Formats the hour of `at` as `yyyy-mm-ddThh`.
fn hour(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate("yyyy-mm-ddThh".len());
    text
}
