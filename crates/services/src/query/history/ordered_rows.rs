//! The rows of several items in the order of a history, within a number of bytes.

use std::collections::BTreeMap;
use std::ops::Range;

use roadcast_blocks::DecodeError;
use roadcast_domain::Timestamp;
use roadcast_signals::{POSITION, Signals};

use super::SamplePosition;
use super::coverages::{CoverageIndex, Coverages};
use super::source::{Content, SeriesPart, Source};

/// A sample that was not returned yet.
#[derive(Copy, Clone, Debug)]
pub(super) struct Row {
    pub(super) position: SamplePosition,
    source: u32,
    /// In its item.
    index: u32,
    coverage: CoverageIndex,
}

/// Rows of several items in the order of a history. An item is decoded when its first row is needed, and released after its
/// last one.
pub(super) struct OrderedRows {
    sources: Vec<Source>,
    /// In order; the first ones up to `cursor` were returned.
    rows: Vec<Row>,
    cursor: usize,
    /// The number of rows that may be returned.
    complete: usize,
    /// The item of the rows that were returned last.
    current: Option<usize>,
    bytes: usize,
    max_bytes: usize,
    /// The first row that was removed. No later one is held.
    removed: Option<SamplePosition>,
}

/// Consecutive rows of one item that follow one another in the history.
pub(super) struct Run<'r> {
    pub(super) rows: &'r [Row],
    source: &'r Source,
    /// Whether the query returns both coordinates of a position.
    has_position: bool,
}

impl Row {
    pub(super) fn new(position: SamplePosition, row: usize, coverage: CoverageIndex) -> Self {
        Self { position, source: 0, index: u32::try_from(row).unwrap_or(u32::MAX), coverage }
    }
}

impl OrderedRows {
    pub(super) const fn new(max_bytes: usize) -> Self {
        Self {
            sources: Vec::new(),
            rows: Vec::new(),
            cursor: 0,
            complete: 0,
            current: None,
            bytes: 0,
            max_bytes,
            removed: None,
        }
    }

    /// The first row that was removed, because the rows exceeded the bytes. It and later ones must be read again.
    pub(super) const fn removed(&self) -> Option<SamplePosition> {
        self.removed
    }

    /// Adds rows of an item. [`complete_before`](Self::complete_before) sorts them.
    pub(super) fn add(&mut self, mut source: Source, mut rows: Vec<Row>) {
        rows.retain(|row| self.removed.is_none_or(|removed| row.position < removed));
        if rows.is_empty() {
            return;
        }
        source.remaining = rows.len();
        // The rows have what is needed of them.
        (source.events, source.times) = (Vec::new(), Vec::new());
        self.bytes += source.memory_bytes() + rows.len() * size_of::<Row>();
        let index = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        self.rows.extend(rows.into_iter().map(|row| Row { source: index, ..row }));
        self.sources.push(source);
    }

    /// Lets the rows before `end` be returned, or all of them; only those before the first removed row are held.
    pub(super) fn complete_before(&mut self, end: Option<SamplePosition>, coverages: &mut Coverages<'_>) {
        self.forget_returned();
        // Most rows are in order already, which this sort makes use of.
        self.rows.sort_by_key(|row| row.position);
        self.shrink(None, coverages);
        self.complete = end.map_or(self.rows.len(), |end| self.rows.partition_point(|row| row.position < end));
    }

