//! Statistics of a vehicle's signals per time window.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use roadcast_domain::Timestamp;
use roadcast_domain::event::memory::value_bytes;
use roadcast_event_log::segment::bucket_start;
use roadcast_ports::event_log::PAGE_BYTES;
use roadcast_ports::port_set::PortSet;
use roadcast_signals::{POSITION, SignalPath, Signals, Value, Values};

use super::ordered_rows::Run;
use super::source::SeriesPart;
use super::telemetry_reader::TelemetryReader;
use super::{HistoryPage, HistoryRange, READS_PER_PAGE, SamplePosition};
use crate::ServiceError;
use crate::authz::Reader;
use crate::query::VehicleQueries;
use crate::query::visibility::Visibility;
use crate::response_budget::{RESPONSE_BYTES, series_bytes, window_bytes};

/// The length of windows: whole seconds, from one second to one day. Windows start at its multiples since 1970, in UTC.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Resolution(i64);

impl Resolution {
    /// A resolution of that many seconds; `None` if not between one second and one day.
    pub fn from_seconds(seconds: u32) -> Option<Self> {
        (1..=24 * 60 * 60).contains(&seconds).then(|| Self(i64::from(seconds) * 1000))
    }

    /// The window length in seconds.
    pub const fn seconds(self) -> i64 {
        self.0 / 1000
    }

    /// Returns the start of the window that contains `at`.
    fn window_start(self, at: Timestamp) -> Timestamp {
        Timestamp::from_ms(at.ms().div_euclid(self.0) * self.0)
    }
}

/// The signals of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The start of the window.
    pub at: Timestamp,
    /// Each signal that was reported in the window.
    pub signals: BTreeMap<SignalPath, Series>,
}

/// The values of a signal in a window. A position is one value: latitude and longitude are of the same sample, and they have no
/// statistics, because coordinates that are averaged separately are a place where the vehicle never was.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The number of values.
    pub count: u64,
    /// The last value in the order of samples.
    pub last: Value,
    /// Statistics of the numeric values; `None` if no value is numeric, and for a coordinate.
    pub statistics: Option<Statistics>,
}

/// Statistics of numeric values.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Statistics {
    /// The minimum.
    pub min: f64,
    /// The maximum.
    pub max: f64,
    /// The sum; not finite if it overflows.
    sum: f64,
    /// The sum of all values multiplied by [`SCALE`], which cannot overflow.
    scaled_sum: f64,
    count: u64,
}

/// 2^-64. Any number of values that fits into memory has a finite sum after multiplication by it.
const SCALE: f64 = 1.0 / 18_446_744_073_709_551_616.0;

impl Statistics {
    /// The arithmetic mean: finite, and not outside minimum and maximum. Each value has the same weight, regardless of how
    /// long it was valid.
    #[allow(clippy::cast_precision_loss)] // a window holds fewer than 2^53
    pub fn mean(&self) -> f64 {
        let count = self.count as f64;
        // Scaling loses digits of values near the smallest double, so it is used only where the sum overflows.
        let mean = if self.sum.is_finite() { self.sum / count } else { self.scaled_sum / count / SCALE };
        mean.max(self.min).min(self.max)
    }

    fn add(statistics: Option<Self>, number: f64) -> Self {
        let scaled = number * SCALE;
        let Some(Self { min, max, sum, scaled_sum, count }) = statistics else {
            return Self { min: number, max: number, sum: number, scaled_sum: scaled, count: 1 };
        };
        Self {
            min: min.min(number),
            max: max.max(number),
            sum: sum + number,
            scaled_sum: scaled_sum + scaled,
            count: count + 1,
        }
    }
}

impl Statistics {
    /// Adds a range of the values of a column.
    fn of_column(statistics: Option<Self>, values: &Values, range: Range<usize>) -> Option<Self> {
        let add = |statistics, number| Some(Self::add(statistics, number));
        match values {
            Values::Grid { resolution, points } => {
                points.get(range)?.iter().fold(statistics, |statistics, point| add(statistics, resolution.value(*point)))
            }
            Values::Numbers(numbers) => numbers.get(range)?.iter().copied().fold(statistics, add),
            Values::Any(values) => values.get(range)?.iter().filter_map(Value::as_number).fold(statistics, add),
            Values::Bools(_) | Values::Texts { .. } => statistics,
        }
    }
}

