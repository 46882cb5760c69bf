//! The size limit of a response. A page ends before the first item that exceeds the limit; the next page starts with that
//! item.

use roadcast_domain::event::{Body, Event};
use roadcast_signals::{Signals, Value};

/// Lambda limits a response payload to 6 MiB (*Lambda quotas*), in which the body is a JSON string with each quote escaped.
/// Item sizes are estimates that may be off by a third.
const RESPONSE_BYTES: usize = 4 * 1024 * 1024;
/// An event without its data.
const ENVELOPE_BYTES: usize = 400;
/// A sample without its signals.
const SAMPLE_BYTES: usize = 48;
/// A number with all its digits.
const NUMBER_BYTES: usize = 20;

/// The bytes that remain in a response.
#[derive(Clone, Debug)]
pub(crate) struct ResponseBudget {
    /// `None` before the first item.
    remaining: Option<usize>,
}

impl ResponseBudget {
    /// The budget of an empty response.
    pub(crate) const fn new() -> Self {
        Self { remaining: None }
    }

    /// Reserves `bytes` for the next item; returns false if the item does not fit. The first item always fits, otherwise
    /// pagination could not make progress. After an item that did not fit, no further item fits.
    pub(crate) fn try_reserve(&mut self, bytes: usize) -> bool {
        let remaining = match self.remaining {
            None => Some(RESPONSE_BYTES.saturating_sub(bytes)),
            Some(remaining) => remaining.checked_sub(bytes),
        };
        self.remaining = remaining.or(Some(0));
        remaining.is_some()
    }
}

/// The estimated JSON size of an event.
pub(crate) fn event_bytes(event: &Event) -> usize {
    let data = match &event.body {
        Body::Telemetry(telemetry) => {
            telemetry.samples.iter().map(|sample| SAMPLE_BYTES + signals_bytes(&sample.signals)).sum()
        }
        Body::Diagnostic(diagnostic) => diagnostic.dtcs.len() * ENVELOPE_BYTES,
        Body::Custom(custom) => custom.data.get().len(),
    };
    ENVELOPE_BYTES + data
}

/// The estimated JSON size of signals, including their paths.
pub(crate) fn signals_bytes(signals: &Signals) -> usize {
    signals.iter().map(|(path, value)| path.as_str().len() + 4 + value_bytes(value)).sum()
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Bool(_) | Value::Number(_) => NUMBER_BYTES,
        Value::Text(text) => text.len() + 2,
        Value::List(list) => list.iter().map(|value| value_bytes(value) + 1).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_item_always_fits_and_nothing_fits_after_a_rejection() {
        let mut budget = ResponseBudget::new();
        assert!(budget.try_reserve(RESPONSE_BYTES * 2));
        assert!(!budget.try_reserve(1));
        let mut budget = ResponseBudget::new();
        assert!(budget.try_reserve(10) && budget.try_reserve(RESPONSE_BYTES - 10));
        assert!(!budget.try_reserve(1));
        let mut budget = ResponseBudget::new();
        assert!(
            budget.try_reserve(10) && !budget.try_reserve(RESPONSE_BYTES) && !budget.try_reserve(1),
            "otherwise a page could skip items"
        );
    }
}
