//! Scanning a vehicle's log page by page.

use roadcast_domain::Timestamp;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::event_log::{EventLog, EventRange};

/// Events of one page.
pub(crate) const PAGE: usize = 1000;

/// Passes every event of the range to `visit`, page by page. At most one page is held in memory, besides what `visit` keeps.
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

/// The unmerged tail of a vehicle's log: everything stored from the state's watermark on, which the stored state does not hold
/// yet.
pub(crate) async fn unmerged_tail(
    log: &impl EventLog,
    vid: &VehicleId,
    watermark: Timestamp,
) -> Result<Vec<StoredEvent>, PortError> {
    let mut events = Vec::new();
    let (vid, from) = (vid.clone(), Eid::first_at(watermark));
    let range = EventRange { vid, from, to: Eid::MAX, limit: PAGE, consistent: true };
    scan(log, range, |stored| events.push(stored)).await?;
    Ok(events)
}
