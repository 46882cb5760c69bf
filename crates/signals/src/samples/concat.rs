//! Joins samples column by column.

use std::cmp::Ordering;

use super::{Column, Samples};
use crate::{Presence, SignalPath, Timestamp, Values};

/// The parts of one column.
struct Parts<'s> {
    path: &'s SignalPath,
    values: Vec<&'s Values>,
    /// The number of values.
    count: usize,
    /// Which rows have the signal; empty while all have it.
    flags: Vec<bool>,
}

impl<'s> Parts<'s> {
    /// A column without parts, of which at most this number is appended.
    fn new(path: &'s SignalPath, parts: usize) -> Self {
        Self { path, values: Vec::with_capacity(parts), count: 0, flags: Vec::new() }
    }

    /// Appends the column of a part that starts at row `start` and has `length` rows.
    fn append(&mut self, column: &'s Column, start: usize, length: usize) {
        let is_complete = self.flags.is_empty() && self.count == start && column.presence == Presence::All;
        if !is_complete {
            self.fill(start);
            self.flags.extend((0..length).map(|row| column.presence.has(row)));
        }
        self.count += column.values.len();
        self.values.push(&column.values);
    }

    /// Writes the flags up to row `rows`, which the column does not have after its last part.
    fn fill(&mut self, rows: usize) {
        if self.flags.is_empty() {
            self.flags.resize(self.count, true);
        }
        self.flags.resize(rows, false);
    }

    fn finish(mut self, rows: usize) -> Column {
        if !self.flags.is_empty() || self.count < rows {
            self.fill(rows);
        }
        let presence = if self.flags.is_empty() { Presence::All } else { Presence::from_flags(self.flags) };
        Column { path: self.path.clone(), presence, values: Values::concat(self.path, &self.values) }
    }
}

impl Samples {
    /// Joins samples, in order.
    pub fn concat<'s>(parts: impl IntoIterator<Item = &'s Self>) -> Self {
        let parts: Vec<&Self> = parts.into_iter().collect();
        let mut times: Vec<Timestamp> = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        let mut columns: Vec<Parts<'s>> = Vec::with_capacity(parts.first().map_or(0, |part| part.columns.len()));
        for part in &parts {
            // Both are sorted, so that the next column is mostly the next one.
            let mut next = 0;
            for column in &part.columns {
                let order = |parts: &Parts<'_>| super::order(parts.path, &column.path);
                while columns.get(next).is_some_and(|parts| order(parts) == Ordering::Less) {
                    next += 1;
                }
                if columns.get(next).is_none_or(|parts| order(parts) != Ordering::Equal) {
                    columns.insert(next, Parts::new(&column.path, parts.len()));
                }
                columns[next].append(column, times.len(), part.len());
                next += 1;
            }
            times.extend_from_slice(&part.times);
        }
        let rows = times.len();
        Self { times, columns: columns.into_iter().map(|parts| parts.finish(rows)).collect() }
    }
}
