//! What came in about a fleet's vehicles, in the order in which it came: for a poller that wants to miss nothing.
//!
//! The feed index holds pointers to what was delivered, stamped with the moment of writing. An event's place is its first
//! pointer: deliveries that came again left further ones, which are passed over. So whoever goes on from the last cursor gets
//! each event once, however late its vehicle sent it. See `docs/decisions/0015-arrivals.md`.

use std::collections::{BTreeMap, BTreeSet};

use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_domain::selection::Selection;
use roadcast_event_log::segment::bucket_of;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::{EventLog, EventRange};
use roadcast_ports::feed::{FeedIndex, FeedPointer, FeedRange, INDEX_LAG_MS};
use serde::{Deserialize, Serialize};

use crate::cache::CachedEntitlements;
use crate::response_budget::{ResponseBudget, event_bytes};
use crate::{ServiceError, log_scan};

/// Where a poller without a cursor begins: a day ago.
pub const DEFAULT_REACH_MS: i64 = 24 * 60 * 60 * 1000;
/// How long a poller waits for an event that was delivered but is not stored: longer than the stream processor works at a
/// batch. Usually storing follows within a second; what fails is delivered again when it is stored.
const PATIENCE_MS: i64 = 3 * 60 * 1000;
/// How far back earlier pointers to the same events are looked for. Deliveries come again within seconds to minutes.
const LOOK_BACK_MS: i64 = 15 * 60 * 1000;
/// Clocks of two functions differ by so much at most.
const CLOCK_SKEW_MS: i64 = 2_000;
/// Events that a poller went past before they were stored, remembered so that they come when they are. More than these at a
/// time would make the cursor too long.
const PASSED_OVER: usize = 16;
/// Pointers of one read. Each names the events of one entry of the bus.
const POINTERS_PER_READ: usize = 50;
/// Reads of one page: a fleet that gets little must not make a request long.
const READS_PER_PAGE: usize = 10;

/// Tells fleets what came in.
pub struct Arrivals<E, L, I, K> {
    /// Who may see what.
    pub entitlements: CachedEntitlements<E, K>,
    /// The events.
    pub log: L,
    /// Pointers to what was delivered.
    pub index: I,
    /// The time.
    pub clock: K,
}

/// Which arrivals are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrivalsRange {
    /// Where it goes on.
    pub from: ArrivalPosition,
    /// The time before which they came, where there is an end.
    pub to: Option<Timestamp>,
    /// What of them.
    pub selection: Selection,
    /// At most so many events.
    pub limit: usize,
}

/// A place in the order of arrivals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivalPosition {
    /// The pointer.
    stamp: Eid,
    /// The event in it.
    index: usize,
    /// Events before it that were not stored yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    passed_over: Vec<(VehicleId, Eid)>,
}

impl ArrivalPosition {
    /// The first place of that time.
    pub fn first_at(time: Timestamp) -> Self {
        Self { stamp: Eid::first_at(time), index: 0, passed_over: Vec::new() }
    }

    fn go_to(&mut self, stamp: Eid, index: usize) {
        self.stamp = stamp;
        self.index = index;
    }
}

/// A page of arrivals.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrivalsPage {
    /// In the order in which they came.
    pub events: Vec<Event>,
    /// Where the next page begins: always there, but after the end of a range that has one.
    pub next: Option<ArrivalPosition>,
    /// Whether there is more already; otherwise it is time to wait a while.
    pub more: bool,
}

impl<E: Entitlements, L: EventLog, I: FeedIndex, K: Clock> Arrivals<E, L, I, K> {
    /// A page of what came in about the caller's vehicles, cut to what it may see now.
    pub async fn page(&self, caller: &Caller, range: &ArrivalsRange) -> Result<ArrivalsPage, ServiceError> {
        let Caller::Fleet(fleet_id) = caller else {
            return Err(ServiceError::Forbidden("arrivals are read by a fleet's own clients"));
        };
        let now = self.clock.now();
        let end = range.to.unwrap_or(now).min(now.plus_ms(-INDEX_LAG_MS));
        let mut walk = Walk {
            arrivals: self,
            fleet_id,
            packages: self.entitlements.packages().await?,
            range,
            now,
            place: range.from.clone(),
            events: Vec::new(),
            room: ResponseBudget::new(),
            seen: BTreeSet::new(),
        };
        let last = Eid::stamped(end.plus_ms(-1), u128::MAX);
        let more = walk.walk_to(last).await?;
        let Walk { place, events, .. } = walk;
        let at_its_end = place.stamp > last && range.to.is_some_and(|to| end >= to);
        Ok(ArrivalsPage { events, next: (!at_its_end).then_some(place), more })
    }
}

