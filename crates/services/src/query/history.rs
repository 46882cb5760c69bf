//! A vehicle's history as a series of samples, or of windows that sum them up.
//!
//! The log is in the order of events, samples are in the order of their times, and an event's samples lie up to five minutes
//! behind its first. So a reader begins that much earlier, and hands out what no event still to come can precede.

use std::collections::BTreeMap;

use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::{Body, Event};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::limits;
use roadcast_domain::selection::Selection;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::{EventLog, EventRange};
use roadcast_ports::vehicles::Vehicles;
use roadcast_signals::{SignalPath, Signals, Value};
use serde::{Deserialize, Serialize};

use super::vehicle_events::{VehicleQueries, Visibility};
use crate::ServiceError;
use crate::response_budget::{ResponseBudget, signals_bytes};

/// Events of one read of the log.
const EVENTS_PER_READ: usize = 1000;
/// Reads of the log for one page: where little of much is asked for, a page is short and leads on.
const READS_PER_PAGE: usize = 20;

/// Which of a vehicle's samples are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRange {
    /// The vehicle.
    pub vid: VehicleId,
    /// The earliest time of a sample.
    pub from: Timestamp,
    /// The time before which samples lie.
    pub to: Timestamp,
    /// What of them.
    pub selection: Selection,
    /// At most so many samples, or windows.
    pub limit: usize,
}

/// A page of a history, and where the next one starts, if there may be more.
#[derive(Clone, Debug, PartialEq)]
pub struct History<T, P> {
    /// In the order of time.
    pub rows: Vec<T>,
    /// Where the next page starts.
    pub next: Option<P>,
}

/// A sample in a series.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRow {
    /// Its place.
    pub place: SamplePlace,
    /// Its signals.
    pub signals: Signals,
}

/// A sample's place in a series: its time, then its event, then its index there.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SamplePlace {
    /// When it was observed.
    pub at: Timestamp,
    /// Its event.
    pub eid: Eid,
    /// Its index there.
    pub index: u32,
}

impl SamplePlace {
    /// The first place of that time.
    pub const fn first_at(at: Timestamp) -> Self {
        Self { at, eid: Eid::MIN, index: 0 }
    }
}

/// The length of windows: whole seconds, from a second to a day. Windows begin at its multiples since 1970, in UTC.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Resolution(i64);

impl Resolution {
    /// So many seconds, if there may be windows of them.
    pub fn from_seconds(seconds: u32) -> Option<Self> {
        (1..=24 * 60 * 60).contains(&seconds).then(|| Self(i64::from(seconds) * 1000))
    }

    /// Its length in seconds.
    pub const fn seconds(self) -> i64 {
        self.0 / 1000
    }

    /// When the window of that time begins.
    fn window_of(self, at: Timestamp) -> Timestamp {
        Timestamp::from_ms(at.ms().div_euclid(self.0) * self.0)
    }
}

/// A window's samples, signal by signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// When it begins.
    pub at: Timestamp,
    /// Each signal that was reported in it.
    pub signals: BTreeMap<SignalPath, Series>,
}

/// What a signal did in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// How many values there were.
    pub count: u64,
    /// The last one, by the samples' order.
    pub last: Value,
    /// Over its numbers; nothing where none of its values is one.
    pub statistics: Option<Statistics>,
}

/// Statistics over numbers.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Statistics {
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    sum: f64,
    numbers: u64,
}

impl Statistics {
    /// Their arithmetic mean, each value counting the same however long it stood.
    #[allow(clippy::cast_precision_loss)] // a window holds fewer than 2^53
    pub fn mean(&self) -> f64 {
        self.sum / self.numbers as f64
    }

    fn take(before: Option<Self>, number: f64) -> Self {
        let Some(Self { min, max, sum, numbers }) = before else {
            return Self { min: number, max: number, sum: number, numbers: 1 };
        };
        Self { min: min.min(number), max: max.max(number), sum: sum + number, numbers: numbers + 1 }
    }
}

impl Window {
    fn take(&mut self, signals: Signals) {
        for (path, value) in signals {
            let number = value.as_number();
            let series = self.signals.entry(path).or_insert(Series { count: 0, last: value.clone(), statistics: None });
            series.count += 1;
            series.last = value;
            series.statistics = number.map(|number| Statistics::take(series.statistics, number)).or(series.statistics);
        }
    }
}

impl<V: Vehicles, E: Entitlements, L: EventLog, S, K: Clock> VehicleQueries<V, E, L, S, K> {
    /// A page of a vehicle's samples, from `start` on where it is not the first.
    pub async fn samples(
        &self,
        caller: &Caller,
        range: &HistoryRange,
        start: Option<SamplePlace>,
    ) -> Result<History<SampleRow, SamplePlace>, ServiceError> {
        let start = start.unwrap_or(SamplePlace::first_at(range.from));
        let mut reader = Reader::of(self, caller, range, start).await?;
        let mut rows: Vec<SampleRow> = Vec::new();
        let (mut reads, mut fit, mut room) = (0, 0, ResponseBudget::new());
        while reader.frontier.is_some() && rows.len() <= range.limit && fit == rows.len() {
            rows.extend(reader.read().await?);
            fit += rows[fit..].iter().take_while(|row| room.takes(row_bytes(signals_bytes(&row.signals)))).count();
            reads += 1;
            // Some way on at least, or nobody would get on.
            if reads >= READS_PER_PAGE && reader.frontier.is_some_and(|frontier| frontier > start.at) {
                break;
            }
        }
        let limit = range.limit.min(fit);
        let next = rows.get(limit).map(|row| row.place);
        rows.truncate(limit);
        Ok(History { rows, next: next.or(reader.frontier.map(SamplePlace::first_at)) })
    }

