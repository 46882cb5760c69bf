//! The block: events and times by row, signals by column.

use std::cmp::Ordering;
use std::collections::HashMap;

use roadcast_signals::{Catalogue, Sample, SignalPath, Signals, Timestamp, Value};

use crate::presence::Presence;
use crate::table::EventRow;
use crate::values::{NUMBER_BYTES, Values};
use crate::{EncodeError, limits};

/// An event of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockEvent {
    /// Its id: a ULID, of 48 bits of time and 80 bits of hash.
    pub eid: u128,
    /// When it was received.
    pub received: Timestamp,
    /// In the order they were sent; never empty.
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
    /// Its values, one for each sample that has it.
    pub values: Values,
}

impl Column {
    /// Signals of the catalogue by number, then the others by path.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let number = |column: &Self| column.path.def().map_or(u32::MAX, |def| u32::from(def.number));
        number(self).cmp(&number(other)).then_with(|| self.path.cmp(&other.path))
    }
}

impl Block {
    /// The block of these events, in their order.
    pub fn of_events(events: &[BlockEvent]) -> Result<Self, EncodeError> {
        limits::to_encode(events.len(), limits::EVENTS, "events")?;
        if events.iter().any(|event| event.samples.is_empty()) {
            return Err(EncodeError::NoSamples);
        }
        let row = |event: &BlockEvent| EventRow { eid: event.eid, received: event.received, samples: event.samples.len() };
        Self::of_rows(events.iter().map(row).collect(), events.iter().flat_map(|event| &event.samples))
    }

    /// The block of samples that are not yet an event, as a device makes it.
    pub fn of_samples(samples: &[Sample]) -> Result<Self, EncodeError> {
        Self::of_rows(Vec::new(), samples.iter())
    }

    fn of_rows<'s>(events: Vec<EventRow>, samples: impl Iterator<Item = &'s Sample>) -> Result<Self, EncodeError> {
        let mut gathered = Gathered::default();
        let mut times = Vec::new();
        for sample in samples {
            limits::to_encode(times.len() + 1, limits::SAMPLES, "samples")?;
            gathered.take(times.len() as u32, &sample.signals);
            times.push(sample.at.ms());
        }
        limits::to_encode(gathered.columns.len(), limits::COLUMNS, "signals")?;
        limits::to_encode(gathered.values, limits::VALUES, "values")?;
        let columns = gathered.columns(times.len());
        limits::to_encode(
            columns.iter().map(|column| column.values.text_bytes()).sum(),
            limits::TEXT_BYTES,
            "bytes of texts",
        )?;
        // What a reader would refuse is not written.
        let sparse = columns.iter().filter(|column| column.presence != Presence::All).count();
        limits::to_encode(sparse * times.len(), limits::CELLS, "cells")?;
        columns.iter().try_for_each(|column| column.values.check())?;
        let block = Self { events, times, columns };
        if block.most_bytes() > limits::BYTES {
            limits::to_encode(block.encode().len(), limits::BYTES, "bytes")?;
        }
        Ok(block)
    }

    /// Bytes that it never takes more than: far above what it takes, and quickly told.
    pub(crate) fn most_bytes(&self) -> usize {
        let presence = |column: &Column| match &column.presence {
            Presence::All => 0,
            Presence::Some(bits) => bits.len().div_ceil(8),
        };
        let column =
            |column: &Column| 2 * NUMBER_BYTES + column.path.as_str().len() + presence(column) + column.values.most_bytes();
        // An event has an id, a count and a time.
        let rows = NUMBER_BYTES * (8 + self.times.len() + 4 * self.events.len());
        rows + self.columns.iter().map(column).sum::<usize>()
    }

    /// Its events, row by row. A block of bare samples has none.
    pub fn events(&self) -> Vec<BlockEvent> {
        let mut samples = self.samples().into_iter();
        let event = |row: &EventRow| BlockEvent {
            eid: row.eid,
            received: row.received,
            samples: samples.by_ref().take(row.samples).collect(),
        };
        self.events.iter().map(event).collect()
    }

    /// Every sample, whatever event it is of, in order.
    pub fn samples(&self) -> Vec<Sample> {
        // As many as a row has on average: few rows have many of a block's signals where those are many.
        let values: usize = self.columns.iter().map(|column| column.values.len()).sum();
        let usual = values.div_ceil(self.times.len().max(1));
        let mut rows: Vec<Vec<(SignalPath, Value)>> = self.times.iter().map(|_| Vec::with_capacity(usual)).collect();
        for column in self.by_path() {
            for (place, row) in column.presence.rows(self.times.len()).enumerate() {
                // Every row that is present has a value: both come from the same place.
                rows[row].extend(column.values.get(place).map(|value| (column.path.clone(), value)));
            }
        }
        // Sorted by path, a map is built without searching.
        let sample =
            |(at, signals): (&i64, Vec<_>)| Sample { at: Timestamp::from_ms(*at), signals: Signals::from_iter(signals) };
        self.times.iter().zip(rows).map(sample).collect()
    }

    /// Bytes that its values take as rows: [`VALUE_BYTES`](crate::limits::VALUE_BYTES) each, and texts each time a value has one.
    pub fn unpacked_bytes(&self) -> usize {
        self.columns.iter().map(|column| column.values.unpacked_bytes()).sum()
    }

    fn by_path(&self) -> Vec<&Column> {
        let mut columns: Vec<&Column> = self.columns.iter().collect();
        columns.sort_by(|a, b| a.path.cmp(&b.path));
        columns
    }

    /// The events without their samples: each has the next rows of [`times`](Self::times).
    pub fn event_rows(&self) -> &[EventRow] {
        &self.events
    }

    /// When each sample was taken, in milliseconds since 1970, row by row.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// The signals: those of the catalogue by number, then the others by path.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Keeps only some signals. Samples that have none left fall away, and events with their last sample.
    pub fn retain_columns(&mut self, keep: impl Fn(&SignalPath) -> bool) {
        self.columns.retain(|column| keep(&column.path));
        let rows = self.times.len();
        let stays: Vec<bool> = (0..rows).map(|row| self.columns.iter().any(|column| column.presence.has(row))).collect();
        if stays.iter().all(|stays| *stays) {
            return;
        }
        for column in &mut self.columns {
            // Only samples without any signal go, so no value goes with them.
            let left: Vec<u32> = (0_u32..)
                .zip((0..rows).filter(|row| stays[*row]))
                .filter(|(_, row)| column.presence.has(*row))
                .map(|(left, _)| left)
                .collect();
            column.presence = Presence::of_rows(&left, stays.iter().filter(|stays| **stays).count());
        }
        let mut row = 0;
        for event in &mut self.events {
            let own = row..row + event.samples;
            row = own.end;
            event.samples = stays[own].iter().filter(|stays| **stays).count();
        }
        self.events.retain(|event| event.samples > 0);
        let mut stays = stays.into_iter();
        self.times.retain(|_| stays.next().unwrap_or_default());
    }
}

