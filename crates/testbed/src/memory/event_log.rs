//! The event log and the last-known state of vehicles.

use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::state::VehicleState;
use roadcast_ports::PortError;
use roadcast_ports::event_log::{EventLog, EventPage, EventRange};
use roadcast_ports::state::{StateStore, StoredState};

use super::Memory;

impl EventLog for Memory {
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        let mut state = self.state();
        for stored in events {
            state.events.entry((stored.event.vid.clone(), stored.event.eid)).or_insert_with(|| stored.clone());
        }
        events.iter().map(|_| Ok(())).collect()
    }

    async fn range(&self, range: &EventRange) -> Result<EventPage, PortError> {
        if range.from > range.to {
            return Ok(EventPage::default());
        }
        let state = self.state();
        let key = |eid| (range.vid.clone(), eid);
        let mut remaining = state.events.range(key(range.from)..=key(range.to)).map(|(_, stored)| stored);
        let events: Vec<StoredEvent> = remaining.by_ref().take(range.limit.max(1)).cloned().collect();
        let next = remaining.next().map(|stored| stored.event.eid);
        Ok(EventPage { events, next })
    }

    async fn get(&self, vid: &VehicleId, eid: Eid) -> Result<Option<StoredEvent>, PortError> {
        Ok(self.state().events.get(&(vid.clone(), eid)).cloned())
    }
}

impl StateStore for Memory {
    async fn read(&self, vid: &VehicleId) -> Result<StoredState, PortError> {
        // `merge` reads the current state itself, so no revision is needed.
        Ok(StoredState { state: self.state().states.get(vid).cloned().unwrap_or_default(), revision: 0 })
    }

    async fn merge(&self, vid: &VehicleId, _known: StoredState, readings: &VehicleState) -> Result<(), PortError> {
        self.state().states.entry(vid.clone()).or_default().merge(readings);
        Ok(())
    }
}
