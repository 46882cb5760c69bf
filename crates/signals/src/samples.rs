//! Samples in columns.

mod builder;
mod concat;
mod rows;

use std::cmp::Ordering;
use std::ops::Range;

use crate::{Presence, SignalDef, SignalPath, Timestamp, Value, Values};

pub use builder::SamplesBuilder;

/// Samples in columns: the time of each sample, and a column for each signal. A sample is a row.
///
/// No column is empty. The columns are ordered: signals of the catalogue by number, followed by the others by path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    times: Vec<Timestamp>,
    columns: Vec<Column>,
}

/// One signal of samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The signal.
    pub path: SignalPath,
    /// Which samples have it.
    pub presence: Presence,
    /// The values, one for each sample that has the signal.
    pub values: Values,
}

/// Orders signals of the catalogue by number, followed by the others by path.
fn order(a: &SignalPath, b: &SignalPath) -> Ordering {
    match (a.def(), b.def()) {
        (Some(a), Some(b)) => a.number.cmp(&b.number),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

impl Column {
    /// Returns the rows that have the signal, each with the index of its value.
    pub fn rows(&self, rows: usize) -> impl Iterator<Item = (usize, usize)> {
        self.presence.rows(rows).enumerate().map(|(index, row)| (row, index))
    }

    /// Returns the value of the sample in this row; `None` if it does not have the signal.
    pub fn value_of_row(&self, row: usize) -> Option<Value> {
        self.presence.has(row).then(|| self.presence.count_before(row)).and_then(|index| self.values.get(index))
    }

    fn slice(&self, rows: Range<usize>, values: Range<usize>) -> Self {
        Self { path: self.path.clone(), presence: self.presence.slice(rows), values: self.values.slice(values) }
    }
}

impl Samples {
    /// Creates samples from their times and columns. Sorts the columns, and removes the empty ones.
    ///
    /// Each presence must have as many rows as there are times, and each path may occur once.
    pub fn new(times: Vec<Timestamp>, mut columns: Vec<Column>) -> Self {
        columns.retain(|column| !column.values.is_empty());
        if !columns.is_sorted_by(|a, b| order(&a.path, &b.path) == Ordering::Less) {
            columns.sort_by(|a, b| order(&a.path, &b.path));
        }
        Self { times, columns }
    }

    /// Returns the number of samples.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Returns whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Returns the time of each sample, by row.
    pub fn times(&self) -> &[Timestamp] {
        &self.times
    }

    /// Returns the columns: those of the catalogue by number, followed by the others by path.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Returns the column of a signal.
    pub fn column(&self, path: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.path.as_str() == path)
    }

    /// Returns the column of a signal of the catalogue.
    pub fn column_of(&self, def: &SignalDef) -> Option<&Column> {
        let order = |column: &Column| column.path.def().map_or(Ordering::Greater, |other| other.number.cmp(&def.number));
        self.columns.binary_search_by(order).ok().and_then(|index| self.columns.get(index))
    }

    /// Returns the times and the columns.
    pub fn into_parts(self) -> (Vec<Timestamp>, Vec<Column>) {
        (self.times, self.columns)
    }

    /// Retains only the signals for which `keep` returns true, then the samples that still have one.
    pub fn retain_columns(&mut self, mut keep: impl FnMut(&SignalPath) -> bool) {
        self.columns.retain(|column| keep(&column.path));
        self.remove_empty_rows();
    }

    /// Returns the samples with only the signals for which `keep` returns true, without the samples that then have none.
    #[must_use]
    pub fn select_columns(&self, keep: impl Fn(&SignalPath) -> bool) -> Self {
        let columns = self.columns.iter().filter(|column| keep(&column.path)).cloned().collect();
        let mut selected = Self { times: self.times.clone(), columns };
        selected.remove_empty_rows();
        selected
    }

    /// Returns, by row, whether the sample has a signal.
    pub fn has_signals(&self) -> Vec<bool> {
        if self.columns.iter().any(|column| column.presence == Presence::All) {
            return vec![true; self.len()];
        }
        let mut flags = vec![false; self.len()];
        for column in &self.columns {
            column.presence.rows(self.times.len()).for_each(|row| flags[row] = true);
        }
        flags
    }

    /// Removes the samples without signals.
    pub fn remove_empty_rows(&mut self) {
        let flags = self.has_signals();
        self.retain_rows(&flags);
    }

    /// Retains the samples whose flag is set, then the signals that one of them has.
    pub fn retain_rows(&mut self, flags: &[bool]) {
        if flags.iter().all(|flag| *flag) {
            return;
        }
        for column in &mut self.columns {
            match &column.presence {
                Presence::All => column.values.retain(flags),
                Presence::Some(present) => {
                    let of_values: Vec<bool> =
                        present.iter().zip(flags).filter(|(has, _)| **has).map(|(_, flag)| *flag).collect();
                    column.values.retain(&of_values);
                    let of_rows = present.iter().zip(flags).filter(|(_, flag)| **flag).map(|(has, _)| *has);
                    column.presence = Presence::from_flags(of_rows.collect());
                }
            }
        }
        self.columns.retain(|column| !column.values.is_empty());
        let mut flags = flags.iter().copied();
        self.times.retain(|_| flags.next().unwrap_or_default());
    }

    /// Removes the values for which `is_removed` returns true, by signal and row. Samples may remain without a signal.
    pub fn remove_values(&mut self, mut is_removed: impl FnMut(&SignalPath, usize) -> bool) {
        let rows = self.times.len();
        for column in &mut self.columns {
            let mut is_retained = Vec::with_capacity(column.values.len());
            let mut present = vec![false; rows];
            for row in column.presence.rows(rows) {
                let keep = !is_removed(&column.path, row);
                is_retained.push(keep);
                present[row] = keep;
            }
            if is_retained.contains(&false) {
                column.values.retain(&is_retained);
                column.presence = Presence::from_flags(present);
            }
        }
        self.columns.retain(|column| !column.values.is_empty());
    }

    /// Splits the samples into consecutive parts of these lengths. Samples beyond are dropped.
    pub fn split(&self, lengths: impl IntoIterator<Item = usize>) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut first_value = vec![0; self.columns.len()];
        let mut start = 0;
        for length in lengths {
            let rows = start..(start + length).min(self.times.len());
            start = rows.end;
            let mut columns = Vec::with_capacity(self.columns.len());
            for (column, first) in self.columns.iter().zip(&mut first_value) {
                let count = match &column.presence {
                    Presence::All => rows.len(),
                    Presence::Some(flags) => flags[rows.clone()].iter().filter(|flag| **flag).count(),
                };
                let values = *first..*first + count;
                *first = values.end;
                if count > 0 {
                    columns.push(column.slice(rows.clone(), values));
                }
            }
            parts.push(Self { times: self.times[rows].to_vec(), columns });
        }
        parts
    }
}

#[cfg(test)]
mod tests;
