//! Answers from the stores: a vehicle's events and its last-known state, cut to what the caller may see.

use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_domain::selection::Selection;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::{EventLog, EventRange};
use roadcast_ports::vehicles::Vehicles;

use crate::ServiceError;
use crate::cache::CachedEntitlements;
use crate::response_budget::{ResponseBudget, event_bytes};

/// Answers queries about a vehicle's data.
pub struct VehicleQueries<V, E, L, S, K> {
    /// The register.
    pub vehicles: V,
    /// Who may see what.
    pub entitlements: CachedEntitlements<E, K>,
    /// The events.
    pub log: L,
    /// Last-known values; who answers none, has nothing here.
    pub state: S,
    /// The time.
    pub clock: K,
}

/// Which of a vehicle's events are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct EventsRange {
    /// The vehicle.
    pub vid: VehicleId,
    /// The first id that may come.
    pub from: Eid,
    /// The last id that may come.
    pub to: Eid,
    /// What of them.
    pub selection: Selection,
    /// At most so many events.
    pub limit: usize,
}

impl EventsRange {
    /// Events whose time lies in [`from`, `to`).
    pub fn between(vid: VehicleId, from: Option<Timestamp>, to: Option<Timestamp>, limit: usize) -> Self {
        let last = |to: Timestamp| Eid::stamped(to.plus_ms(-1), u128::MAX);
        let (from, to) = (from.map_or(Eid::MIN, Eid::first_at), to.map_or(Eid::MAX, last));
        Self { vid, from, to, selection: Selection::default(), limit }
    }
}

/// A page of a vehicle's events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    /// In `eid` order.
    pub events: Vec<Event>,
    /// Where the next page starts, if there may be more.
    pub next: Option<Eid>,
}

/// How much of a vehicle's data a caller may see.
pub(super) enum Visibility {
    Everything,
    Redacted(Entitlement, Packages),
}

impl Visibility {
    pub(super) fn redact(&self, event: Event, now: Timestamp) -> Option<Event> {
        match self {
            Self::Everything => Some(event),
            Self::Redacted(entitlement, packages) => entitlement.redact(&event, packages, now),
        }
    }
}

/// Reads of the log for one page at most: where a fleet may see little of much, it gets a short page and goes on.
const READS_PER_PAGE: usize = 10;

impl<V: Vehicles, E: Entitlements, L: EventLog, S, K: Clock> VehicleQueries<V, E, L, S, K> {
    /// A page of a vehicle's events.
    pub async fn events(&self, caller: &Caller, range: &EventsRange) -> Result<Events, ServiceError> {
        let visibility = self.visibility(caller, &range.vid).await?;
        let mut found = Events { events: Vec::new(), next: Some(range.from) };
        let mut room = ResponseBudget::new();
        for _ in 0..READS_PER_PAGE {
            let Some(from) = found.next.filter(|from| *from <= range.to && found.events.len() < range.limit) else {
                break;
            };
            let limit = range.limit - found.events.len();
            let page =
                self.log.range(&EventRange { vid: range.vid.clone(), from, to: range.to, limit, consistent: true }).await?;
            let now = self.clock.now();
            let seen = page.events.into_iter().filter_map(|stored| visibility.redact(stored.event, now));
            found.next = page.next;
            for event in seen.filter_map(|event| range.selection.apply(event)) {
                if !room.takes(event_bytes(&event)) {
                    return Ok(Events { next: Some(event.eid), ..found });
                }
                found.events.push(event);
            }
        }
        found.next = found.next.filter(|next| *next <= range.to);
        Ok(found)
    }

    /// One event.
    pub async fn event(&self, caller: &Caller, vid: &VehicleId, eid: Eid) -> Result<Event, ServiceError> {
        let visibility = self.visibility(caller, vid).await?;
        let stored = self.log.get(vid, eid).await?.ok_or(ServiceError::NotFound)?;
        visibility.redact(stored.event, self.clock.now()).ok_or(ServiceError::NotFound)
    }

    /// How much the caller may see of the vehicle; `NotFound` where it may not know that the vehicle exists.
    pub(super) async fn visibility(&self, caller: &Caller, vid: &VehicleId) -> Result<Visibility, ServiceError> {
        match caller {
            Caller::Ingest(_) => Err(ServiceError::Forbidden("ingest clients send events; they do not read them")),
            Caller::Admin(_) => {
                self.vehicles.get(vid).await?.ok_or(ServiceError::NotFound)?;
                Ok(Visibility::Everything)
            }
            Caller::Fleet(fleet_id) => {
                let entitlement = self.entitlements.of_fleet_to_vehicle(fleet_id, vid).await?;
                let live = entitlement.filter(|entitlement| entitlement.is_live(self.clock.now()));
                Ok(Visibility::Redacted(live.ok_or(ServiceError::NotFound)?, self.entitlements.packages().await?))
            }
        }
    }
}
