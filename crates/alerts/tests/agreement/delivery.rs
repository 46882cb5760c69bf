//! Random orders and divisions of the events of a history.

use proptest::prelude::*;

use crate::LATENESS_MS;
use crate::history::{History, SPAN_S, first_time, start, times};

/// In which order a tracker gets the events.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// These events, by index, arrive.
    Push(Vec<usize>),
    /// The silence up to these seconds after the start is evaluated.
    Advance(i64),
    /// The tracker is stored and restored.
    Restart,
}

/// Random choices, which are applied to a history.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    /// Delays of events by index, each from 0 to 1.
    delays: Vec<f64>,
    /// Events that arrive again: the index, and the position as a share of all.
    repeated: Vec<(prop::sample::Index, f64)>,
    batches: Vec<usize>,
    advances: Vec<(prop::sample::Index, i64)>,
    restarts: Vec<prop::sample::Index>,
}

pub(crate) fn any_delivery() -> impl Strategy<Value = Choices> {
    let delay = prop_oneof![2 => Just(0.0), 1 => 0.0..0.05_f64, 1 => 0.0..1.0_f64];
    (
        prop::collection::vec(delay, 20),
        prop::collection::vec((any::<prop::sample::Index>(), 0.0..1.0_f64), 0..6),
        prop::collection::vec(1..4_usize, 1..4),
        prop::collection::vec((any::<prop::sample::Index>(), 0..SPAN_S), 0..4),
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    )
        .prop_map(|(delays, repeated, batches, advances, restarts)| Choices {
            delays,
            repeated,
            batches,
            advances,
            restarts,
        })
}

impl Choices {
    pub(crate) fn of(&self, history: &History) -> Delivery {
        // An event is delayed so that its first sample is in time beside all samples of the events that overtake it.
        let span_ms = |index: usize| {
            let event = &history.events[index];
            times(event).into_iter().max().unwrap().ms_since(first_time(event))
        };
        let longest_ms = (0..history.events.len()).map(span_ms).max().unwrap_or_default();
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
        let arrival = |index: usize| {
            let first = first_time(&history.events[index]);
            first.plus_ms((self.delays[index] * (LATENESS_MS - longest_ms) as f64) as i64)
        };
        let mut order: Vec<usize> = (0..history.events.len()).collect();
        order.sort_by_key(|index| arrival(*index));
        for (event, share) in &self.repeated {
            let event = *event.get(&order);
            let first = order.iter().position(|other| *other == event).unwrap();
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
            let after = ((order.len() - first) as f64 * share) as usize;
            order.insert(first + 1 + after.min(order.len() - first - 1), event);
        }
        let mut steps = Vec::new();
        let mut sizes = self.batches.iter().cycle();
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let (batch, others) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            steps.push(Step::Push(batch.to_vec()));
            rest = others;
        }
        let until_s = history.until.ms_since(start()) / 1000;
        for (position, seconds) in &self.advances {
            // The clock cannot be ahead of the end of the history.
            steps.insert(position.index(steps.len() + 1), Step::Advance((*seconds).min(until_s)));
        }
        for position in &self.restarts {
            steps.insert(position.index(steps.len() + 1), Step::Restart);
        }
        Delivery { steps }
    }
}
