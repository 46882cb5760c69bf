//! Scans a vehicle's event log page by page.

use roadcast_domain::Timestamp;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::event_log::{EventLog, EventRange};

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

/// Returns the unmerged tail of a vehicle's log: every event from the state's watermark on, which the stored state does not
/// include yet.
pub(crate) async fn unmerged_tail(
    log: &impl EventLog,
    vid: &VehicleId,
    watermark: Timestamp,
) -> Result<Vec<StoredEvent>, PortError> {
    let mut events = Vec::new();
    let (vid, from) = (vid.clone(), Eid::lower_bound(watermark));
    let range = EventRange { vid, from, to: Eid::MAX, limit: PAGE, consistent: true };
    scan(log, range, |stored| events.push(stored)).await?;
    Ok(events)
}
