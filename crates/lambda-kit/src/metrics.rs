//! Measurements, written to standard output as one log line for each invocation.
//!
//! [`Metric`] is the only place that defines names, units and destinations. CloudWatch bills each pair of a metric and a
//! function, so only the metrics of an alarm or of the dashboard are extracted from the line, by the embedded metric format
//! (EMF). The others are fields of the line, for queries of CloudWatch Logs Insights. During an invocation, counts are summed
//! and durations are collected as single values; [`Metrics::flush`] writes them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

/// The CloudWatch namespace of all metrics.
pub const NAMESPACE: &str = "Roadcast";
/// The maximum number of values of one metric in one line, a limit of CloudWatch.
const VALUES_PER_LINE: usize = 100;

/// The unit of a metric.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count, summed over an invocation.
    Count,
    /// A duration in milliseconds; each value is reported.
    Milliseconds,
}

impl Unit {
    /// Returns the name of the unit in CloudWatch.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

/// Where a measurement can be read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// As a metric of CloudWatch, and in the log.
    CloudWatch,
    /// In the log only.
    Log,
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident: $unit:ident => $destination:ident,)*) => {
        /// The metrics of Roadcast. The name of a variant is the name of its metric.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $($(#[$doc])* $name,)*
        }

        impl Metric {
            /// All metrics.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the name in CloudWatch.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Returns the unit.
            pub const fn unit(self) -> Unit {
                match self { $(Self::$name => Unit::$unit,)* }
            }

            /// Returns where it can be read.
            pub const fn destination(self) -> Destination {
                match self { $(Self::$name => Destination::$destination,)* }
            }
        }
    };
}

metrics! {
    /// Samples read from the stream, duplicates included.
    SamplesReceived: Count => CloudWatch,
    /// Samples stored, duplicates excluded.
    SamplesStored: Count => CloudWatch,
    /// Samples quarantined with a reason.
    SamplesQuarantined: Count => CloudWatch,
    /// Signals removed from samples that were otherwise valid.
    SignalsRejected: Count => Log,
    /// Samples dropped because their vehicle was erased after they were received.
    SamplesErased: Count => Log,
    /// Duplicate events: already stored before.
    EventsDeduplicated: Count => Log,
    /// Entries published on a bus.
    EntriesPublished: Count => Log,
    /// Events redacted for a fleet and published on the delivery bus.
    EventsDelivered: Count => Log,
    /// Events that were delivered more than five minutes after they were received.
    EventsDeliveredLate: Count => Log,
    /// Rows of bulk files that changed stored data.
    BulkRowsLoaded: Count => Log,
    /// Invalid rows of bulk files.
    BulkRowsInvalid: Count => Log,
    /// Dead letters that were stored, without those of the quarantine.
    DeadLettersKept: Count => CloudWatch,
    /// Dead letters of the quarantine that were stored.
    QuarantineLettersKept: Count => Log,
    /// Dead letters of webhook deliveries that were stored.
    WebhookLettersKept: Count => Log,
    /// Messages of the queue of dead letters that could not be collected, and stay there.
    DeadLettersNotCollected: Count => CloudWatch,
    /// Webhook deliveries that were stored: one for each event and endpoint.
    WebhookDeliveries: Count => CloudWatch,
    /// Attempts of webhook deliveries.
    WebhookAttempts: Count => CloudWatch,
    /// Attempts of webhook deliveries that failed.
    WebhookAttemptsFailed: Count => CloudWatch,
    /// Webhook endpoints that were disabled, because they are gone or failed for days.
    EndpointsDisabled: Count => CloudWatch,
    /// Samples that the alert evaluator read, duplicates included.
    SamplesEvaluated: Count => Log,
    /// Alerts that were published: raised, cleared and withdrawn.
    AlertsPublished: Count => Log,
    /// Alerts that were published as raised.
    AlertsRaised: Count => Log,
    /// Alerts that were published as withdrawn.
    AlertsWithdrawn: Count => Log,
    /// Alerts that late data raised or cleared.
    AlertsLate: Count => Log,
    /// Alerts whose owner may not see all that they were computed from.
    AlertsHidden: Count => Log,
    /// Notices of the operator's alerts that were sent.
    NoticesSent: Count => Log,
    /// Samples that alert rules ignored because they were too late.
    SamplesTooLate: Count => Log,
    /// Evaluations of alert rules that were restored from their checkpoint and the event log.
    EvaluationsRestored: Count => Log,
    /// Stream records that the alert evaluator read again.
    RecordsReadAgain: Count => Log,
    /// Stream records that must be retried.
    RecordsRetried: Count => Log,
    /// Stream records whose envelope could not be decoded.
    RecordsUnreadable: Count => Log,
    /// Samples that were restored from the archive.
    SamplesRestored: Count => Log,
    /// Arrivals that were restored from the archive: events, each once per fleet.
    ArrivalsRestored: Count => Log,
    /// Batches of the archive that could not be read, so that they were not restored.
    BatchesUnreadable: Count => Log,
    /// Responses with a status of 500 or above. API Gateway has a metric of all of them.
    ServerErrors: Count => Log,
    /// Failed invocations. Lambda has a metric of them.
    InvocationErrors: Count => Log,
    /// Cold starts.
    ColdStart: Count => Log,
    /// Duration of an HTTP request. API Gateway and Lambda have metrics of it.
    RequestDurationMs: Milliseconds => Log,
    /// Duration of a batch or an event. Lambda has a metric of it.
    BatchDurationMs: Milliseconds => Log,
}

