//! Walks the feed index for one page of arrivals.

use std::collections::{BTreeMap, BTreeSet};

use roadcast_domain::Timestamp;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{ArrivalStamp, Eid, FleetId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_event_log::segment::bucket_start;
use roadcast_ports::PortError;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::EventRange;
use roadcast_ports::feed::{FeedIndex, FeedPointer, FeedRange};
use roadcast_ports::port_set::PortSet;

use super::{ArrivalPosition, FleetEvents, FleetEventsRange};
use crate::response_budget::{ResponseBudget, event_bytes};
use crate::{ServiceError, log_scan};

/// How long a poller waits for an event that is delivered but not stored, in milliseconds: longer than the stream processor
/// works on a batch. Usually the event is stored within a second after delivery; if storing fails, the event is delivered
/// again when it is stored.
const MAX_WAIT_MS: i64 = 3 * 60 * 1000;
/// How far back earlier pointers to the same events are searched, in milliseconds. Repeated deliveries follow within
/// seconds to minutes.
const REPEAT_LOOKBACK_MS: i64 = 15 * 60 * 1000;
/// The maximum difference between the clocks of two functions, in milliseconds.
const CLOCK_SKEW_MS: i64 = 2_000;
/// The maximum number of passed-over events that a cursor remembers, to return them once they are stored. More would make
/// the cursor too long.
const MAX_PASSED_OVER: usize = 16;
/// Pointers per read. Each pointer names the events of one bus entry.
const POINTERS_PER_READ: usize = 50;
/// The maximum number of reads for one page: a fleet that receives few events must not make a request slow.
const READS_PER_PAGE: usize = 10;

/// An event of a vehicle.
type EventKey = (VehicleId, Eid);

/// The walk of one page through the index.
pub(super) struct IndexWalk<'a, Ports: PortSet> {
    queries: &'a FleetEvents<Ports>,
    fleet_id: &'a FleetId,
    range: &'a FleetEventsRange,
    packages: Packages,
    now: Timestamp,
    position: ArrivalPosition,
    events: Vec<Event>,
    budget: ResponseBudget,
    /// Events of the pointers that this walk has passed.
    seen: BTreeSet<EventKey>,
}

/// The result of one read of the index.
enum ReadResult {
    /// The end of the range is reached.
    EndReached,
    /// The range continues.
    Continue,
    /// The page is full.
    PageFull,
    /// The next event is not stored yet.
    AwaitingStore,
}

/// An event that a pointer names.
struct Candidate {
    stamp: ArrivalStamp,
    index: usize,
    event: EventKey,
}

