//! Conversion between rows and columns, and the JSON of rows.

use std::cell::Cell;

use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Column, Samples, SamplesBuilder};
use crate::{Sample, SignalPath, Signals, Timestamp, Value};

impl Samples {
    /// Returns the samples as rows.
    pub fn to_rows(&self) -> Vec<Sample> {
        // The capacity is the average per row, because with many signals few rows have most of them.
        let values: usize = self.columns.iter().map(|column| column.values.len()).sum();
        let average = values.div_ceil(self.times.len().max(1));
        let mut rows: Vec<Vec<(SignalPath, Value)>> = self.times.iter().map(|_| Vec::with_capacity(average)).collect();
        for column in self.by_path() {
            for ((row, _), value) in column.rows(self.times.len()).zip(column.values.iter()) {
                rows[row].push((column.path.clone(), value));
            }
        }
        // The signals are sorted by path, so that the map is built without searching.
        let sample = |(at, signals): (&Timestamp, Vec<_>)| Sample { at: *at, signals: Signals::from_iter(signals) };
        self.times.iter().zip(rows).map(sample).collect()
    }

    /// Returns the sample in this row; `None` if there is no such row.
    pub fn row(&self, row: usize) -> Option<Sample> {
        let at = *self.times.get(row)?;
        let value = |column: &Column| Some((column.path.clone(), column.value_of_row(row)?));
        Some(Sample { at, signals: self.columns.iter().filter_map(value).collect() })
    }

    fn by_path(&self) -> Vec<&Column> {
        let mut columns: Vec<&Column> = self.columns.iter().collect();
        columns.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        columns
    }
}

impl FromIterator<Sample> for Samples {
    fn from_iter<Rows: IntoIterator<Item = Sample>>(rows: Rows) -> Self {
        let mut builder = SamplesBuilder::default();
        for Sample { at, signals } in rows {
            builder.start_row(at);
            for (path, value) in signals {
                builder.push(path, value);
            }
        }
        builder.finish()
    }
}

impl From<Vec<Sample>> for Samples {
    fn from(rows: Vec<Sample>) -> Self {
        rows.into_iter().collect()
    }
}

impl<const N: usize> From<[Sample; N]> for Samples {
    fn from(rows: [Sample; N]) -> Self {
        rows.into_iter().collect()
    }
}

impl<'de> Deserialize<'de> for Samples {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Sample>::deserialize(deserializer).map(Self::from)
    }
}

/// Writes the rows, as a list of [`Sample`] is written.
impl Serialize for Samples {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns: Vec<(&Column, Cell<usize>)> = self.by_path().into_iter().map(|column| (column, Cell::new(0))).collect();
        let mut rows = serializer.serialize_seq(Some(self.times.len()))?;
        for (row, at) in self.times.iter().enumerate() {
            rows.serialize_element(&Row { at: *at, signals: RowSignals { row, columns: &columns } })?;
        }
        rows.end()
    }
}

/// A row of samples. Rows are written in order, because each writes the next value of its columns.
struct Row<'s> {
    at: Timestamp,
    signals: RowSignals<'s>,
}

struct RowSignals<'s> {
    row: usize,
    /// Each column, by path, with the index of its next value.
    columns: &'s [(&'s Column, Cell<usize>)],
}

struct NextValue<'s>(&'s Column, usize);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sample = serializer.serialize_struct("Sample", 2)?;
        sample.serialize_field("at", &self.at)?;
        sample.serialize_field("signals", &self.signals)?;
        sample.end()
    }
}

impl Serialize for RowSignals<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut signals = serializer.serialize_map(None)?;
        for (column, next) in self.columns.iter().filter(|(column, _)| column.presence.has(self.row)) {
            let index = next.replace(next.get() + 1);
            signals.serialize_entry(&column.path, &NextValue(column, index))?;
        }
        signals.end()
    }
}

impl Serialize for NextValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(column, index) = self;
        column.values.serialize_at(*index, serializer)
    }
}