/// The metrics of a function, with the dimensions service and stage.
#[derive(Debug)]
pub struct Metrics {
    service: &'static str,
    stage: String,
    values: Mutex<BTreeMap<Metric, Vec<f64>>>,
}

impl Metrics {
    /// Creates an empty set of metrics.
    pub fn new(service: &'static str, stage: impl Into<String>) -> Self {
        Self { service, stage: stage.into(), values: Mutex::default() }
    }

    /// Adds `count` to a metric.
    pub fn record(&self, metric: Metric, count: usize) {
        // Exact up to 2^53, which no invocation reaches.
        #[allow(clippy::cast_precision_loss)]
        self.record_value(metric, count as f64);
    }

    /// Records a value in the unit of the metric: a count is added, a duration is collected. Values that are not finite are
    /// ignored.
    pub fn record_value(&self, metric: Metric, value: f64) {
        // JSON has no such numbers; CloudWatch would reject the line.
        if !value.is_finite() {
            return;
        }
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = values.entry(metric).or_default();
        match (metric.unit(), recorded.as_mut_slice()) {
            (Unit::Count, [sum, ..]) => *sum += value,
            (Unit::Milliseconds, full) if full.len() >= VALUES_PER_LINE => {}
            _ => recorded.push(value),
        }
    }

    /// Writes the recorded values to standard output as one line and clears them. Writes nothing if nothing was recorded.
    pub fn flush(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if let Some(line) = self.take_line(now.as_millis()) {
            // A closed standard output must not fail an invocation that succeeded.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }

    /// Returns the recorded values as one line and clears them. `now_ms` is its timestamp in milliseconds since the Unix epoch.
    /// Returns `None` if nothing was recorded.
    pub fn take_line(&self, now_ms: u128) -> Option<String> {
        let recorded = std::mem::take(&mut *self.values.lock().unwrap_or_else(PoisonError::into_inner));
        if recorded.is_empty() {
            return None;
        }
        let in_cloudwatch = recorded.keys().filter(|metric| metric.destination() == Destination::CloudWatch);
        let definitions: Vec<Value> =
            in_cloudwatch.map(|metric| json!({"Name": metric.name(), "Unit": metric.unit().name()})).collect();
        let mut line = Map::new();
        if !definitions.is_empty() {
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
        }
        line.insert("Service".to_owned(), self.service.into());
        line.insert("Stage".to_owned(), self.stage.as_str().into());
        for (metric, values) in recorded {
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
    fn counts_are_summed_and_durations_listed_in_one_line() {
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
                    "Metrics": [{"Name": "SamplesStored", "Unit": "Count"}],
                }]},
                "Service": "stream-processor",
                "Stage": "dev",
                "SamplesStored": 7.0,
                "BatchDurationMs": [1.5, 2.5],
            })
        );
    }

    #[test]
    fn line_without_cloudwatch_metrics_is_a_plain_log_line() {
        let metrics = Metrics::new("vehicles-api", "dev");
        metrics.record(Metric::ColdStart, 1);
        assert_eq!(line(&metrics), json!({"Service": "vehicles-api", "Stage": "dev", "ColdStart": 1.0}));
    }

    /// A metric without an alarm or a graph costs as much as one with an alarm, and an alarm on a metric that is only logged never
    /// fires.
    #[test]
    fn cloudwatch_metrics_are_those_of_alarms_and_dashboard() {
        let template = include_str!("../../../template.yaml");
        let dashboard = include_str!("../../../infra/dashboard.yaml");
        for metric in Metric::ALL {
            let is_watched = template.contains(&format!("MetricName: {}\n", metric.name()))
                || dashboard.contains(&format!("\"{}\"", metric.name()));
            assert_eq!(is_watched, metric.destination() == Destination::CloudWatch, "{metric:?}");
        }
    }

    #[test]
    fn flushed_values_are_cleared_and_no_values_give_no_line() {
        let metrics = Metrics::new("s", "dev");
        metrics.record(Metric::ColdStart, 1);
        assert!(metrics.take_line(0).is_some());
        assert!(metrics.take_line(0).is_none());
    }

    #[test]
    fn zero_is_reported() {
        let metrics = Metrics::new("s", "dev");
        metrics.record(Metric::SamplesQuarantined, 0);
        assert_eq!(line(&metrics)["SamplesQuarantined"], json!(0.0));
    }

    #[test]
    fn line_stays_within_cloudwatch_limits() {
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
