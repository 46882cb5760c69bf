//! A vehicle's events, redacted to what the caller may see.

use roadcast_domain::Timestamp;
use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_domain::selection::Selection;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::{EventLog, EventRange};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::vehicles::Vehicles;

use crate::ServiceError;
use crate::authz::Reader;
use crate::cache::CachedEntitlements;
use crate::response_budget::{ResponseBudget, event_bytes};

/// Queries a vehicle's events and history.
pub struct VehicleQueries<Ports: PortSet> {
    /// The registered vehicles.
    pub vehicles: Ports::Vehicles,
    /// The fleets' entitlements.
    pub entitlements: CachedEntitlements<Ports>,
    /// The event log.
    pub log: Ports::EventLog,
    /// The clock.
    pub clock: Ports::Clock,
}

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

/// How much of a vehicle's data a caller may see.
pub(super) enum Visibility {
    /// All data.
    Everything,
    /// The data that the entitlement covers.
    Redacted(Entitlement, Packages),
}

impl Visibility {
    /// Returns the visible part of the event; `None` if no part is visible.
    pub(super) fn redact(&self, event: Event, now: Timestamp) -> Option<Event> {
        match self {
            Self::Everything => Some(event),
            Self::Redacted(entitlement, packages) => entitlement.redact(&event, packages, now),
        }
    }
}

/// The maximum number of reads of the log for one page. If a fleet may see few of many events, a page is short and the next
/// one continues.
const READS_PER_PAGE: usize = 10;

impl<Ports: PortSet> VehicleQueries<Ports> {
    /// Returns a page of a vehicle's events.
    pub async fn events(&self, reader: &Reader, range: &EventsRange) -> Result<EventsPage, ServiceError> {
        let visibility = self.visibility(reader, &range.vid).await?;
        let mut found = EventsPage { events: Vec::new(), next: Some(range.from) };
        let mut budget = ResponseBudget::new();
        for _ in 0..READS_PER_PAGE {
            let Some(from) = found.next.filter(|from| *from <= range.to && found.events.len() < range.limit) else {
                break;
            };
            let limit = range.limit - found.events.len();
            let page =
                self.log.range(&EventRange { vid: range.vid.clone(), from, to: range.to, limit, consistent: true }).await?;
            let now = self.clock.now();
            let visible = page.events.into_iter().filter_map(|stored| visibility.redact(stored.event, now));
            found.next = page.next;
            for event in visible.filter_map(|event| range.selection.apply(event)) {
                if !budget.try_reserve(event_bytes(&event)) {
                    return Ok(EventsPage { next: Some(event.eid), ..found });
                }
                found.events.push(event);
            }
        }
        found.next = found.next.filter(|next| *next <= range.to);
        Ok(found)
    }

    /// Returns one event.
    pub async fn event(&self, reader: &Reader, vid: &VehicleId, eid: Eid) -> Result<Event, ServiceError> {
        let visibility = self.visibility(reader, vid).await?;
        let stored = self.log.get(vid, eid).await?.ok_or(ServiceError::NotFound)?;
        visibility.redact(stored.event, self.clock.now()).ok_or(ServiceError::NotFound)
    }

    /// Returns how much the caller may see of the vehicle. Fails with `NotFound` if the caller must not learn that the
    /// vehicle exists.
    pub(super) async fn visibility(&self, reader: &Reader, vid: &VehicleId) -> Result<Visibility, ServiceError> {
        match reader {
            Reader::Admin(_) => {
                self.vehicles.get(vid).await?.ok_or(ServiceError::NotFound)?;
                Ok(Visibility::Everything)
            }
            Reader::Fleet(owner) => {
                let entitlement = self.entitlements.entitlement(owner.fleet_id(), vid).await?;
                let entitlement = entitlement.filter(|entitlement| entitlement.is_live(self.clock.now()));
                Ok(Visibility::Redacted(entitlement.ok_or(ServiceError::NotFound)?, self.entitlements.packages().await?))
            }
        }
    }
}
