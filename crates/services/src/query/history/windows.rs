//! Statistics of a vehicle's signals per time window.

use std::collections::BTreeMap;

use roadcast_domain::Timestamp;
use roadcast_ports::port_set::PortSet;
use roadcast_signals::{SignalPath, Signals, Value};

use super::sample_reader::SampleReader;
use super::{HistoryPage, HistoryRange, READS_PER_PAGE, SamplePosition, SampleRow, row_bytes};
use crate::ServiceError;
use crate::authz::Reader;
use crate::query::VehicleQueries;
use crate::response_budget::ResponseBudget;

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

/// The values of a signal in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The number of values.
    pub count: u64,
    /// The last value in the order of samples.
    pub last: Value,
    /// Statistics of the numeric values; `None` if no value is numeric.
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

impl Window {
    /// Adds the signals of a sample.
    fn add(&mut self, signals: Signals) {
        for (path, value) in signals {
            let number = value.as_number();
            let series = self.signals.entry(path).or_insert(Series { count: 0, last: value.clone(), statistics: None });
            series.count += 1;
            series.last = value;
            series.statistics = number.map(|number| Statistics::add(series.statistics, number)).or(series.statistics);
        }
    }
}

impl<Ports: PortSet> VehicleQueries<Ports> {
    /// Returns a page of windows over a vehicle's samples from the window at `start` on; from the start of the range if
    /// `None`. Windows without samples are omitted.
    pub async fn windows(
        &self,
        reader: &Reader,
        range: &HistoryRange,
        resolution: Resolution,
        start: Option<Timestamp>,
    ) -> Result<HistoryPage<Window, Timestamp>, ServiceError> {
        let start = start.unwrap_or(range.from);
        let mut reader = SampleReader::open(self, reader, range, SamplePosition::first_at(start)).await?;
        let mut rows: Vec<Window> = Vec::new();
        let mut reads = 0;
        while reader.frontier().is_some() && rows.len() <= range.limit {
            for SampleRow { position, signals } in reader.read().await? {
                let at = resolution.window_start(position.at);
                if rows.last().is_none_or(|window| window.at != at) {
                    rows.push(Window { at, signals: BTreeMap::new() });
                }
                if let Some(window) = rows.last_mut() {
                    window.add(signals);
                }
            }
            reads += 1;
            // Only complete windows are returned: at least one, otherwise pagination could not make progress.
            let open = reader.frontier().map(|frontier| resolution.window_start(frontier));
            let has_complete_window = open.is_none_or(|open| open > resolution.window_start(start));
            if reads >= READS_PER_PAGE && has_complete_window {
                break;
            }
        }
        let open = reader.frontier().map(|frontier| resolution.window_start(frontier));
        rows.retain(|window| open.is_none_or(|open| window.at < open));
        let mut budget = ResponseBudget::new();
        let fitting = rows.iter().take(range.limit).take_while(|window| budget.try_reserve(window_bytes(window))).count();
        let next = rows.get(fitting).map(|window| window.at);
        rows.truncate(fitting);
        Ok(HistoryPage { rows, next: next.or(open.map(|open| open.max(start))) })
    }
}

/// The estimated JSON size of a window: the count, the last value and three numbers of each signal.
fn window_bytes(window: &Window) -> usize {
    row_bytes(window.signals.keys().map(|path| path.as_str().len() + 160).sum())
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