/// What one step found.
enum Step {
    /// All there is up to the end was looked at.
    AtTheEnd,
    /// There is more to look at.
    More,
    /// The page is full.
    Full,
    /// An event is not stored yet: it is waited for.
    Waiting,
}

/// One page's way through the index.
struct Walk<'a, E, L, I, K> {
    arrivals: &'a Arrivals<E, L, I, K>,
    fleet_id: &'a FleetId,
    packages: Packages,
    range: &'a ArrivalsRange,
    now: Timestamp,
    place: ArrivalPosition,
    events: Vec<Event>,
    room: ResponseBudget,
    /// Events of pointers that this page has passed.
    seen: BTreeSet<(VehicleId, Eid)>,
}

/// An event that a pointer names.
struct Candidate {
    stamp: Eid,
    index: usize,
    named: (VehicleId, Eid),
}

impl<E: Entitlements, L: EventLog, I: FeedIndex, K: Clock> Walk<'_, E, L, I, K> {
    /// Goes on until the page is full or `last` is reached; says whether there is more.
    async fn walk_to(&mut self, last: Eid) -> Result<bool, ServiceError> {
        for _ in 0..READS_PER_PAGE {
            match self.step(last).await? {
                Step::AtTheEnd | Step::Waiting => return Ok(false),
                Step::Full => return Ok(true),
                Step::More => {}
            }
        }
        Ok(true)
    }

    async fn step(&mut self, last: Eid) -> Result<Step, ServiceError> {
        if self.place.stamp > last {
            return Ok(Step::AtTheEnd);
        }
        let range =
            FeedRange { fleet_id: self.fleet_id.clone(), from: self.place.stamp, to: last, limit: POINTERS_PER_READ };
        let page = self.arrivals.index.read(&range).await?;
        let mut candidates = self.candidates(&page.pointers);
        // No more than the page can hold, so that nothing is read in vain.
        let room = self.range.limit - self.events.len();
        let cut = candidates.len() > room;
        candidates.truncate(room);

        let found = self.read_events(&candidates).await?;
        let repeated = self.pointed_at_before(&candidates, &found).await?;
        for candidate in candidates {
            let Candidate { stamp, index, named } = candidate;
            let passed_over = self.place.passed_over.iter().position(|passed| *passed == named);
            match found.get(&named) {
                // What the fleet may not see is not read.
                None => {}
                Some(None) if passed_over.is_some() => {}
                Some(None) if self.now.ms_since(stamp.time()) < PATIENCE_MS => {
                    self.place.go_to(stamp, index);
                    return Ok(Step::Waiting);
                }
                Some(None) => self.pass_over(named.clone()),
                Some(Some(event)) => {
                    let known = repeated.contains(&named) || self.seen.contains(&named);
                    if (!known || passed_over.is_some())
                        && let Some(event) = self.range.selection.apply(event.clone())
                    {
                        if !self.room.takes(event_bytes(&event)) {
                            self.place.go_to(stamp, index);
                            return Ok(Step::Full);
                        }
                        self.events.push(event);
                    }
                    if let Some(passed) = passed_over {
                        self.place.passed_over.remove(passed);
                    }
                }
            }
            self.seen.insert(named);
            self.place.go_to(stamp, index + 1);
        }
        if self.events.len() >= self.range.limit {
            return Ok(Step::Full);
        }
        match page.next {
            _ if cut => {}
            Some(next) => self.place.go_to(next, 0),
            // Whatever is written from now on is stamped later.
            None => {
                let after = last.next().unwrap_or(Eid::MAX);
                self.place.go_to(after, 0);
                return Ok(Step::AtTheEnd);
            }
        }
        Ok(Step::More)
    }

    fn candidates(&self, pointers: &[FeedPointer]) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for FeedPointer { stamp, events } in pointers {
            let skip = if *stamp == self.place.stamp { self.place.index } else { 0 };
            let left = events.iter().enumerate().skip(skip);
            candidates.extend(left.map(|(index, named)| Candidate { stamp: *stamp, index, named: named.clone() }));
        }
        candidates
    }

    /// The events that are named, each cut to what the fleet may see; `None` for one that is not stored. Events of which it
    /// may see nothing are not among them.
    async fn read_events(
        &self,
        candidates: &[Candidate],
    ) -> Result<BTreeMap<(VehicleId, Eid), Option<Event>>, ServiceError> {
        // A bucket of a vehicle's log is read at a time: what lies in it is read together anyhow.
        let mut buckets: BTreeMap<(&VehicleId, Timestamp), Vec<Eid>> = BTreeMap::new();
        for Candidate { named: (vid, eid), .. } in candidates {
            buckets.entry((vid, bucket_of(eid.time()))).or_default().push(*eid);
        }
        let mut found = BTreeMap::new();
        for ((vid, _), mut eids) in buckets {
            let entitlement = self.arrivals.entitlements.of_fleet_to_vehicle(self.fleet_id, vid).await?;
            let Some(entitlement) = entitlement.filter(|entitlement| entitlement.is_live(self.now)) else { continue };
            eids.sort_unstable();
            eids.dedup();
            let stored = self.stored(vid, &eids).await?;
            for eid in eids {
                let event = stored.get(&eid);
                let seen = event.and_then(|event| entitlement.redact(event, &self.packages, self.now));
                if seen.is_some() || event.is_none() {
                    found.insert((vid.clone(), eid), seen);
                }
            }
        }
        Ok(found)
    }

    /// The events of one vehicle between the first and the last of `eids`.
    async fn stored(&self, vid: &VehicleId, eids: &[Eid]) -> Result<BTreeMap<Eid, Event>, PortError> {
        let mut stored = BTreeMap::new();
        let (Some(from), Some(to)) = (eids.first().copied(), eids.last().copied()) else { return Ok(stored) };
        let range = EventRange { vid: vid.clone(), from, to, limit: log_scan::PAGE, consistent: true };
        log_scan::scan(&self.arrivals.log, range, |found| {
            stored.insert(found.event.eid, found.event);
        })
        .await?;
        Ok(stored)
    }

    /// Which of the events an earlier pointer names, from before this page on. None can be older than the event's receipt.
    async fn pointed_at_before(
        &self,
        candidates: &[Candidate],
        found: &BTreeMap<(VehicleId, Eid), Option<Event>>,
    ) -> Result<BTreeSet<(VehicleId, Eid)>, ServiceError> {
        let first = &self.range.from;
        let received = found.values().flatten().map(|event| event.received).min();
        let Some(received) = received else { return Ok(BTreeSet::new()) };
        let from = received.plus_ms(-CLOCK_SKEW_MS).max(first.stamp.time().plus_ms(-LOOK_BACK_MS));
        let wanted: BTreeSet<&(VehicleId, Eid)> = candidates.iter().map(|candidate| &candidate.named).collect();
        let mut before = BTreeSet::new();
        let mut next = Some(Eid::first_at(from));
        while let Some(from) = next.filter(|from| *from <= first.stamp) {
            let range = FeedRange { fleet_id: self.fleet_id.clone(), from, to: first.stamp, limit: POINTERS_PER_READ };
            let page = self.arrivals.index.read(&range).await?;
            for pointer in page.pointers {
                // Of the pointer at which this page began, what came before its place.
                let passed = if pointer.stamp == first.stamp { first.index } else { pointer.events.len() };
                before.extend(pointer.events.into_iter().take(passed).filter(|named| wanted.contains(named)));
            }
            next = page.next;
        }
        Ok(before)
    }

    /// Goes past an event that is not stored, and remembers it.
    fn pass_over(&mut self, named: (VehicleId, Eid)) {
        if self.place.passed_over.len() == PASSED_OVER {
            let (vid, eid) = self.place.passed_over.remove(0);
            tracing::error!(%vid, %eid, "event {eid} of {vid} was delivered and never stored: a poller goes on without it");
        }
        self.place.passed_over.push(named);
    }
}