impl<'a, Ports: PortSet> IndexWalk<'a, Ports> {
    pub(super) fn new(
        queries: &'a FleetEvents<Ports>,
        fleet_id: &'a FleetId,
        range: &'a FleetEventsRange,
        packages: Packages,
        now: Timestamp,
    ) -> Self {
        Self {
            queries,
            fleet_id,
            range,
            packages,
            now,
            position: range.from.clone(),
            events: Vec::new(),
            budget: ResponseBudget::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Walks until the page is full or `last` is reached. Returns whether more events are available now.
    pub(super) async fn walk_to(&mut self, last: ArrivalStamp) -> Result<bool, ServiceError> {
        for _ in 0..READS_PER_PAGE {
            match self.read_once(last).await? {
                ReadResult::EndReached | ReadResult::AwaitingStore => return Ok(false),
                ReadResult::PageFull => return Ok(true),
                ReadResult::Continue => {}
            }
        }
        Ok(true)
    }

    /// Returns the events of the page, and the position where the next page starts.
    pub(super) fn into_parts(self) -> (Vec<Event>, ArrivalPosition) {
        (self.events, self.position)
    }

    async fn read_once(&mut self, last: ArrivalStamp) -> Result<ReadResult, ServiceError> {
        if self.position.stamp > last {
            return Ok(ReadResult::EndReached);
        }
        let range =
            FeedRange { fleet_id: self.fleet_id.clone(), from: self.position.stamp, to: last, limit: POINTERS_PER_READ };
        let page = self.queries.index.read(&range).await?;
        let mut candidates = self.candidates(&page.pointers);
        // At most as many as fit into the page, to avoid unnecessary reads of the log.
        let remaining = self.range.limit - self.events.len();
        let is_truncated = candidates.len() > remaining;
        candidates.truncate(remaining);

        let found = self.read_events(&candidates).await?;
        let repeated = self.find_repeated(&candidates, &found).await?;
        for candidate in candidates {
            let Candidate { stamp, index, event: key } = candidate;
            let passed_over = self.position.passed_over.iter().position(|passed| *passed == key);
            match found.get(&key) {
                // The fleet may not see the event.
                None => {}
                Some(None) if passed_over.is_some() => {}
                Some(None) if self.now.ms_since(stamp.time()) < MAX_WAIT_MS => {
                    self.position.move_to(stamp, index);
                    return Ok(ReadResult::AwaitingStore);
                }
                Some(None) => self.pass_over(key.clone()),
                Some(Some(event)) => {
                    let is_repeated = repeated.contains(&key) || self.seen.contains(&key);
                    if (!is_repeated || passed_over.is_some())
                        && let Some(event) = self.range.selection.apply(event.clone())
                    {
                        if !self.budget.try_reserve(event_bytes(&event)) {
                            self.position.move_to(stamp, index);
                            return Ok(ReadResult::PageFull);
                        }
                        self.events.push(event);
                    }
                    if let Some(passed) = passed_over {
                        self.position.passed_over.remove(passed);
                    }
                }
            }
            self.seen.insert(key);
            self.position.move_to(stamp, index + 1);
        }
        if self.events.len() >= self.range.limit {
            return Ok(ReadResult::PageFull);
        }
        match page.next {
            _ if is_truncated => {}
            Some(next) => self.position.move_to(next, 0),
            // Pointers written from now on have later stamps.
            None => {
                let after = last.next().unwrap_or(ArrivalStamp::MAX);
                self.position.move_to(after, 0);
                return Ok(ReadResult::EndReached);
            }
        }
        Ok(ReadResult::Continue)
    }

    /// Returns the events that the pointers name, from the current position on.
    fn candidates(&self, pointers: &[FeedPointer]) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for FeedPointer { stamp, events } in pointers {
            let skip = if *stamp == self.position.stamp { self.position.index } else { 0 };
            let remaining = events.iter().enumerate().skip(skip);
            candidates.extend(remaining.map(|(index, event)| Candidate { stamp: *stamp, index, event: event.clone() }));
        }
        candidates
    }

    /// Reads the candidates from the log, redacted to what the fleet may see; `None` for an event that is not stored.
    /// Events of which the fleet may see nothing are omitted.
    async fn read_events(&self, candidates: &[Candidate]) -> Result<BTreeMap<EventKey, Option<Event>>, ServiceError> {
        // One read per bucket of a vehicle's log, because a bucket is stored together.
        let mut buckets: BTreeMap<(&VehicleId, Timestamp), Vec<Eid>> = BTreeMap::new();
        for Candidate { event: (vid, eid), .. } in candidates {
            buckets.entry((vid, bucket_start(eid.time()))).or_default().push(*eid);
        }
        let mut found = BTreeMap::new();
        for ((vid, _), mut eids) in buckets {
            let entitlement = self.queries.entitlements.entitlement(self.fleet_id, vid).await?;
            let Some(entitlement) = entitlement.filter(|entitlement| entitlement.is_live(self.now)) else { continue };
            eids.sort_unstable();
            eids.dedup();
            let stored = self.read_stored(vid, &eids).await?;
            for eid in eids {
                let event = stored.get(&eid);
                let visible = event.and_then(|event| entitlement.redact(event, &self.packages, self.now));
                if visible.is_some() || event.is_none() {
                    found.insert((vid.clone(), eid), visible);
                }
            }
        }
        Ok(found)
    }

    /// Reads the stored events of a vehicle from the first to the last of `eids`, which are sorted.
    async fn read_stored(&self, vid: &VehicleId, eids: &[Eid]) -> Result<BTreeMap<Eid, Event>, PortError> {
        let mut stored = BTreeMap::new();
        let (Some(from), Some(to)) = (eids.first().copied(), eids.last().copied()) else { return Ok(stored) };
        let range = EventRange { vid: vid.clone(), from, to, limit: log_scan::PAGE, consistent: true };
        log_scan::scan(&self.queries.log, range, |found| {
            stored.insert(found.event.eid, found.event);
        })
        .await?;
        Ok(stored)
    }

    /// Returns the candidates that a pointer before this page also names. Such a pointer cannot be older than the arrival
    /// of the event.
    async fn find_repeated(
        &self,
        candidates: &[Candidate],
        found: &BTreeMap<EventKey, Option<Event>>,
    ) -> Result<BTreeSet<EventKey>, ServiceError> {
        let first = &self.range.from;
        let received = found.values().flatten().map(|event| event.received).min();
        let Some(received) = received else { return Ok(BTreeSet::new()) };
        let from = received.plus_ms(-CLOCK_SKEW_MS).max(first.stamp.time().plus_ms(-REPEAT_LOOKBACK_MS));
        let wanted: BTreeSet<&EventKey> = candidates.iter().map(|candidate| &candidate.event).collect();
        let mut repeated = BTreeSet::new();
        let mut next = Some(ArrivalStamp::lower_bound(from));
        while let Some(from) = next.filter(|from| *from <= first.stamp) {
            let range = FeedRange { fleet_id: self.fleet_id.clone(), from, to: first.stamp, limit: POINTERS_PER_READ };
            let page = self.queries.index.read(&range).await?;
            for pointer in page.pointers {
                // Of the pointer at which this page starts, only the events before the start position.
                let passed = if pointer.stamp == first.stamp { first.index } else { pointer.events.len() };
                repeated.extend(pointer.events.into_iter().take(passed).filter(|event| wanted.contains(event)));
            }
            next = page.next;
        }
        Ok(repeated)
    }

    /// Passes an event that is not stored, and remembers it in the position. Drops the oldest remembered event if there are
    /// too many.
    fn pass_over(&mut self, event: EventKey) {
        if self.position.passed_over.len() == MAX_PASSED_OVER {
            let (vid, eid) = self.position.passed_over.remove(0);
            tracing::error!(%vid, %eid, "event {eid} of {vid} was delivered but never stored; a poller skips it");
        }
        self.position.passed_over.push(event);
    }
}
