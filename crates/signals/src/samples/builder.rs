//! Collects samples row by row into columns.

use std::collections::HashMap;

use super::{Column, Samples};
use crate::{Catalogue, Presence, Resolution, SignalPath, Timestamp, Value, Values};

/// From this number of columns on, they are found by a hash table.
const INDEXED_COLUMNS: usize = 32;

/// Collects samples row by row into columns.
#[derive(Debug, Default)]
pub struct SamplesBuilder {
    /// The number of rows for which each column reserves memory.
    reserved: usize,
    times: Vec<Timestamp>,
    columns: Vec<ColumnBuilder>,
    /// The column after that of the previous value: most rows have the same signals in the same order.
    next: usize,
    by_path: HashMap<SignalPath, usize>,
    unknown_signals: usize,
}

#[derive(Debug)]
struct ColumnBuilder {
    path: SignalPath,
    /// The last row that has the signal.
    last: usize,
    /// The rows that have the signal; empty while all have it.
    rows: Vec<usize>,
    values: ValuesBuilder,
}

#[derive(Debug)]
enum ValuesBuilder {
    Grid { resolution: Resolution, points: Vec<i64> },
    Numbers(Vec<f64>),
    Any(Vec<Value>),
}

impl SamplesBuilder {
    /// Creates a builder that reserves memory for about this number of samples.
    pub fn with_rows(rows: usize) -> Self {
        Self { reserved: rows, times: Vec::with_capacity(rows), ..Self::default() }
    }

    /// Starts the next sample.
    pub fn start_row(&mut self, at: Timestamp) {
        self.times.push(at);
        self.next = 0;
    }

    /// Sets the time of the current sample.
    pub fn set_time(&mut self, at: Timestamp) {
        if let Some(time) = self.times.last_mut() {
            *time = at;
        }
    }

    /// Returns the number of different signals outside the catalogue.
    pub fn unknown_signals(&self) -> usize {
        self.unknown_signals
    }

    /// Returns the signal that the current sample has next if it has the same signals as the previous one in the same order.
    #[inline]
    pub fn expected(&self) -> Option<&SignalPath> {
        self.columns.get(self.next).map(|column| &column.path)
    }

    /// Adds a value to the current sample. Returns false if the sample has the signal already.
    pub fn push(&mut self, path: SignalPath, value: Value) -> bool {
        match value {
            Value::Number(number) => self.push_number(path, number),
            value => self.cell(path, |_| ValuesBuilder::Any(Vec::new())).is_some_and(|values| {
                values.push(value);
                true
            }),
        }
    }

    /// Adds a number to the current sample. Returns false if the sample has the signal already.
    pub fn push_number(&mut self, path: SignalPath, number: f64) -> bool {
        let reserved = self.reserved;
        let numbers = |path: &SignalPath| match path.def().and_then(|def| def.resolution) {
            Some(resolution) => ValuesBuilder::Grid { resolution, points: Vec::with_capacity(reserved) },
            None => ValuesBuilder::Numbers(Vec::new()),
        };
        self.cell(path, numbers).is_some_and(|values| {
            values.push_number(number);
            true
        })
    }

    /// Adds a number to the current sample: a point of the grid of the signal in the catalogue. Returns false if the sample has the
    /// signal already.
    pub fn push_point(&mut self, path: SignalPath, resolution: Resolution, point: i64) -> bool {
        let reserved = self.reserved;
        let grid = |_: &SignalPath| ValuesBuilder::Grid { resolution, points: Vec::with_capacity(reserved) };
        self.cell(path, grid).is_some_and(|values| {
            match values {
                ValuesBuilder::Grid { resolution: grid, points } if *grid == resolution => points.push(point),
                values => values.push_number(resolution.value(point)),
            }
            true
        })
    }

    /// Returns the grid of the signal that [`expected`](Self::expected) returns, if all of its values are on that of the catalogue.
    #[inline]
    pub fn expected_grid(&self) -> Option<Resolution> {
        match self.columns.get(self.next)?.values {
            ValuesBuilder::Grid { resolution, .. } => Some(resolution),
            ValuesBuilder::Numbers(_) | ValuesBuilder::Any(_) => None,
        }
    }

    /// Adds a number to the current sample: the point of [`expected_grid`](Self::expected_grid). Returns false, without a
    /// change, if there is no such grid or the sample has the signal already.
    #[inline]
    pub fn push_expected_point(&mut self, point: i64) -> bool {
        let Some(row) = self.times.len().checked_sub(1) else { return false };
        let Some(column) = self.columns.get_mut(self.next) else { return false };
        let ValuesBuilder::Grid { points, .. } = &mut column.values else { return false };
        if !mark(&mut column.last, &mut column.rows, row) {
            return false;
        }
        points.push(point);
        self.next += 1;
        true
    }

