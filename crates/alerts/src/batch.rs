//! Samples of several events in one order, with the numbers that the rules read.

mod numbers;

use std::ops::RangeInclusive;

use roadcast_domain::diagnostic::Diagnostic;
use roadcast_domain::event::{Body, Event};
use roadcast_domain::ids::Eid;
use roadcast_signals::{SignalDef, Timestamp, Value};

use crate::program::Input;

/// The samples and diagnostic events of some events, in the order in which they are evaluated. The buffers are reused.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    rows: Vec<Row>,
    /// The row of each sample of each event, by [`first_samples`](Self::first_samples) and index; [`NO_ROW`] without one.
    row_of_sample: Vec<usize>,
    /// By event.
    first_samples: Vec<usize>,
    /// The numbers by input and row; NaN without one.
    numbers: Vec<f64>,
    has_diagnostics: bool,
}

const NO_ROW: usize = usize::MAX;

/// A sample or a diagnostic event.
///
/// The order of rows is total and depends on the events alone: by the time of the evaluation, by the time that the vehicle stated,
/// by event and by index.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    /// The time of the evaluation: that of the vehicle, but at most the received time, because its clock may be ahead.
    pub(crate) time: Timestamp,
    at: Timestamp,
    eid: Eid,
    /// The index of the sample in its event.
    index: usize,
    /// The index of the event.
    event: usize,
}

/// Returns the times at which the samples of an event are evaluated.
pub(crate) fn times(event: &Event) -> impl Iterator<Item = Timestamp> {
    stated_times(event).map(|at| at.min(event.received))
}

fn stated_times(event: &Event) -> impl Iterator<Item = Timestamp> {
    let (samples, diagnostic) = match &event.body {
        Body::Telemetry(telemetry) => (telemetry.samples.times(), None),
        Body::Diagnostic(diagnostic) => (&[][..], Some(diagnostic.at)),
        Body::Alert(_) | Body::Custom(_) => (&[][..], None),
    };
    samples.iter().copied().chain(diagnostic)
}

impl Batch {
    /// Replaces the rows by those of these events whose time is after `after`.
    pub(crate) fn fill(&mut self, inputs: &[Input], events: &[&Event], after: Option<Timestamp>) {
        self.rows.clear();
        self.first_samples.clear();
        let mut samples = 0;
        for (index_of_event, event) in events.iter().enumerate() {
            self.first_samples.push(samples);
            let rows = stated_times(event).enumerate().map(|(index, at)| {
                samples += 1;
                Row { time: at.min(event.received), at, eid: event.eid, index, event: index_of_event }
            });
            self.rows.extend(rows.filter(|row| after.is_none_or(|after| row.time > after)));
        }
        if !self.rows.is_sorted() {
            self.rows.sort_unstable();
        }
        self.row_of_sample.clear();
        self.row_of_sample.resize(samples, NO_ROW);
        for (position, row) in self.rows.iter().enumerate() {
            let first = self.first_samples.get(row.event).copied().unwrap_or(NO_ROW);
            if let Some(row_of_sample) = self.row_of_sample.get_mut(first.saturating_add(row.index)) {
                *row_of_sample = position;
            }
        }
        self.has_diagnostics = events.iter().any(|event| matches!(event.body, Body::Diagnostic(_)));
        self.fill_numbers(inputs, events);
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns the number that an input reads from a row; NaN if it reads none.
    pub(crate) fn number(&self, input: usize, row: usize) -> f64 {
        let index = input.checked_mul(self.rows.len()).and_then(|first| first.checked_add(row));
        index.and_then(|index| self.numbers.get(index)).copied().unwrap_or(f64::NAN)
    }

    /// Returns the last of some rows from which an input reads a number.
    pub(crate) fn last_row_with(&self, input: usize, rows: RangeInclusive<usize>) -> Option<usize> {
        rows.rev().find(|row| !self.number(input, *row).is_nan())
    }

    /// Whether one of the events is a diagnostic event.
    pub(crate) const fn has_diagnostics(&self) -> bool {
        self.has_diagnostics
    }

    /// Returns the value of a signal in a row, with its time.
    pub(crate) fn value(&self, signal: &SignalDef, row: usize, events: &[&Event]) -> Option<(Timestamp, Value)> {
        let row = self.rows.get(row)?;
        let Body::Telemetry(telemetry) = &events.get(row.event)?.body else { return None };
        Some((row.time, telemetry.samples.column_of(signal)?.value_of_row(row.index)?))
    }

    /// Returns the event of a row.
    pub(crate) fn event<'e>(&self, row: usize, events: &[&'e Event]) -> Option<&'e Event> {
        events.get(self.rows.get(row)?.event).copied()
    }

    /// Returns the diagnostic event of a row, if it is one.
    pub(crate) fn diagnostic<'e>(&self, row: usize, events: &[&'e Event]) -> Option<&'e Diagnostic> {
        match &self.event(row, events)?.body {
            Body::Diagnostic(diagnostic) => Some(diagnostic),
            Body::Telemetry(_) | Body::Alert(_) | Body::Custom(_) => None,
        }
    }
}
