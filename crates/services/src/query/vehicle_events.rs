//! A vehicle's events, redacted to what the caller may see.

use roadcast_domain::Timestamp;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_event_log::segment::bucket_start;
use roadcast_ports::clock::Clock;
use roadcast_ports::event_log::{EventLog, EventRange, PAGE_BYTES};
use roadcast_ports::port_set::PortSet;

use super::vehicle_queries::VehicleQueries;
use super::visibility::Visibility;
use crate::ServiceError;
use crate::authz::Reader;
use crate::response_budget::{ResponseBudget, event_bytes};

/// A range of a vehicle's events.
#[derive(Clone, Debug, PartialEq)]
pub struct EventsRange {
    /// The vehicle.
    pub vid: VehicleId,
    /// The first event id, inclusive.
    pub from: Eid,
    /// The last event id, inclusive.
    pub to: Eid,
    /// The event types and signals to return.
    pub selection: Selection,
    /// The maximum number of events.
    pub limit: usize,
}

impl EventsRange {
    /// Events whose time is in [`from`, `to`); an omitted bound is open.
    pub fn between(vid: VehicleId, from: Option<Timestamp>, to: Option<Timestamp>, limit: usize) -> Self {
        let last = |to: Timestamp| Eid::from_time_and_salt(to.plus_ms(-1), u128::MAX);
        let (from, to) = (from.map_or(Eid::MIN, Eid::lower_bound), to.map_or(Eid::MAX, last));
        Self { vid, from, to, selection: Selection::default(), limit }
    }
}

/// A page of a vehicle's events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventsPage {
    /// The events in `eid` order.
    pub events: Vec<Event>,
    /// Where the next page starts; `None` for the last page.
    pub next: Option<Eid>,
}

/// The maximum number of reads of the log for one page. If a fleet may see few of many events, a page is short and the next
/// one continues.
const READS_PER_PAGE: usize = 10;

/// The minimum number of events per read of the log if the caller may not see all of them. A page of few events otherwise
/// often ends between two hidden events, whose times its cursor must not reveal.
const MIN_EVENTS_PER_READ: usize = 100;

impl<Ports: PortSet> VehicleQueries<Ports> {
    /// Returns a page of a vehicle's events.
    pub async fn events(&self, reader: &Reader, range: &EventsRange) -> Result<EventsPage, ServiceError> {
        self.with_visibility(reader, &range.vid, |visibility| self.visible_events(visibility, range)).await
    }

    async fn visible_events(&self, visibility: Visibility, range: &EventsRange) -> Result<EventsPage, ServiceError> {
        let mut events: Vec<Event> = Vec::new();
        let mut budget = ResponseBudget::new();
        let mut next = Some(range.from);
        for _ in 0..READS_PER_PAGE {
            let Some(from) = next.filter(|from| *from <= range.to && events.len() < range.limit) else { break };
            let remaining = range.limit - events.len();
            let limit = if visibility.is_everything() { remaining } else { remaining.max(MIN_EVENTS_PER_READ) };
            let vid = range.vid.clone();
            let read = EventRange { vid, from, to: range.to, limit, max_bytes: PAGE_BYTES, consistent: true };
            let page = self.log.range(&read).await?;
            let now = self.clock.now();
            let visible = page.events.into_iter().filter_map(|stored| visibility.redact(stored.event, now));
            next = page.next;
            for event in visible.filter_map(|event| range.selection.apply(event)) {
                let is_full = events.len() >= range.limit;
                if is_full || !budget.try_reserve(event_bytes(&event), event.memory_bytes()) {
                    return Ok(EventsPage { events, next: Some(event.eid) });
                }
                events.push(event);
            }
        }
        let next = next.filter(|next| *next <= range.to).map(|next| next_start(range.from, events.last(), next));
        Ok(EventsPage { events, next })
    }

    /// Returns one event.
    pub async fn event(&self, reader: &Reader, vid: &VehicleId, eid: Eid) -> Result<Event, ServiceError> {
        let read = async |visibility: Visibility| {
            let stored = self.log.get(vid, eid).await?.ok_or(ServiceError::NotFound)?;
            visibility.redact(stored.event, self.clock.now()).ok_or(ServiceError::NotFound)
        };
        self.with_visibility(reader, vid, read).await
    }
}

/// Returns where the page after one with `last` starts, if everything before `next` was read. The position does not reveal
/// the time of an event that the caller may not see: it is after the last visible event, or the start of a bucket. It is `next`
/// itself if the page would otherwise start where this one started.
fn next_start(start: Eid, last: Option<&Event>, next: Eid) -> Eid {
    let after_last = last.and_then(|event| event.eid.next()).unwrap_or(Eid::MIN);
    let visible = after_last.max(Eid::lower_bound(bucket_start(next.time())));
    if visible > start { visible } else { next }
}
