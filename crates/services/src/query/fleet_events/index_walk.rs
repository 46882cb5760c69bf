//! Walks the feed index for one page of arrivals.

use std::collections::{BTreeMap, BTreeSet};

use roadcast_domain::Timestamp;
use roadcast_domain::event::{Event, StoredEvent};
use roadcast_domain::ids::{ArrivalStamp, Eid, FleetId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_event_log::segment::bucket_start;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::{EventRange, PAGE_BYTES};
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
/// The maximum number and duration of the reads for one page. It is reached only after thousands of pointers that the fleet
/// may not see: a page that ends earlier than others would reveal their number.
const READS_PER_PAGE: usize = 100;
const MAX_WALK_MS: i64 = 5_000;
/// The minimum number of events that are read from the log together. Events that the fleet may not see do not count against
/// the limit of a page.
const EVENTS_PER_READ: usize = 50;

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

/// The visible events of the first candidates, as many as fit into [`PAGE_BYTES`].
struct VisibleEvents {
    /// By the index of the candidate.
    events: BTreeMap<usize, Event>,
    bytes: usize,
    /// The first candidate that does not fit.
    end: usize,
}

impl VisibleEvents {
    const fn new(candidates: usize) -> Self {
        Self { events: BTreeMap::new(), bytes: 0, end: candidates }
    }

    /// Inserts an event, and removes the last ones while they exceed the bytes. The first always remains, so that a page
    /// makes progress.
    fn insert(&mut self, index: usize, event: Event) {
        if index >= self.end {
            return;
        }
        self.bytes += event.memory_bytes();
        self.events.insert(index, event);
        while self.bytes > PAGE_BYTES && self.events.len() > 1 {
            let Some((index, event)) = self.events.pop_last() else { break };
            self.bytes -= event.memory_bytes();
            self.end = index;
        }
    }
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
                ReadResult::Continue if self.queries.clock.now().ms_since(self.now) > MAX_WALK_MS => break,
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
        let mut candidates = self.candidates(&page.pointers).await?;
        while !candidates.is_empty() {
            // About as many as fit into the page, to avoid unnecessary reads of the log.
            let remaining = self.range.limit - self.events.len();
            let wanted = remaining.max(EVENTS_PER_READ).min(candidates.len());
            let (found, read) = self.read_events(&candidates[..wanted]).await?;
            let later = candidates.split_off(read);
            if let Some(result) = self.add_events(candidates, found).await? {
                return Ok(result);
            }
            candidates = later;
        }
        let Some(next) = page.next else {
            // Pointers written from now on have later stamps.
            self.position.move_to(last.next().unwrap_or(ArrivalStamp::MAX), 0);
            return Ok(ReadResult::EndReached);
        };
        self.position.move_to(next, 0);
        Ok(ReadResult::Continue)
    }

    /// Adds the candidates that were found and that the fleet may see. Returns a result if the page ends.
    async fn add_events(
        &mut self,
        candidates: Vec<Candidate>,
        found: BTreeMap<EventKey, Option<Event>>,
    ) -> Result<Option<ReadResult>, ServiceError> {
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
                    return Ok(Some(ReadResult::AwaitingStore));
                }
                Some(None) => self.pass_over(key.clone()),
                Some(Some(event)) => {
                    let is_repeated = repeated.contains(&key) || self.seen.contains(&key);
                    if (!is_repeated || passed_over.is_some())
                        && let Some(event) = self.range.selection.apply(event.clone())
                    {
                        if !self.budget.try_reserve(event_bytes(&event), event.memory_bytes()) {
                            self.position.move_to(stamp, index);
                            return Ok(Some(ReadResult::PageFull));
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
            if self.events.len() >= self.range.limit {
                return Ok(Some(ReadResult::PageFull));
            }
        }
        Ok(None)
    }

    /// Returns the events that the pointers name, from the current position on, without those of vehicles of which the fleet may
    /// see nothing.
    async fn candidates(&self, pointers: &[FeedPointer]) -> Result<Vec<Candidate>, PortError> {
        let mut candidates = Vec::new();
        for FeedPointer { stamp, events, .. } in pointers {
            let skip = if *stamp == self.position.stamp { self.position.index } else { 0 };
            for (index, event) in events.iter().enumerate().skip(skip) {
                let entitlement = self.queries.entitlements.entitlement(self.fleet_id, &event.0).await?;
                if entitlement.is_some_and(|entitlement| entitlement.is_live(self.now)) {
                    candidates.push(Candidate { stamp: *stamp, index, event: event.clone() });
                }
            }
        }
        Ok(candidates)
    }

    /// Reads the candidates from the log, redacted to what the fleet may see; `None` for an event that is not stored.
    /// Events of which the fleet may see nothing are omitted. Also returns the number of candidates that were read: the
    /// first ones, whose events fit into [`PAGE_BYTES`].
    async fn read_events(
        &self,
        candidates: &[Candidate],
    ) -> Result<(BTreeMap<EventKey, Option<Event>>, usize), ServiceError> {
        // One read per bucket of a vehicle's log, because a bucket is stored together.
        let mut buckets: BTreeMap<(&VehicleId, Timestamp), BTreeMap<Eid, usize>> = BTreeMap::new();
        for (index, Candidate { event: (vid, eid), .. }) in candidates.iter().enumerate() {
            buckets.entry((vid, bucket_start(eid.time()))).or_default().entry(*eid).or_insert(index);
        }
        let mut found = BTreeMap::new();
        let mut visible = VisibleEvents::new(candidates.len());
        for ((vid, _), eids) in buckets {
            let entitlement = self.queries.entitlements.entitlement(self.fleet_id, vid).await?;
            let Some(entitlement) = entitlement.filter(|entitlement| entitlement.is_live(self.now)) else { continue };
            let mut stored = BTreeSet::new();
            self.scan_stored(vid, &eids, |event, index| {
                stored.insert(event.eid);
                if let Some(event) = entitlement.redact(&event, &self.packages, self.now) {
                    visible.insert(index, event);
                }
            })
            .await?;
            let missing = eids.into_keys().filter(|eid| !stored.contains(eid));
            found.extend(missing.map(|eid| ((vid.clone(), eid), None)));
        }
        let read = visible.end;
        found.extend(visible.events.into_values().map(|event| ((event.vid.clone(), event.eid), Some(event))));
        Ok((found, read))
    }

    /// Passes those of a vehicle's events that are stored to `visit`, each with its index.
    async fn scan_stored(
        &self,
        vid: &VehicleId,
        eids: &BTreeMap<Eid, usize>,
        mut visit: impl FnMut(Event, usize) + Send,
    ) -> Result<(), PortError> {
        let (Some((&from, _)), Some((&to, _))) = (eids.first_key_value(), eids.last_key_value()) else { return Ok(()) };
        let (vid, limit) = (vid.clone(), log_scan::PAGE);
        let range = EventRange { vid, from, to, limit, max_bytes: PAGE_BYTES, consistent: true };
        let wanted = |found: StoredEvent| {
            if let Some(index) = eids.get(&found.event.eid) {
                visit(found.event, *index);
            }
        };
        log_scan::scan(&self.queries.log, range, wanted).await
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
        while self.position.passed_over.len() >= MAX_PASSED_OVER {
            let (vid, eid) = self.position.passed_over.remove(0);
            tracing::error!(%vid, %eid, "event {eid} of {vid} was delivered but never stored; a poller skips it");
        }
        self.position.passed_over.push(event);
    }
}
