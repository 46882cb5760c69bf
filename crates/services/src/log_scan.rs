//! Scans a vehicle's event log page by page.

use roadcast_domain::Timestamp;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::event_log::{EventLog, EventPage, EventRange, PAGE_BYTES};

/// Events per page.
pub(crate) const PAGE: usize = 1000;

/// Passes every event of the range to `visit`, in order. Holds at most one page in memory, besides what `visit` retains.
pub(crate) async fn scan(
    log: &impl EventLog,
    mut range: EventRange,
    mut visit: impl FnMut(StoredEvent) + Send,
) -> Result<(), PortError> {
    while range.from <= range.to {
        let page = log.range(&range).await?;
        page.events.into_iter().for_each(&mut visit);
        let Some(next) = page.next else { break };
        range.from = next;
    }
    Ok(())
}

/// Returns the first page of the unmerged tail of a vehicle's log.
pub(crate) async fn unmerged_page(
    log: &impl EventLog,
    vid: &VehicleId,
    watermark: Timestamp,
) -> Result<EventPage, PortError> {
    log.range(&unmerged_tail(vid, watermark)).await
}

/// Passes the unmerged tail of a vehicle's log to `visit`: every event from the state's watermark on, which the stored state
/// does not include yet. Holds at most one page in memory: a sender may store any number of events in that time.
pub(crate) async fn scan_unmerged_tail(
    log: &impl EventLog,
    vid: &VehicleId,
    watermark: Timestamp,
    visit: impl FnMut(StoredEvent) + Send,
) -> Result<(), PortError> {
    scan(log, unmerged_tail(vid, watermark), visit).await
}

fn unmerged_tail(vid: &VehicleId, watermark: Timestamp) -> EventRange {
    let (vid, from) = (vid.clone(), Eid::lower_bound(watermark));
    EventRange { vid, from, to: Eid::MAX, limit: PAGE, max_bytes: PAGE_BYTES, consistent: true }
}