/// A column has room for so many at first: most blocks have about a minute's.
const USUAL_SAMPLES: usize = 64;

/// Values by signal, as rows are gone through.
#[derive(Default)]
struct Gathered<'s> {
    columns: Vec<(&'s SignalPath, Vec<u32>, Vec<&'s Value>)>,
    by_path: HashMap<&'s str, usize>,
    /// The columns of the row before, in its order: the next row mostly has the same.
    before: Vec<usize>,
    values: usize,
}

impl<'s> Gathered<'s> {
    fn take(&mut self, row: u32, signals: &'s Signals) {
        let before = std::mem::take(&mut self.before);
        let mut now = Vec::with_capacity(signals.len());
        for (place, (path, value)) in signals.iter().enumerate() {
            // Mostly the catalogue's own text, so that its place tells.
            let same = |column: &&usize| {
                let (before, now) = (self.columns[**column].0.as_str(), path.as_str());
                std::ptr::eq(before, now) || before == now
            };
            let column = match before.get(place).filter(same) {
                Some(column) => *column,
                None => *self.by_path.entry(path.as_str()).or_insert_with(|| {
                    self.columns.push((path, Vec::with_capacity(USUAL_SAMPLES), Vec::with_capacity(USUAL_SAMPLES)));
                    self.columns.len() - 1
                }),
            };
            let (_, rows, values) = &mut self.columns[column];
            rows.push(row);
            values.push(value);
            now.push(column);
        }
        self.values += now.len();
        self.before = now;
    }

    fn columns(self, rows: usize) -> Vec<Column> {
        let column = |(path, present, values): (&SignalPath, Vec<u32>, Vec<&Value>)| {
            // What was stored before the catalogue knew it is known now.
            let path = match path {
                SignalPath::Known(def) => SignalPath::Known(def),
                SignalPath::Unknown(text) => Catalogue::get().by_path(text).map_or_else(|| path.clone(), SignalPath::from),
            };
            let values = Values::of(&path, &values);
            Column { presence: Presence::of_rows(&present, rows), values, path }
        };
        let mut columns: Vec<Column> = self.columns.into_iter().map(column).collect();
        columns.sort_by(Column::order);
        columns
    }
}