    /// Returns the next rows; `None` after the last complete one.
    pub(super) fn next_run(&mut self, coverages: &mut Coverages<'_>) -> Result<Option<Run<'_>>, DecodeError> {
        if let Some(source) = self.current.take().and_then(|current| self.sources.get_mut(current))
            && source.remaining == 0
        {
            self.bytes -= source.memory_bytes();
            source.content = Content::Rows(BTreeMap::new());
            self.bytes += source.memory_bytes();
        }
        let Some(first) = self.rows[..self.complete].get(self.cursor).copied() else { return Ok(None) };
        let index = first.source as usize;
        self.bytes -= self.sources[index].memory_bytes();
        self.sources[index].decode()?;
        self.bytes += self.sources[index].memory_bytes();
        self.shrink(Some(index), coverages);
        let follows = |pair: &[Row]| {
            let [row, next] = pair else { return false };
            next.source == row.source && next.coverage == row.coverage && next.index == row.index + 1
        };
        let start = self.cursor;
        let more = self.rows[start..self.complete].windows(2).take_while(|pair| follows(pair)).count();
        self.cursor = start + 1 + more;
        self.current = Some(index);
        let source = &mut self.sources[index];
        source.remaining = source.remaining.saturating_sub(1 + more);
        if let Content::Columns(columns) = &mut source.content {
            columns.select(first.coverage, coverages);
        }
        let has_position = coverages.contains_position(first.coverage);
        Ok(Some(Run { rows: &self.rows[start..self.cursor], source: &self.sources[index], has_position }))
    }

    /// Removes the last rows while the bytes are exceeded, without those of the item `current`. At least one row remains.
    fn shrink(&mut self, current: Option<usize>, coverages: &mut Coverages<'_>) {
        let exempt = |rows: &Self| current.and_then(|current| rows.sources.get(current)).map_or(0, Source::memory_bytes);
        while self.bytes - exempt(self) > self.max_bytes && self.rows.len() - self.cursor > 1 {
            let retained = self.cursor + (self.rows.len() - self.cursor) / 2;
            self.removed = Some(self.rows[retained].position);
            self.rows.truncate(retained);
            self.complete = self.complete.min(retained);
            let mut by_source: Vec<BTreeMap<usize, CoverageIndex>> = self.sources.iter().map(|_| BTreeMap::new()).collect();
            for row in &self.rows[self.cursor..] {
                by_source[row.source as usize].insert(row.index as usize, row.coverage);
            }
            for (index, (source, rows)) in self.sources.iter_mut().zip(by_source).enumerate() {
                source.remaining = rows.len();
                if Some(index) != current {
                    source.retain_rows(&rows, coverages);
                }
            }
            self.bytes = self.sources.iter().map(Source::memory_bytes).sum::<usize>() + self.rows.len() * size_of::<Row>();
        }
    }

    /// Drops the rows that were returned, and the items that have no others.
    fn forget_returned(&mut self) {
        self.rows.drain(..self.cursor);
        (self.cursor, self.complete, self.current) = (0, 0, None);
        let mut new_index = Vec::with_capacity(self.sources.len());
        let mut retained = 0;
        for source in &self.sources {
            new_index.push(retained);
            retained += u32::from(source.remaining > 0);
        }
        self.sources.retain(|source| source.remaining > 0);
        for row in &mut self.rows {
            row.source = new_index[row.source as usize];
        }
        self.bytes = self.sources.iter().map(Source::memory_bytes).sum::<usize>() + self.rows.len() * size_of::<Row>();
    }
}

impl<'r> Run<'r> {
    /// Returns the signals of a row that the query returns.
    pub(super) fn signals(&self, row: &Row) -> Signals {
        match &self.source.content {
            Content::Columns(columns) => columns.signals(row.coverage, row.index as usize),
            Content::Rows(rows) => rows.get(&(row.index as usize)).cloned().unwrap_or_default(),
            Content::Encoded(_) => Signals::new(),
        }
    }

    /// Returns the signals of a row for a window: without a coordinate that lacks the other one, if the query returns both.
    pub(super) fn window_signals(&self, row: &Row) -> Signals {
        let mut signals = self.signals(row);
        if self.has_position && !POSITION.iter().all(|path| signals.contains_key(*path)) {
            signals.retain(|path, _| !POSITION.contains(&path.as_str()));
        }
        signals
    }

    /// Returns the first rows before `end`, and the others.
    pub(super) fn split_at(self, end: Timestamp) -> (Self, Option<Self>) {
        let (before, after) = self.rows.split_at(self.rows.partition_point(|row| row.position.at < end));
        (Self { rows: before, ..self }, (!after.is_empty()).then_some(Self { rows: after, ..self }))
    }

    /// Returns the values of each signal by column; `None` if the item has no columns.
    pub(super) fn series(&self) -> Option<impl Iterator<Item = SeriesPart<'r>> + use<'r>> {
        let Content::Columns(columns) = &self.source.content else { return None };
        let (first, rows) = (self.rows.first()?, self.row_range());
        Some(columns.series(first.coverage, self.has_position, rows))
    }

    fn row_range(&self) -> Range<usize> {
        let first = self.rows.first().map_or(0, |row| row.index as usize);
        first..first + self.rows.len()
    }
}

#[cfg(test)]
mod tests;
