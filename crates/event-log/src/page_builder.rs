//! Keeps the smallest events of a range within the limits of a page.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use roadcast_domain::byte_budget::ByteBudget;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::Eid;
use roadcast_ports::event_log::{EventPage, EventRange};

/// A page that is being read. While more events or bytes are kept than the page may have, the largest event is removed, and
/// the page ends before it. So memory is bounded by the budget and the events that are added at once.
pub(crate) struct PageBuilder {
    from: Eid,
    to: Eid,
    limit: usize,
    budget: ByteBudget,
    /// Each event with its bytes.
    events: BTreeMap<Eid, (StoredEvent, usize)>,
    /// The smallest event that was removed: the start of the next page.
    cutoff: Option<Eid>,
}

impl PageBuilder {
    pub(crate) fn new(range: &EventRange) -> Self {
        Self {
            from: range.from,
            to: range.to,
            limit: range.limit.max(1),
            budget: ByteBudget::new(range.max_bytes),
            events: BTreeMap::new(),
            cutoff: None,
        }
    }

    /// Whether no event at or after `eid` belongs to the page.
    pub(crate) fn ends_before(&self, eid: Eid) -> bool {
        self.cutoff.is_some_and(|cutoff| eid >= cutoff)
    }

    pub(crate) fn contains(&self, eid: Eid) -> bool {
        (self.from..=self.to).contains(&eid) && !self.ends_before(eid)
    }

    /// Adds an event if it belongs to the page. Of the same event stored several times, the one received first remains.
    pub(crate) fn add(&mut self, stored: StoredEvent) {
        let eid = stored.event.eid;
        if !self.contains(eid) {
            return;
        }
        let bytes = stored.memory_bytes();
        match self.events.entry(eid) {
            Entry::Vacant(entry) => {
                entry.insert((stored, bytes));
            }
            Entry::Occupied(mut entry) => {
                let (kept, kept_bytes) = entry.get();
                if stored.event.received >= kept.event.received {
                    return;
                }
                self.budget.release(*kept_bytes);
                entry.insert((stored, bytes));
            }
        }
        self.budget.consume(bytes);
        while self.events.len() > self.limit || self.budget.is_exceeded() && self.events.len() > 1 {
            let Some((largest, (_, bytes))) = self.events.pop_last() else { return };
            self.budget.release(bytes);
            self.cutoff = Some(largest);
        }
    }

    /// Returns the page. `next` is after every event of the page, because only larger events were removed.
    pub(crate) fn finish(self) -> EventPage {
        EventPage { events: self.events.into_values().map(|(stored, _)| stored).collect(), next: self.cutoff }
    }
}
