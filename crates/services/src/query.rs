//! Answers from the stores: a vehicle's events and its last-known state, cut to what the caller may see.

use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_domain::selection::Selection;
use roadcast_domain::state::VehicleState;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::{EventLog, EventRange};
use roadcast_ports::state::StateStore;
use roadcast_ports::vehicles::Vehicles;

use crate::cached::CachedEntitlements;
use crate::room::{Room, event_bytes};
use crate::{ServiceError, tail};

mod history;
pub use history::{History, HistoryRange, Resolution, SamplePlace, SampleRow, Series, Statistics, Window};

/// Answers queries about a vehicle's data.
pub struct Query<V, E, L, S, K> {
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
enum Sight {
    Everything,
    Cut(Entitlement, Packages),
}

impl Sight {
    fn of(&self, event: Event, now: Timestamp) -> Option<Event> {
        match self {
            Self::Everything => Some(event),
            Self::Cut(entitlement, packages) => entitlement.cut(&event, packages, now),
        }
    }
}

/// Reads of the log for one page at most: where a fleet may see little of much, it gets a short page and goes on.
const READS_PER_PAGE: usize = 10;

impl<V: Vehicles, E: Entitlements, L: EventLog, S, K: Clock> Query<V, E, L, S, K> {
    /// A page of a vehicle's events.
    pub async fn events(&self, caller: &Caller, range: &EventsRange) -> Result<Events, ServiceError> {
        let sight = self.sight(caller, &range.vid).await?;
        let mut found = Events { events: Vec::new(), next: Some(range.from) };
        let mut room = Room::new();
        for _ in 0..READS_PER_PAGE {
            let Some(from) = found.next.filter(|from| *from <= range.to && found.events.len() < range.limit) else {
                break;
            };
            let limit = range.limit - found.events.len();
            let page =
                self.log.range(&EventRange { vid: range.vid.clone(), from, to: range.to, limit, consistent: true }).await?;
            let now = self.clock.now();
            let seen = page.events.into_iter().filter_map(|stored| sight.of(stored.event, now));
            found.next = page.next;
            for event in seen.filter_map(|event| range.selection.cut(event)) {
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
        let sight = self.sight(caller, vid).await?;
        let stored = self.log.get(vid, eid).await?.ok_or(ServiceError::NotFound)?;
        sight.of(stored.event, self.clock.now()).ok_or(ServiceError::NotFound)
    }

    /// How much the caller may see of the vehicle; `NotFound` where it may not know that the vehicle exists.
    async fn sight(&self, caller: &Caller, vid: &VehicleId) -> Result<Sight, ServiceError> {
        match caller {
            Caller::Ingest(_) => Err(ServiceError::Forbidden("ingest clients send events; they do not read them")),
            Caller::Admin(_) => {
                self.vehicles.get(vid).await?.ok_or(ServiceError::NotFound)?;
                Ok(Sight::Everything)
            }
            Caller::Fleet(fleet_id) => {
                let entitlement = self.entitlements.of_fleet_to_vehicle(fleet_id, vid).await?;
                let live = entitlement.filter(|entitlement| entitlement.is_live(self.clock.now()));
                Ok(Sight::Cut(live.ok_or(ServiceError::NotFound)?, self.entitlements.packages().await?))
            }
        }
    }
}

impl<V: Vehicles, E: Entitlements, L: EventLog, S: StateStore, K: Clock> Query<V, E, L, S, K> {
    /// Last-known values, and the time they were read at.
    pub async fn state(&self, caller: &Caller, vid: &VehicleId) -> Result<(VehicleState, Timestamp), ServiceError> {
        let sight = self.sight(caller, vid).await?;
        let mut state = self.newest(vid).await?;
        let now = self.clock.now();
        if let Sight::Cut(entitlement, packages) = &sight {
            state.signals.retain(|path, known| {
                path.def().is_some() && entitlement.coverage(packages, known.received, now).holds_signal(path.as_str())
            });
        }
        Ok((state, now))
    }

    /// What is known of a vehicle: its state, and what the log has beyond.
    async fn newest(&self, vid: &VehicleId) -> Result<VehicleState, ServiceError> {
        let mut state = self.state.read(vid).await?.state;
        if let Some(horizon) = state.horizon {
            for stored in tail::read(&self.log, vid, horizon).await? {
                state.observe(&stored.event);
            }
        }
        Ok(state)
    }
}
