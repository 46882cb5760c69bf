//! Metrics, written to standard output in CloudWatch's embedded metric format: one line for each invocation.
//!
//! Names and units stand in [`Metric`] and nowhere else; dashboards and alarms use the same names. What is recorded during
//! an invocation is summed up (durations are kept one by one) and leaves with [`Metrics::flush`].

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

/// The namespace of every metric.
pub const NAMESPACE: &str = "Roadcast";
/// CloudWatch takes at most this many values of one metric from one line.
const VALUES_PER_LINE: usize = 100;

/// What a metric's values are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things, summed up over an invocation.
    Count,
    /// A duration; every value is kept.
    Milliseconds,
}

impl Unit {
    /// CloudWatch's name of the unit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident: $unit:ident,)*) => {
        /// Every metric that Roadcast emits. The variant's name is the metric's.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $($(#[$doc])* $name,)*
        }

        impl Metric {
            /// Every metric.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in CloudWatch.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Its unit.
            pub const fn unit(self) -> Unit {
                match self { $(Self::$name => Unit::$unit,)* }
            }
        }
    };
}

metrics! {
    /// Samples that came off the stream, repeats included.
    SamplesReceived: Count,
    /// Samples newly stored.
    SamplesStored: Count,
    /// Samples set aside with a reason.
    SamplesQuarantined: Count,
    /// Signals removed from samples that were otherwise good.
    SignalsRejected: Count,
    /// Events that were stored before.
    EventsDeduplicated: Count,
    /// Events taken in over HTTP.
    EventsAccepted: Count,
    /// Events refused over HTTP.
    EventsRefused: Count,
    /// Entries put onto a bus.
    EntriesPublished: Count,
    /// Events cut for a fleet and put onto the delivery bus.
    EventsDelivered: Count,
    /// Queue messages handed out of a feed.
    FeedMessages: Count,
    /// Events handed out of a feed.
    FeedEvents: Count,
    /// Rows of bulk data that said something new.
    BulkRowsLoaded: Count,
    /// Rows of bulk data that were wrong.
    BulkRowsWrong: Count,
    /// Records that must come again.
    RecordsRetried: Count,
    /// Records whose envelope did not decode.
    RecordsUnreadable: Count,
    /// Answers with a status of 500 or above.
    ServerErrors: Count,
    /// Invocations that failed as a whole.
    InvocationErrors: Count,
    /// Instances started.
    ColdStart: Count,
    /// How long an HTTP request took.
    RequestDurationMs: Milliseconds,
    /// How long a batch or an event took.
    BatchDurationMs: Milliseconds,
}

/// What one function counts, under its service and stage.
#[derive(Debug)]
pub struct Metrics {
    service: &'static str,
    stage: String,
    values: Mutex<BTreeMap<Metric, Vec<f64>>>,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new(service: &'static str, stage: impl Into<String>) -> Self {
        Self { service, stage: stage.into(), values: Mutex::default() }
    }

    /// Counts `count` things.
    pub fn record(&self, metric: Metric, count: usize) {
        // Exact up to 2^53, which no invocation counts to.
        #[allow(clippy::cast_precision_loss)]
        self.record_value(metric, count as f64);
    }

    /// Records a value in the metric's unit: counts are summed up, durations kept.
    pub fn record_value(&self, metric: Metric, value: f64) {
        // JSON has no such numbers, and CloudWatch would refuse the line.
        if !value.is_finite() {
            return;
        }
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = values.entry(metric).or_default();
        match (metric.unit(), kept.as_mut_slice()) {
            (Unit::Count, [sum, ..]) => *sum += value,
            (Unit::Milliseconds, full) if full.len() >= VALUES_PER_LINE => {}
            _ => kept.push(value),
        }
    }

    /// Takes what was recorded and writes it to standard output as one line; no line where nothing was recorded.
    pub fn flush(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if let Some(line) = self.take_line(now.as_millis()) {
            // A closed standard output must not fail an invocation whose work is done.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }

    /// Takes what was recorded, as a line of embedded metric format stamped with `now_ms` since the Unix epoch.
    pub fn take_line(&self, now_ms: u128) -> Option<String> {
        let taken = std::mem::take(&mut *self.values.lock().unwrap_or_else(PoisonError::into_inner));
        if taken.is_empty() {
            return None;
        }
        let definitions: Vec<Value> =
            taken.keys().map(|metric| json!({"Name": metric.name(), "Unit": metric.unit().name()})).collect();
        let mut line = Map::new();
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": u64::try_from(now_ms).unwrap_or(u64::MAX),
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": [["Service", "Stage"]],
                    "Metrics": definitions,
                }],
            }),
        );
        line.insert("Service".to_owned(), self.service.into());
        line.insert("Stage".to_owned(), self.stage.as_str().into());
        for (metric, values) in taken {
            let value = match values.as_slice() {
                [one] => json!(one),
                many => json!(many),
            };
            line.insert(metric.name().to_owned(), value);
        }
        Some(Value::Object(line).to_string())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn line(metrics: &Metrics) -> Value {
        serde_json::from_str(&metrics.take_line(1_500).unwrap()).unwrap()
    }

    #[test]
    fn counts_are_summed_and_durations_kept_in_one_line_of_emf() {
        let metrics = Metrics::new("stream-processor", "dev");
        metrics.record(Metric::SamplesStored, 3);
        metrics.record(Metric::SamplesStored, 4);
        metrics.record_value(Metric::BatchDurationMs, 1.5);
        metrics.record_value(Metric::BatchDurationMs, 2.5);
        assert_eq!(
            line(&metrics),
            json!({
                "_aws": {"Timestamp": 1500, "CloudWatchMetrics": [{
                    "Namespace": "Roadcast",
                    "Dimensions": [["Service", "Stage"]],
                    "Metrics": [
                        {"Name": "SamplesStored", "Unit": "Count"},
                        {"Name": "BatchDurationMs", "Unit": "Milliseconds"},
                    ],
                }]},
                "Service": "stream-processor",
                "Stage": "dev",
                "SamplesStored": 7.0,
                "BatchDurationMs": [1.5, 2.5],
            })
        );
    }

    #[test]
    fn what_was_flushed_is_not_counted_again_and_nothing_is_no_line() {
        let metrics = Metrics::new("s", "dev");
        metrics.record(Metric::ColdStart, 1);
        assert!(metrics.take_line(0).is_some());
        assert!(metrics.take_line(0).is_none());
    }

    #[test]
    fn a_zero_is_a_value() {
        let metrics = Metrics::new("s", "dev");
        metrics.record(Metric::SamplesQuarantined, 0);
        assert_eq!(line(&metrics)["SamplesQuarantined"], json!(0.0));
    }

    #[test]
    fn no_line_exceeds_what_cloudwatch_takes() {
        let metrics = Metrics::new("s", "dev");
        for _ in 0..150 {
            metrics.record_value(Metric::RequestDurationMs, 1.0);
        }
        metrics.record_value(Metric::BatchDurationMs, f64::NAN);
        let line = line(&metrics);
        assert_eq!(line["RequestDurationMs"].as_array().unwrap().len(), 100);
        assert!(line.get("BatchDurationMs").is_none());
        // EMF allows at most 100 metric definitions.
        assert!(Metric::ALL.len() <= 100);
    }
}
