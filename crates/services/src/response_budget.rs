//! How much fits into one answer. A page ends where the next of its items would be too much, and leads on from there.

use roadcast_domain::event::{Body, Event};
use roadcast_signals::{Signals, Value};

/// Lambda answers 6 MiB at most (*Lambda quotas*: response payload), in which the body is a JSON string with each quote escaped.
/// Sizes are estimated, and may be off by a third.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// An event without its data.
const ENVELOPE_BYTES: usize = 400;
/// A sample without its signals.
const SAMPLE_BYTES: usize = 48;
/// A number with all its digits.
const NUMBER_BYTES: usize = 20;

/// What is left of an answer.
#[derive(Clone, Debug)]
pub(crate) struct ResponseBudget {
    left: Option<usize>,
}

impl ResponseBudget {
    /// An answer that holds nothing yet.
    pub(crate) const fn new() -> Self {
        Self { left: None }
    }

    /// Takes an item of that size, if it fits; the first one always does, or nobody would get on.
    pub(crate) fn takes(&mut self, bytes: usize) -> bool {
        let left = self.left.map_or(Some(ANSWER_BYTES.saturating_sub(bytes)), |left| left.checked_sub(bytes));
        self.left = left.or(Some(0));
        left.is_some()
    }
}

/// About what an event takes in JSON.
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

/// About what signals take in JSON, each under its path.
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
    fn the_first_item_fits_however_large_it_is_and_nothing_after_one_that_did_not() {
        let mut room = ResponseBudget::new();
        assert!(room.takes(ANSWER_BYTES * 2));
        assert!(!room.takes(1));
        let mut room = ResponseBudget::new();
        assert!(room.takes(10) && room.takes(ANSWER_BYTES - 10));
        assert!(!room.takes(1));
        let mut room = ResponseBudget::new();
        assert!(room.takes(10) && !room.takes(ANSWER_BYTES) && !room.takes(1), "or items would be left out in between");
    }
}
