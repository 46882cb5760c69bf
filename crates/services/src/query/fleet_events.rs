//! `GET /events`: the events of a fleet's vehicles in the order of arrival, for pollers that must not miss an event.
//!
//! The feed index contains pointers to delivered events, stamped with the time of writing. An event's position is its first
//! pointer; repeated deliveries leave further pointers, which are skipped. A poller that continues from the last cursor
//! therefore gets each event once, however late the vehicle sent it. See `docs/decisions/0015-arrivals.md`.

mod index_walk;

use roadcast_domain::Timestamp;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{ArrivalStamp, Eid, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::feed::{INDEX_GRACE_MS, INDEX_LAG_MS, INDEX_RETENTION_MS};
use roadcast_ports::port_set::PortSet;
use serde::{Deserialize, Serialize};

use crate::ServiceError;
use crate::authz::FleetOwner;
use crate::cache::CachedEntitlements;
use index_walk::IndexWalk;

/// How far back a poller without a cursor starts, in milliseconds: one day.
pub const DEFAULT_LOOKBACK_MS: i64 = 24 * 60 * 60 * 1000;

/// Returns the events of a fleet's vehicles in the order of arrival.
pub struct FleetEvents<Ports: PortSet> {
    /// The fleets' entitlements.
    pub entitlements: CachedEntitlements<Ports>,
    /// The event log.
    pub log: Ports::EventLog,
    /// The index of delivered events.
    pub index: Ports::FeedIndex,
    /// The clock.
    pub clock: Ports::Clock,
}

/// A range of arrivals.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetEventsRange {
    /// Where the page starts.
    pub from: ArrivalPosition,
    /// The arrival time at which the range ends, exclusive; `None` for an open range.
    pub to: Option<Timestamp>,
    /// The event types and signals to return.
    pub selection: Selection,
    /// The maximum number of events.
    pub limit: usize,
}

/// A position in the order of arrivals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivalPosition {
    /// The stamp of the pointer.
    stamp: ArrivalStamp,
    /// The index of the event in the pointer.
    index: usize,
    /// Events before this position that were not stored when the poller passed them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    passed_over: Vec<(VehicleId, Eid)>,
}

impl ArrivalPosition {
    /// The first position at or after `time`.
    pub fn first_at(time: Timestamp) -> Self {
        Self { stamp: ArrivalStamp::lower_bound(time), index: 0, passed_over: Vec::new() }
    }

    fn move_to(&mut self, stamp: ArrivalStamp, index: usize) {
        self.stamp = stamp;
        self.index = index;
    }
}

/// A page of arrivals.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetEventsPage {
    /// The events in the order of arrival.
    pub events: Vec<Event>,
    /// Where the next page starts; `None` only at the end of a range that has an end.
    pub next: Option<ArrivalPosition>,
    /// Whether more events are available now. If false, the caller should wait before the next request.
    pub more: bool,
}

impl<Ports: PortSet> FleetEvents<Ports> {
    /// Returns a page of the events of the fleet's vehicles, redacted to what the fleet may see now. Fails with `Expired` if
    /// the range starts before the retained part of the index.
    pub async fn page(&self, fleet: &FleetOwner, range: &FleetEventsRange) -> Result<FleetEventsPage, ServiceError> {
        let now = self.clock.now();
        let available_from = now.plus_ms(-INDEX_RETENTION_MS);
        if range.from.stamp.time() < available_from.plus_ms(-INDEX_GRACE_MS) {
            return Err(ServiceError::Expired { available_from });
        }
        let end = range.to.unwrap_or(now).min(now.plus_ms(-INDEX_LAG_MS));
        let last = ArrivalStamp::from_time_and_salt(end.plus_ms(-1), u128::MAX);
        let mut walk = IndexWalk::new(self, fleet.fleet_id(), range, self.entitlements.packages().await?, now);
        let more = walk.walk_to(last).await?;
        let (events, position) = walk.into_parts();
        let events = self.redact_again(fleet, events).await?;
        let is_at_end = position.stamp > last && range.to.is_some_and(|to| end >= to);
        Ok(FleetEventsPage { events, next: (!is_at_end).then_some(position), more })
    }

    /// Redacts the events to what the fleet may see now: its entitlements may have changed during the walk.
    async fn redact_again(&self, fleet: &FleetOwner, events: Vec<Event>) -> Result<Vec<Event>, ServiceError> {
        let (packages, now) = (self.entitlements.packages().await?, self.clock.now());
        let mut visible = Vec::with_capacity(events.len());
        for event in events {
            let entitlement = self.entitlements.entitlement(fleet.fleet_id(), &event.vid).await?;
            visible.extend(entitlement.and_then(|entitlement| entitlement.redact(&event, &packages, now)));
        }
        Ok(visible)
    }
}
