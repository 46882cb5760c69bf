//! The block: events and times by row, signals by column.

mod column_builder;

use std::cmp::Ordering;

use roadcast_signals::{Sample, SignalPath, Signals, Timestamp, Value};

use crate::presence::Presence;
use crate::table::EventRow;
use crate::values::{NUMBER_BYTES, Values};
use crate::{EncodeError, limits};
use column_builder::ColumnBuilder;

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
    pub(crate) times: Vec<i64>,
    pub(crate) columns: Vec<Column>,
}

/// One signal of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The signal.
    pub path: SignalPath,
    /// Which samples have it.
    pub presence: Presence,
    /// The values, one for each sample that has the signal.
    pub values: Values,
}

impl Column {
    /// Orders signals of the catalogue by number, followed by the others by path.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let number = |column: &Self| column.path.def().map_or(u32::MAX, |def| u32::from(def.number));
        number(self).cmp(&number(other)).then_with(|| self.path.cmp(&other.path))
    }
}

impl Block {
    /// Creates a block of events, in order. Fails if a limit is exceeded or an event has no samples.
    pub fn from_events(events: &[BlockEvent]) -> Result<Self, EncodeError> {
        limits::check_encoded(events.len(), limits::EVENTS, "events")?;
        if events.iter().any(|event| event.samples.is_empty()) {
            return Err(EncodeError::NoSamples);
        }
        let row = |event: &BlockEvent| EventRow { eid: event.eid, received: event.received, samples: event.samples.len() };
        Self::from_rows(events.iter().map(row).collect(), events.iter().flat_map(|event| &event.samples))
    }

    /// Creates a block of samples without events, as devices send it. Fails if a limit is exceeded.
    pub fn from_samples(samples: &[Sample]) -> Result<Self, EncodeError> {
        Self::from_rows(Vec::new(), samples.iter())
    }

    fn from_rows<'s>(events: Vec<EventRow>, samples: impl Iterator<Item = &'s Sample>) -> Result<Self, EncodeError> {
        let mut builder = ColumnBuilder::default();
        let mut times = Vec::new();
        for sample in samples {
            limits::check_encoded(times.len() + 1, limits::SAMPLES, "samples")?;
            builder.add_row(times.len() as u32, &sample.signals);
            times.push(sample.at.ms());
        }
        limits::check_encoded(builder.column_count(), limits::COLUMNS, "signals")?;
        limits::check_encoded(builder.value_count(), limits::VALUES, "values")?;
        let columns = builder.build(times.len());
        limits::check_encoded(
            columns.iter().map(|column| column.values.text_bytes()).sum(),
            limits::TEXT_BYTES,
            "bytes of texts",
        )?;
        // A block that a reader would refuse is not created.
        let sparse = columns.iter().filter(|column| column.presence != Presence::All).count();
        limits::check_encoded(sparse * times.len(), limits::CELLS, "cells")?;
        columns.iter().try_for_each(|column| column.values.check_limits())?;
        let block = Self { events, times, columns };
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
        let column =
            |column: &Column| 2 * NUMBER_BYTES + column.path.as_str().len() + presence(column) + column.values.max_bytes();
        // An event has an id, a count and a time.
        let rows = NUMBER_BYTES * (8 + self.times.len() + 4 * self.events.len());
        rows + self.columns.iter().map(column).sum::<usize>()
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

    /// Returns all samples, in order.
    pub fn samples(&self) -> Vec<Sample> {
        // The capacity is the average per row, because in blocks of many signals few rows have most of them.
        let values: usize = self.columns.iter().map(|column| column.values.len()).sum();
        let average = values.div_ceil(self.times.len().max(1));
        let mut rows: Vec<Vec<(SignalPath, Value)>> = self.times.iter().map(|_| Vec::with_capacity(average)).collect();
        for column in self.columns_by_path() {
            for (index, row) in column.presence.rows(self.times.len()).enumerate() {
                // Every present row has a value.
                rows[row].extend(column.values.get(index).map(|value| (column.path.clone(), value)));
            }
        }
        // The signals are sorted by path, so that the map is built without searching.
        let sample =
            |(at, signals): (&i64, Vec<_>)| Sample { at: Timestamp::from_ms(*at), signals: Signals::from_iter(signals) };
        self.times.iter().zip(rows).map(sample).collect()
    }

    /// Returns the size of the values as rows: [`VALUE_BYTES`](crate::limits::VALUE_BYTES) per value and per entry of a
    /// list, plus the bytes of texts, counted for each value.
    pub fn unpacked_bytes(&self) -> usize {
        self.columns.iter().map(|column| column.values.unpacked_bytes()).sum()
    }

    fn columns_by_path(&self) -> Vec<&Column> {
        let mut columns: Vec<&Column> = self.columns.iter().collect();
        columns.sort_by(|a, b| a.path.cmp(&b.path));
        columns
    }

    /// Returns the events without their samples: each has the next rows of [`times`](Self::times).
    pub fn event_rows(&self) -> &[EventRow] {
        &self.events
    }

    /// Returns the time of each sample in milliseconds since 1970, by row.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// Returns the signals: those of the catalogue by number, followed by the others by path.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Retains only the signals for which `keep` returns true. Removes samples without remaining signals, and events without
    /// remaining samples.
    pub fn retain_columns(&mut self, keep: impl Fn(&SignalPath) -> bool) {
        self.columns.retain(|column| keep(&column.path));
        let rows = self.times.len();
        let is_retained: Vec<bool> =
            (0..rows).map(|row| self.columns.iter().any(|column| column.presence.has(row))).collect();
        if is_retained.iter().all(|is_retained| *is_retained) {
            return;
        }
        for column in &mut self.columns {
            // Only samples without signals are removed, so no values are removed.
            let present: Vec<u32> = (0_u32..)
                .zip((0..rows).filter(|row| is_retained[*row]))
                .filter(|(_, row)| column.presence.has(*row))
                .map(|(new_row, _)| new_row)
                .collect();
            column.presence = Presence::from_rows(&present, is_retained.iter().filter(|is_retained| **is_retained).count());
        }
        let mut row = 0;
        for event in &mut self.events {
            let own = row..row + event.samples;
            row = own.end;
            event.samples = is_retained[own].iter().filter(|is_retained| **is_retained).count();
        }
        self.events.retain(|event| event.samples > 0);
        let mut is_retained = is_retained.into_iter();
        self.times.retain(|_| is_retained.next().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests;
