//! The stretch of a vehicle's log that its state does not hold yet.

use roadcast_domain::Timestamp;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::event_log::{EventLog, EventRange};

/// Events of one page.
const PAGE: usize = 1000;

/// Everything that is stored from the horizon on.
pub(crate) async fn read(log: &impl EventLog, vid: &VehicleId, horizon: Timestamp) -> Result<Vec<StoredEvent>, PortError> {
    let mut events = Vec::new();
    let mut from = Some(Eid::first_at(horizon));
    while let Some(start) = from {
        let range = EventRange { vid: vid.clone(), from: start, to: Eid::MAX, limit: PAGE, consistent: true };
        let page = log.range(&range).await?;
        events.extend(page.events);
        from = page.next;
    }
    Ok(events)
}
