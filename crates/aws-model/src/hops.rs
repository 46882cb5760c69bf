//! The latencies of the hops of an alert, from the read of its cause to the dispatcher of webhooks.
//!
//! AWS documents an average for enhanced fan-out and none for EventBridge, SQS and invocations. For those, the table has what others
//! measured, or a guess on the high side. `docs/performance.md` has the same table, which a test compares.

/// The latency of a hop as quantiles, in milliseconds. Between them, it is linear.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Hop {
    /// What passes.
    pub name: &'static str,
    /// The 10th, 50th, 90th and 99th percentile.
    pub percentiles_ms: [f64; 4],
    /// Where the figures are from.
    pub source: &'static str,
}

/// Measured from one function to the next, with the invocation, in eu-west-1:
/// <https://bitesizedserverless.com/bite/serverless-messaging-latency-compared/>.
const COMPARED: &str = "measured by others";
const ASSUMED: &str = "assumed";

/// From the mapping to the function: no figure is documented.
pub const INVOCATION: Hop =
    Hop { name: "invocation of a function", percentiles_ms: [10.0, 20.0, 50.0, 150.0], source: ASSUMED };
/// From the entry of `PutEvents` to the queue of a rule. Measured in February 2023, with the invocation of a function instead.
pub const RULE: Hop =
    Hop { name: "rule of a bus, to its queue", percentiles_ms: [113.0, 148.0, 241.0, 387.0], source: COMPARED };
/// From the message in the queue to the function.
pub const QUEUE: Hop = Hop { name: "queue, to its function", percentiles_ms: [13.7, 16.2, 33.8, 105.0], source: COMPARED };
/// One read of `alertState`, one write to the log, `PutEvents` and `PutRecords`, besides the evaluation itself.
pub const EVALUATOR: Hop =
    Hop { name: "calls of the evaluator", percentiles_ms: [30.0, 40.0, 80.0, 200.0], source: ASSUMED };
/// Reads of entitlements, a write to the feed index, `PutEvents`.
pub const ENRICHMENT: Hop = Hop { name: "calls of enrichment", percentiles_ms: [30.0, 40.0, 80.0, 200.0], source: ASSUMED };
/// Reads of endpoints and entitlements, a write of the delivery, `SendMessage`.
pub const FAN_OUT: Hop =
    Hop { name: "calls of the webhook fan-out", percentiles_ms: [30.0, 40.0, 80.0, 200.0], source: ASSUMED };

/// The hops of an alert after its cause was read from the stream, in order.
pub const ALERT_HOPS: [Hop; 9] = [INVOCATION, EVALUATOR, RULE, QUEUE, ENRICHMENT, RULE, QUEUE, FAN_OUT, QUEUE];

impl Hop {
    /// Returns the latency at a quantile from 0 to 1. The slowest hundredth takes up to twice the 99th percentile.
    pub fn at(&self, quantile: f64) -> f64 {
        let [p10, p50, p90, p99] = self.percentiles_ms;
        let points = [(0.0, p10 / 2.0), (0.1, p10), (0.5, p50), (0.9, p90), (0.99, p99), (1.0, 2.0 * p99)];
        for pair in points.windows(2) {
            if let [(from, low), (to, high)] = *pair
                && quantile <= to
            {
                return low + (high - low) * (quantile - from).max(0.0) / (to - from);
            }
        }
        2.0 * p99
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)]
    use super::*;

    #[test]
    fn latency_is_linear_between_the_percentiles() {
        assert_eq!([0.1, 0.5, 0.9, 0.99].map(|quantile| RULE.at(quantile)), RULE.percentiles_ms);
        assert_eq!((RULE.at(0.7), RULE.at(1.0)), (f64::midpoint(148.0, 241.0), 774.0));
    }
}