    /// A page of windows over a vehicle's samples, from the window at `start` on where it is not the first. Windows without
    /// a sample are left out.
    pub async fn windows(
        &self,
        caller: &Caller,
        range: &HistoryRange,
        resolution: Resolution,
        start: Option<Timestamp>,
    ) -> Result<History<Window, Timestamp>, ServiceError> {
        let start = start.unwrap_or(range.from);
        let mut reader = Reader::of(self, caller, range, SamplePlace::first_at(start)).await?;
        let mut rows: Vec<Window> = Vec::new();
        let mut reads = 0;
        while reader.frontier.is_some() && rows.len() <= range.limit {
            for SampleRow { place, signals } in reader.read().await? {
                let at = resolution.window_of(place.at);
                if rows.last().is_none_or(|window| window.at != at) {
                    rows.push(Window { at, signals: BTreeMap::new() });
                }
                if let Some(window) = rows.last_mut() {
                    window.take(signals);
                }
            }
            reads += 1;
            // A window is handed out whole or not at all: one at least, or nobody would get on.
            let open = reader.frontier.map(|frontier| resolution.window_of(frontier));
            let whole = open.is_none_or(|open| open > resolution.window_of(start));
            if reads >= READS_PER_PAGE && whole {
                break;
            }
        }
        let open = reader.frontier.map(|frontier| resolution.window_of(frontier));
        rows.retain(|window| open.is_none_or(|open| window.at < open));
        let mut room = ResponseBudget::new();
        let fit = rows.iter().take(range.limit).take_while(|window| room.takes(window_bytes(window))).count();
        let next = rows.get(fit).map(|window| window.at);
        rows.truncate(fit);
        Ok(History { rows, next: next.or(open.map(|open| open.max(start))) })
    }
}

/// About what a row takes in JSON whose signals take so much.
const fn row_bytes(signals: usize) -> usize {
    64 + signals
}

/// About what a window takes in JSON: of each signal how often it came, its last value, and three numbers.
fn window_bytes(window: &Window) -> usize {
    row_bytes(window.signals.keys().map(|path| path.as_str().len() + 160).sum())
}

/// Reads a vehicle's samples in their order.
struct Reader<'q, L, K> {
    log: &'q L,
    clock: &'q K,
    range: &'q HistoryRange,
    visibility: Visibility,
    start: SamplePlace,
    next: Option<Eid>,
    /// Samples that events still to come may precede.
    held: BTreeMap<SamplePlace, Signals>,
    /// The time up to which every sample was handed out; nothing where it was the last.
    frontier: Option<Timestamp>,
}

impl<'q, L: EventLog, K: Clock> Reader<'q, L, K> {
    async fn of<V: Vehicles, E: Entitlements, S>(
        query: &'q VehicleQueries<V, E, L, S, K>,
        caller: &Caller,
        range: &'q HistoryRange,
        start: SamplePlace,
    ) -> Result<Self, ServiceError> {
        let visibility = query.visibility(caller, &range.vid).await?;
        let first = Eid::first_at(start.at.plus_ms(-limits::EVENT_SPAN_MS));
        let VehicleQueries { log, clock, .. } = query;
        Ok(Self { log, clock, range, visibility, start, next: Some(first), held: BTreeMap::new(), frontier: Some(start.at) })
    }

    /// The next samples.
    async fn read(&mut self) -> Result<Vec<SampleRow>, ServiceError> {
        let last = Eid::stamped(self.range.to.plus_ms(-1), u128::MAX);
        if let Some(from) = self.next.filter(|from| *from <= last) {
            let vid = self.range.vid.clone();
            let wanted = EventRange { vid, from, to: last, limit: EVENTS_PER_READ, consistent: true };
            let page = self.log.range(&wanted).await?;
            let now = self.clock.now();
            for stored in page.events {
                let seen = self.visibility.redact(stored.event, now);
                if let Some(event) = seen.and_then(|event| self.range.selection.apply(event)) {
                    self.buffer(event);
                }
            }
            self.next = page.next;
        } else {
            self.next = None;
        }
        self.frontier = self.next.map(|next| next.time().max(self.start.at)).filter(|frontier| *frontier < self.range.to);
        let left = self.frontier.map(|frontier| self.held.split_off(&SamplePlace::first_at(frontier))).unwrap_or_default();
        let done = std::mem::replace(&mut self.held, left);
        Ok(done.into_iter().map(|(place, signals)| SampleRow { place, signals }).collect())
    }

    fn buffer(&mut self, event: Event) {
        let Body::Telemetry(telemetry) = event.body else { return };
        for (index, sample) in telemetry.samples.into_iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let place = SamplePlace { at: sample.at, eid: event.eid, index };
            if place >= self.start && place.at < self.range.to {
                self.held.insert(place, sample.signals);
            }
        }
    }
}
