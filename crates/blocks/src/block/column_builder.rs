//! Conversion of rows to columns.

use std::collections::HashMap;

use roadcast_signals::{Catalogue, SignalPath, Signals, Value};

use super::Column;
use crate::presence::Presence;
use crate::values::Values;

/// The initial capacity of a column: most blocks have the samples of about one minute.
const INITIAL_CAPACITY: usize = 64;

/// Collects the values of rows by signal.
#[derive(Default)]
pub(super) struct ColumnBuilder<'s> {
    /// For each signal its rows and values.
    columns: Vec<(&'s SignalPath, Vec<u32>, Vec<&'s Value>)>,
    by_path: HashMap<&'s str, usize>,
    /// The columns of the previous row, in its order: most rows have the same signals as the previous row.
    previous: Vec<usize>,
    values: usize,
}

impl<'s> ColumnBuilder<'s> {
    pub(super) fn column_count(&self) -> usize {
        self.columns.len()
    }

    pub(super) fn value_count(&self) -> usize {
        self.values
    }

    pub(super) fn add_row(&mut self, row: u32, signals: &'s Signals) {
        let previous = std::mem::take(&mut self.previous);
        let mut current = Vec::with_capacity(signals.len());
        for (index, (path, value)) in signals.iter().enumerate() {
            // Most paths are texts of the catalogue, so that comparing their addresses is sufficient.
            let is_same = |column: &&usize| {
                let (previous, current) = (self.columns[**column].0.as_str(), path.as_str());
                std::ptr::eq(previous, current) || previous == current
            };
            let column = match previous.get(index).filter(is_same) {
                Some(column) => *column,
                None => *self.by_path.entry(path.as_str()).or_insert_with(|| {
                    self.columns.push((path, Vec::with_capacity(INITIAL_CAPACITY), Vec::with_capacity(INITIAL_CAPACITY)));
                    self.columns.len() - 1
                }),
            };
            let (_, rows, values) = &mut self.columns[column];
            rows.push(row);
            values.push(value);
            current.push(column);
        }
        self.values += current.len();
        self.previous = current;
    }

    /// Returns the columns of `rows` rows, in the order of a block.
    pub(super) fn build(self, rows: usize) -> Vec<Column> {
        let column = |(path, present, values): (&SignalPath, Vec<u32>, Vec<&Value>)| {
            // A path that was stored before it was added to the catalogue is now a signal of the catalogue.
            let path = match path {
                SignalPath::Known(def) => SignalPath::Known(def),
                SignalPath::Unknown(text) => Catalogue::get().by_path(text).map_or_else(|| path.clone(), SignalPath::from),
            };
            let values = Values::of(&path, &values);
            Column { presence: Presence::from_rows(&present, rows), values, path }
        };
        let mut columns: Vec<Column> = self.columns.into_iter().map(column).collect();
        columns.sort_by(Column::order);
        columns
    }
}
