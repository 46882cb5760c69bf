//! The event log and the last-known state of vehicles.

use std::collections::BTreeSet;

use roadcast_domain::byte_budget::ByteBudget;
use roadcast_domain::event::{Body, StoredEvent};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::state::VehicleState;
use roadcast_ports::PortError;
use roadcast_ports::event_log::{EventLog, EventPage, EventRange, StoredTelemetry, TelemetryPage};
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
        let mut budget = ByteBudget::new(range.max_bytes);
        let mut events: Vec<StoredEvent> = Vec::new();
        let next = remaining.find(|stored| {
            let fits = events.len() < range.limit.max(1) && budget.try_reserve(stored.memory_bytes()).is_ok();
            if fits || events.is_empty() {
                events.push((*stored).clone());
                budget.consume(if fits { 0 } else { usize::MAX });
                return false;
            }
            true
        });
        Ok(EventPage { next: next.map(|stored| stored.event.eid), events })
    }

    async fn telemetry(&self, range: &EventRange) -> Result<TelemetryPage, PortError> {
        let page = self.range(range).await?;
        let events = page.events.into_iter().map(|stored| stored.event);
        let telemetry = events.filter(|event| matches!(event.body, Body::Telemetry(_)));
        Ok(TelemetryPage { items: telemetry.map(StoredTelemetry::Event).collect(), next: page.next })
    }

    async fn get(&self, vid: &VehicleId, eid: Eid) -> Result<Option<StoredEvent>, PortError> {
        Ok(self.state().events.get(&(vid.clone(), eid)).cloned())
    }

    async fn stored_ids(&self, vid: &VehicleId, eids: &[Eid]) -> Result<BTreeSet<Eid>, PortError> {
        let state = self.state();
        Ok(eids.iter().copied().filter(|eid| state.events.contains_key(&(vid.clone(), *eid))).collect())
    }
}

impl StateStore for Memory {
    async fn read(&self, vid: &VehicleId) -> Result<StoredState, PortError> {
        // `merge` reads the current state itself, so no revision is needed.
        Ok(StoredState { state: self.state().states.get(vid).cloned().unwrap_or_default(), revision: 0 })
    }

    async fn merge(&self, vid: &VehicleId, _known: StoredState, readings: &VehicleState) -> Result<(), PortError> {
        let refusals = self.refusals();
        let mut state = self.state();
        let mut merged = state.states.get(vid).cloned().unwrap_or_default();
        merged.merge(readings);
        refusals.check_state(&merged, readings)?;
        state.states.insert(vid.clone(), merged);
        Ok(())
    }
}