impl<Ports: PortSet> VehicleQueries<Ports> {
    /// Returns a page of windows over a vehicle's samples from the window at `start` on; from the start of the range if
    /// `None`. Windows without samples are omitted. Fails with `ResponseTooLarge` if the first window alone exceeds a
    /// response.
    pub async fn windows(
        &self,
        reader: &Reader,
        range: &HistoryRange,
        resolution: Resolution,
        start: Option<Timestamp>,
    ) -> Result<HistoryPage<Window, Timestamp>, ServiceError> {
        let start = start.unwrap_or(range.from);
        let read = |visibility| self.visible_windows(visibility, range, resolution, start);
        self.with_visibility(reader, &range.vid, read).await
    }

    async fn visible_windows(
        &self,
        visibility: Visibility,
        range: &HistoryRange,
        resolution: Resolution,
        start: Timestamp,
    ) -> Result<HistoryPage<Window, Timestamp>, ServiceError> {
        let mut reader = TelemetryReader::open(self, &visibility, range, SamplePosition::first_at(start));
        let mut windows = Windows::new(range.limit);
        let mut reads = 0;
        while let Some(frontier) = reader.frontier() {
            // Only complete windows are returned: at least one, otherwise pagination could not make progress.
            let open = resolution.window_start(frontier.at);
            if reads >= READS_PER_PAGE && open > resolution.window_start(start) {
                let rows = windows.complete_before(open);
                let after_last = rows.last().map_or(start, |window| window.at.plus_ms(resolution.0));
                // Not the window of an event that the caller may not see; see `next_start` of samples.
                let visible = after_last.max(resolution.window_start(bucket_start(frontier.at)));
                let next = if visible > start { visible } else { open };
                return Ok(HistoryPage { rows, next: Some(next) });
            }
            reader.read().await?;
            while let Some(run) = reader.next_run()? {
                let mut remaining = Some(run);
                while let Some(run) = remaining.take() {
                    let Some(first) = run.rows.first() else { break };
                    let at = resolution.window_start(first.position.at);
                    let (run, later) = run.split_at(at.plus_ms(resolution.0));
                    remaining = later;
                    if !windows.add(at, &run)? {
                        return Ok(HistoryPage { rows: windows.rows, next: Some(at) });
                    }
                }
            }
            reads += 1;
        }
        Ok(HistoryPage { rows: windows.rows, next: None })
    }
}

/// The windows of a page.
struct Windows {
    rows: Vec<Window>,
    limit: usize,
    /// The bytes of all windows before the last.
    complete: WindowBytes,
    /// The bytes of the last window.
    last: WindowBytes,
}

/// The bytes of windows.
#[derive(Clone, Copy, Default)]
struct WindowBytes {
    response: usize,
    held: usize,
}

impl WindowBytes {
    const fn exceeds_page(self, others: Self) -> bool {
        self.response + others.response > RESPONSE_BYTES || self.held + others.held > PAGE_BYTES
    }
}

impl Windows {
    const fn new(limit: usize) -> Self {
        Self {
            rows: Vec::new(),
            limit,
            complete: WindowBytes { response: 0, held: 0 },
            last: WindowBytes { response: 0, held: 0 },
        }
    }

    /// Adds rows to the window at `at`, which is not before the last. Returns false if the page is full: it then ends before
    /// that window. Fails with `ResponseTooLarge` if the first window exceeds the page.
    fn add(&mut self, at: Timestamp, run: &Run<'_>) -> Result<bool, ServiceError> {
        if let Some(mut series) = run.series().map(Iterator::peekable) {
            if series.peek().is_none() {
                return Ok(true);
            }
            let Some((window, bytes)) = self.window(at) else { return Ok(false) };
            series.for_each(|part| window.add_part(part, bytes));
        } else {
            for signals in run.rows.iter().map(|row| run.window_signals(row)).filter(|signals| !signals.is_empty()) {
                let Some((window, bytes)) = self.window(at) else { return Ok(false) };
                window.add_signals(signals, bytes);
            }
        }
        if !self.last.exceeds_page(self.complete) {
            return Ok(true);
        }
        self.rows.pop();
        if self.rows.is_empty() { Err(ServiceError::ResponseTooLarge) } else { Ok(false) }
    }

    /// Returns the window at `at` and its bytes, or `None` if it would be one more than the page may have.
    fn window(&mut self, at: Timestamp) -> Option<(&mut Window, &mut WindowBytes)> {
        if self.rows.last().is_none_or(|window| window.at != at) {
            if self.rows.len() >= self.limit {
                return None;
            }
            self.complete.response += self.last.response;
            self.complete.held += self.last.held;
            self.last = WindowBytes { response: window_bytes(), held: size_of::<Window>() };
            self.rows.push(Window { at, signals: BTreeMap::new() });
        }
        Some((self.rows.last_mut()?, &mut self.last))
    }

