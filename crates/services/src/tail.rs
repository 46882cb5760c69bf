//! The stretch of a vehicle's log that its state does not hold yet.

use roadcast_domain::Timestamp;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::event_log::{EventLog, EventRange};

use crate::stretch;

/// Everything that is stored from the horizon on.
pub(crate) async fn read(log: &impl EventLog, vid: &VehicleId, horizon: Timestamp) -> Result<Vec<StoredEvent>, PortError> {
    let mut events = Vec::new();
    let (vid, from) = (vid.clone(), Eid::first_at(horizon));
    let range = EventRange { vid, from, to: Eid::MAX, limit: stretch::PAGE, consistent: true };
    stretch::read(log, range, |stored| events.push(stored)).await?;
    Ok(events)
}
