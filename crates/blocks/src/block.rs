//! The block: events and times by row, signals by column.

use roadcast_signals::{Column, Presence, Sample, Samples, SignalPath, Timestamp, Values};

use crate::table::EventRow;
use crate::values::{self, NUMBER_BYTES};
use crate::{EncodeError, limits};

/// An event of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockEvent {
    /// The id: a ULID with 48 bits of time and 80 bits of hash.
    pub eid: u128,
    /// The time at which the event was received.
    pub received: Timestamp,
    /// The samples, in the order in which they were sent; never empty.
    pub samples: Vec<Sample>,
}

/// Telemetry of one vehicle, by column.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub(crate) events: Vec<EventRow>,
    pub(crate) samples: Samples,
}

impl Block {
    /// Creates a block of events, in order. Fails if a limit is exceeded or an event has no samples.
    pub fn from_events(events: &[BlockEvent]) -> Result<Self, EncodeError> {
        let row = |event: &BlockEvent| EventRow { eid: event.eid, received: event.received, samples: event.samples.len() };
        let samples = events.iter().flat_map(|event| &event.samples).cloned();
        Self::new(events.iter().map(row).collect(), samples.collect())
    }

    /// Creates a block of samples without events, as devices send it. Fails if a limit is exceeded.
    pub fn from_samples(samples: &[Sample]) -> Result<Self, EncodeError> {
        Self::new(Vec::new(), samples.iter().cloned().collect())
    }

    /// Creates a block of columns. `events` have all samples, in order, or there are none. Fails if a limit is exceeded or an
    /// event has no samples.
    pub fn new(events: Vec<EventRow>, samples: Samples) -> Result<Self, EncodeError> {
        limits::check_encoded(events.len(), limits::EVENTS, "events")?;
        if events.iter().any(|event| event.samples == 0) {
            return Err(EncodeError::NoSamples);
        }
        let rows = samples.len();
        limits::check_encoded(rows, limits::SAMPLES, "samples")?;
        let columns = samples.columns();
        limits::check_encoded(columns.len(), limits::COLUMNS, "signals")?;
        // A block that a reader would refuse is not created.
        let sum = |count: fn(&Values) -> usize| columns.iter().map(|column| count(&column.values)).sum();
        limits::check_encoded(sum(Values::count_with_entries), limits::VALUES, "values")?;
        limits::check_encoded(sum(Values::text_bytes), limits::TEXT_BYTES, "bytes of texts")?;
        limits::check_encoded(sum(values::stored_texts), limits::TEXTS, "texts")?;
        let sparse = columns.iter().filter(|column| column.presence != Presence::All).count();
        limits::check_encoded(sparse * rows, limits::CELLS, "cells")?;
        columns.iter().try_for_each(|column| values::check_limits(&column.values))?;
        let block = Self { events, samples };
        if block.max_bytes() > limits::BYTES {
            limits::check_encoded(block.encode().len(), limits::BYTES, "bytes")?;
        }
        Ok(block)
    }

    /// Returns an upper bound of the encoded size in bytes: far above the actual size, but fast to compute.
    pub(crate) fn max_bytes(&self) -> usize {
        let presence = |column: &Column| match &column.presence {
            Presence::All => 0,
            Presence::Some(bits) => bits.len().div_ceil(8),
        };
        let column = |column: &Column| {
            2 * NUMBER_BYTES + column.path.as_str().len() + presence(column) + values::max_bytes(&column.values)
        };
        // An event has an id, a count and a time.
        let rows = NUMBER_BYTES * (8 + self.samples.len() + 4 * self.events.len());
        rows + self.columns().iter().map(column).sum::<usize>()
    }

    /// Returns the events with their samples. A block without events returns none.
    pub fn events(&self) -> Vec<BlockEvent> {
        let mut samples = self.samples().into_iter();
        let event = |row: &EventRow| BlockEvent {
            eid: row.eid,
            received: row.received,
            samples: samples.by_ref().take(row.samples).collect(),
        };
        self.events.iter().map(event).collect()
    }

    /// Returns all samples as rows, in order.
    pub fn samples(&self) -> Vec<Sample> {
        self.samples.to_rows()
    }

    /// Returns the events and all of their samples.
    pub fn into_parts(self) -> (Vec<EventRow>, Samples) {
        (self.events, self.samples)
    }

    /// Returns the size of the values as rows: [`VALUE_BYTES`](crate::limits::VALUE_BYTES) per value and per entry of a
    /// list, plus the bytes of texts, counted for each value.
    pub fn unpacked_bytes(&self) -> usize {
        self.columns().iter().map(|column| values::unpacked_bytes(&column.values)).sum()
    }

    /// Returns the events without their samples: each has the next rows of [`times`](Self::times).
    pub fn event_rows(&self) -> &[EventRow] {
        &self.events
    }

    /// Returns the time of each sample, by row.
    pub fn times(&self) -> &[Timestamp] {
        self.samples.times()
    }

    /// Returns the signals: those of the catalogue by number, followed by the others by path.
    pub fn columns(&self) -> &[Column] {
        self.samples.columns()
    }

    /// Retains only the signals for which `keep` returns true. Removes samples without remaining signals, and events without
    /// remaining samples.
    pub fn retain_columns(&mut self, keep: impl Fn(&SignalPath) -> bool) {
        let (times, mut columns) = std::mem::take(&mut self.samples).into_parts();
        columns.retain(|column| keep(&column.path));
        self.samples = Samples::new(times, columns);
        let is_retained = self.samples.has_signals();
        let mut row = 0;
        for event in &mut self.events {
            let own = row..row + event.samples;
            row = own.end;
            event.samples = is_retained[own].iter().filter(|is_retained| **is_retained).count();
        }
        self.events.retain(|event| event.samples > 0);
        self.samples.retain_rows(&is_retained);
    }
}

#[cfg(test)]
mod tests;