    /// Returns the values to which the value of `path` in the current row is added; `None` if the row has one already.
    fn cell(&mut self, path: SignalPath, new: impl Fn(&SignalPath) -> ValuesBuilder) -> Option<&mut ValuesBuilder> {
        let row = self.times.len().checked_sub(1)?;
        let index = if let Some(index) = self.find(&path) {
            let column = &mut self.columns[index];
            if !mark(&mut column.last, &mut column.rows, row) {
                return None;
            }
            index
        } else {
            let rows = if row == 0 { Vec::new() } else { vec![row] };
            let values = new(&path);
            self.unknown_signals += usize::from(path.def().is_none());
            if self.columns.len() >= INDEXED_COLUMNS {
                self.index_columns();
                self.by_path.insert(path.clone(), self.columns.len());
            }
            self.columns.push(ColumnBuilder { path, last: row, rows, values });
            self.columns.len() - 1
        };
        self.next = index + 1;
        Some(&mut self.columns[index].values)
    }

    fn find(&self, path: &SignalPath) -> Option<usize> {
        let is_same = |column: &ColumnBuilder| match (&column.path, path) {
            (SignalPath::Known(a), SignalPath::Known(b)) => std::ptr::eq(*a, *b),
            (a, b) => a == b,
        };
        if self.columns.get(self.next).is_some_and(is_same) {
            return Some(self.next);
        }
        if self.columns.len() > INDEXED_COLUMNS {
            return self.by_path.get(path).copied();
        }
        self.columns.iter().position(is_same)
    }

    fn index_columns(&mut self) {
        if self.by_path.is_empty() {
            self.by_path = self.columns.iter().enumerate().map(|(index, column)| (column.path.clone(), index)).collect();
        }
    }

    /// Returns the samples in columns.
    pub fn finish(self) -> Samples {
        let Self { mut times, columns, .. } = self;
        let rows = times.len();
        release_unused(&mut times);
        let columns = columns.into_iter().map(|column| column.finish(rows)).collect();
        Samples::new(times, columns)
    }
}

/// Releases reserved memory if less than half of it is used.
fn release_unused<T>(values: &mut Vec<T>) {
    if values.capacity() > 2 * values.len() {
        values.shrink_to_fit();
    }
}

/// Marks that a row has a signal: `last` is the last row that has it, and `rows` are all, or empty if these are all rows up to
/// it. Returns false if the row is marked already.
#[inline]
fn mark(last: &mut usize, rows: &mut Vec<usize>, row: usize) -> bool {
    if *last == row {
        return false;
    }
    if !rows.is_empty() {
        rows.push(row);
    } else if *last + 1 != row {
        rows.extend((0..=*last).chain([row]));
    }
    *last = row;
    true
}

impl ColumnBuilder {
    fn finish(self, rows: usize) -> Column {
        let Self { path, last, rows: present, values } = self;
        let presence = if present.is_empty() {
            if last + 1 == rows { Presence::All } else { Presence::from_rows(0..=last, rows) }
        } else {
            Presence::from_rows(present, rows)
        };
        // A path that was stored before it was added to the catalogue is now a signal of the catalogue.
        let path = match path {
            SignalPath::Unknown(text) => {
                Catalogue::get().by_path(&text).map_or(SignalPath::Unknown(text), SignalPath::Known)
            }
            known @ SignalPath::Known(_) => known,
        };
        let values = match values {
            ValuesBuilder::Grid { resolution, mut points } => {
                release_unused(&mut points);
                Values::Grid { resolution, points }
            }
            ValuesBuilder::Numbers(numbers) => Values::of_numbers(&path, numbers),
            ValuesBuilder::Any(values) => Values::new(&path, values),
        };
        Column { path, presence, values }
    }
}

impl ValuesBuilder {
    fn push_number(&mut self, number: f64) {
        match self {
            Self::Grid { resolution, points } => {
                if let Some(point) = resolution.exact_grid(number) {
                    points.push(point);
                } else {
                    let numbers = points.iter().map(|point| resolution.value(*point)).chain([number]).collect();
                    *self = Self::Numbers(numbers);
                }
            }
            Self::Numbers(numbers) => numbers.push(number),
            Self::Any(values) => values.push(Value::Number(number)),
        }
    }

    fn push(&mut self, value: Value) {
        match self {
            Self::Any(values) => values.push(value),
            Self::Grid { resolution, points } => {
                let numbers = points.iter().map(|point| Value::Number(resolution.value(*point)));
                *self = Self::Any(numbers.chain([value]).collect());
            }
            Self::Numbers(numbers) => *self = Self::Any(numbers.drain(..).map(Value::Number).chain([value]).collect()),
        }
    }
}