    /// Returns the windows before `open`.
    fn complete_before(self, open: Timestamp) -> Vec<Window> {
        self.rows.into_iter().filter(|window| window.at < open).collect()
    }
}

impl Window {
    /// Adds values of a column, and the difference of the window's size to `bytes`.
    fn add_part(&mut self, part: SeriesPart<'_>, bytes: &mut WindowBytes) {
        match part {
            SeriesPart::Coordinate { path, count, last } => {
                self.add(path.clone(), count, last, |statistics| statistics, bytes);
            }
            SeriesPart::Values { path, values, range } => {
                let Some(last) = range.end.checked_sub(1).and_then(|last| values.get(last)) else { return };
                let count = range.len();
                self.add(path.clone(), count, last, |statistics| Statistics::of_column(statistics, values, range), bytes);
            }
        }
    }

    /// Adds the signals of a sample, and the difference of the window's size to `bytes`.
    fn add_signals(&mut self, signals: Signals, bytes: &mut WindowBytes) {
        for (path, value) in signals {
            let number = value.as_number().filter(|_| !POSITION.contains(&path.as_str()));
            let add = |statistics| number.map(|number| Statistics::add(statistics, number)).or(statistics);
            self.add(path, 1, value, add, bytes);
        }
    }

    fn add(
        &mut self,
        path: SignalPath,
        count: usize,
        last: Value,
        add: impl FnOnce(Option<Statistics>) -> Option<Statistics>,
        bytes: &mut WindowBytes,
    ) {
        let (response, held) = (series_bytes(&path, &last), held_bytes(&path, &last));
        let count = count as u64;
        match self.signals.entry(path) {
            Entry::Vacant(entry) => {
                entry.insert(Series { count, last, statistics: add(None) });
            }
            Entry::Occupied(mut entry) => {
                bytes.response -= series_bytes(entry.key(), &entry.get().last);
                bytes.held -= held_bytes(entry.key(), &entry.get().last);
                let series = entry.get_mut();
                series.count += count;
                series.last = last;
                series.statistics = add(series.statistics);
            }
        }
        bytes.response += response;
        bytes.held += held;
    }
}

/// The bytes of a series in memory: its entry in the map, of which nodes may be half empty, its path and its last value.
fn held_bytes(path: &SignalPath, last: &Value) -> usize {
    let entry = 3 * (size_of::<SignalPath>() + size_of::<Series>());
    entry + path.as_str().len() + value_bytes(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]

    use proptest::prelude::*;

    use super::*;

    fn statistics(numbers: &[f64]) -> Statistics {
        numbers.iter().fold(None, |statistics, number| Some(Statistics::add(statistics, *number))).unwrap()
    }

    #[test]
    fn mean_of_large_values_is_finite() {
        assert_eq!(statistics(&[1.7e308, 1.7e308]).mean(), 1.7e308);
        assert_eq!(statistics(&[f64::MAX; 1000]).mean(), f64::MAX);
        assert_eq!(statistics(&[f64::MIN, f64::MIN, f64::MIN]).mean(), f64::MIN);
        // The sum overflows in both directions.
        let mean = statistics(&[1.7e308, 1.7e308, -1.7e308, -1.7e308]).mean();
        assert!(mean.abs() < 1e292, "{mean}");
    }

    #[test]
    fn mean_of_small_values_keeps_its_digits() {
        assert_eq!(statistics(&[5e-324, 5e-324]).mean(), 5e-324);
        assert_eq!(statistics(&[1.0, 2.0, 4.5]).mean(), 2.5);
        // 0.1 + 0.1 + 0.1 is more than 0.3.
        assert_eq!(statistics(&[0.1, 0.1, 0.1]).mean(), 0.1);
    }

    fn any_finite() -> impl Strategy<Value = f64> {
        prop_oneof![any::<f64>().prop_filter("finite", |v| v.is_finite()), 1e307..f64::MAX, f64::MIN..-1e307, -100.0..100.0]
    }

    proptest! {
        #[test]
        fn mean_is_between_minimum_and_maximum(numbers in prop::collection::vec(any_finite(), 1..50)) {
            let statistics = statistics(&numbers);
            let mean = statistics.mean();
            prop_assert!(statistics.min <= mean && mean <= statistics.max, "{statistics:?} {mean}");
            prop_assert!(statistics.min.is_finite() && statistics.max.is_finite());
        }
    }
}
