//! An item of the log that is being read.

use std::collections::BTreeMap;
use std::ops::Range;

use roadcast_blocks::{Block, BlockHead, DecodeError, EventRow, limits};
use roadcast_domain::Timestamp;
use roadcast_domain::event::memory::signals_bytes;
use roadcast_domain::event::{Body, Event};
use roadcast_domain::ids::Eid;
use roadcast_ports::event_log::{StoredBlock, StoredTelemetry};
use roadcast_signals::{Column, POSITION, Presence, Samples, SignalPath, Signals, Value, ValueIndex, Values};

use super::coverages::{CoverageIndex, Coverages};

/// An event of an item.
pub(super) struct SourceEvent {
    pub(super) eid: Eid,
    pub(super) received: Timestamp,
    /// The row of its first sample.
    pub(super) first_row: usize,
    /// The number of its samples.
    pub(super) samples: usize,
}

/// An item of the log: its events and the times of their samples, and its values once they are needed.
pub(super) struct Source {
    pub(super) events: Vec<SourceEvent>,
    /// The time of each sample.
    pub(super) times: Vec<Timestamp>,
    pub(super) content: Content,
    /// The number of its samples that are to be returned.
    pub(super) remaining: usize,
}

/// The values of an item.
pub(super) enum Content {
    /// A block that is not decoded.
    Encoded(StoredBlock),
    /// Columns, of which a query returns a part.
    Columns(Box<SourceColumns>),
    /// What a query returns, by row.
    Rows(BTreeMap<usize, Signals>),
}

/// A decoded block.
pub(super) struct SourceColumns {
    block: Block,
    indices: Vec<ValueIndex>,
    /// The columns of latitude and longitude.
    position: [Option<usize>; 2],
    /// The columns that the query returns of events with a coverage, by path.
    visible: Vec<(CoverageIndex, Vec<usize>)>,
}

impl Source {
    /// Reads the events and times of a stored item. The values of an event that is not in a block are redacted at once.
    pub(super) fn open(item: StoredTelemetry, coverages: &mut Coverages<'_>, now: Timestamp) -> Result<Self, DecodeError> {
        match item {
            StoredTelemetry::Block(block) => {
                let BlockHead { events, times } = Block::decode_head_with_hashes(&block.bytes, &block.hashes)?;
                let mut first_row = 0;
                let event = |row: EventRow| {
                    let event = SourceEvent {
                        eid: Eid::from_bits(row.eid),
                        received: row.received,
                        first_row,
                        samples: row.samples,
                    };
                    first_row += row.samples;
                    event
                };
                let events = events.into_iter().map(event).collect();
                Ok(Self { events, times, content: Content::Encoded(block), remaining: 0 })
            }
            StoredTelemetry::Event(event) => Ok(Self::from_event(event, coverages, now)),
        }
    }

    fn from_event(event: Event, coverages: &mut Coverages<'_>, now: Timestamp) -> Self {
        let Event { eid, received, body, .. } = event;
        let samples = if let Body::Telemetry(telemetry) = body { telemetry.samples } else { Samples::default() };
        let (times, mut columns) = samples.into_parts();
        let coverage = coverages.index_of(received, now);
        columns.retain(|column| coverage.is_some_and(|coverage| coverages.contains(coverage, &column.path)));
        let rows =
            Samples::new(times.clone(), columns).to_rows().into_iter().map(|sample| sample.signals).enumerate().collect();
        let events = vec![SourceEvent { eid, received, first_row: 0, samples: times.len() }];
        Self { events, times, content: Content::Rows(rows), remaining: 0 }
    }

    /// Decodes the values if that was not done yet.
    pub(super) fn decode(&mut self) -> Result<(), DecodeError> {
        if let Content::Encoded(StoredBlock { bytes, hashes }) = &self.content {
            self.content = Content::Columns(Box::new(SourceColumns::new(Block::decode_with_hashes(bytes, hashes)?)));
        }
        Ok(())
    }

    /// Drops the values of all rows but these. They are held by row, because there are few.
    pub(super) fn retain_rows(&mut self, rows: &BTreeMap<usize, CoverageIndex>, coverages: &mut Coverages<'_>) {
        match &mut self.content {
            Content::Encoded(_) if !rows.is_empty() => {}
            Content::Encoded(_) => self.content = Content::Rows(BTreeMap::new()),
            Content::Columns(columns) => {
                let signals = |(row, coverage): (&usize, &CoverageIndex)| {
                    columns.select(*coverage, coverages);
                    (*row, columns.signals(*coverage, *row))
                };
                self.content = Content::Rows(rows.iter().map(signals).collect());
            }
            Content::Rows(held) => held.retain(|row, _| rows.contains_key(row)),
        }
    }

    /// The bytes that the item takes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        let content = match &self.content {
            Content::Encoded(block) => block.memory_bytes(),
            Content::Columns(columns) => columns.memory_bytes(),
            Content::Rows(rows) => rows.values().map(|signals| ROW_BYTES + signals_bytes(signals)).sum(),
        };
        size_of::<Self>()
            + self.times.len() * size_of::<Timestamp>()
            + self.events.len() * size_of::<SourceEvent>()
            + content
    }
}

/// The entry of a row in a map, of which nodes may be half empty.
const ROW_BYTES: usize = 3 * (size_of::<usize>() + size_of::<Signals>());

impl SourceColumns {
    fn new(block: Block) -> Self {
        let indices = block.columns().iter().map(|column| ValueIndex::new(&column.presence)).collect();
        let position = POSITION.map(|path| block.columns().iter().position(|column| column.path.as_str() == path));
        Self { block, indices, position, visible: Vec::new() }
    }

    fn memory_bytes(&self) -> usize {
        let rows = self.block.times().len();
        let column = |column: &Column| size_of::<Column>() + if column.presence == Presence::All { 0 } else { rows };
        self.block.unpacked_bytes() + self.block.columns().iter().map(column).sum::<usize>() + rows * limits::VALUE_BYTES
    }

    /// Determines which columns a query returns of events with this coverage.
    pub(super) fn select(&mut self, coverage: CoverageIndex, coverages: &mut Coverages<'_>) {
        if self.visible.iter().any(|(known, _)| *known == coverage) {
            return;
        }
        let columns = self.block.columns();
        let mut visible: Vec<usize> =
            (0..columns.len()).filter(|column| coverages.contains(coverage, &columns[*column].path)).collect();
        visible.sort_by(|a, b| columns[*a].path.cmp(&columns[*b].path));
        self.visible.push((coverage, visible));
    }
}

/// The values of a signal in some rows of an item.
pub(super) enum SeriesPart<'c> {
    /// A range of the values of a column, at least one.
    Values { path: &'c SignalPath, values: &'c Values, range: Range<usize> },
    /// A coordinate of a position: the number of values, and the last one.
    Coordinate { path: &'c SignalPath, count: usize, last: Value },
}

impl SourceColumns {
    /// Returns the values of each signal that the query returns, in these rows. If it returns both coordinates, which
    /// `has_position` states, a row with only one of them has no position.
    pub(super) fn series(
        &self,
        coverage: CoverageIndex,
        has_position: bool,
        rows: Range<usize>,
    ) -> impl Iterator<Item = SeriesPart<'_>> {
        let part = move |column: usize| {
            let Column { path, values, .. } = self.block.columns().get(column)?;
            if !self.position.contains(&Some(column)) {
                let index = self.indices.get(column)?;
                let range = index.values_before(rows.start)..index.values_before(rows.end);
                return (!range.is_empty()).then_some(SeriesPart::Values { path, values, range });
            }
            let (count, last_row) = self.coordinate_rows(column, has_position, rows.clone())?;
            let last = values.get(self.indices.get(column)?.values_before(last_row))?;
            Some(SeriesPart::Coordinate { path, count, last })
        };
        self.visible_columns(coverage).iter().copied().filter_map(part)
    }

    fn visible_columns(&self, coverage: CoverageIndex) -> &[usize] {
        self.visible.iter().find(|(known, _)| *known == coverage).map_or(&[], |(_, visible)| visible)
    }

    /// Returns the number of rows that have this coordinate, or both if `has_position`, and the last of them; `None` if there
    /// are none.
    fn coordinate_rows(&self, column: usize, has_position: bool, rows: Range<usize>) -> Option<(usize, usize)> {
        let columns = self.block.columns();
        let needed: Vec<&Presence> = if has_position {
            let coordinates = self.position.iter().map(|column| Some(&columns[(*column)?].presence));
            coordinates.collect::<Option<_>>()?
        } else {
            vec![&columns.get(column)?.presence]
        };
        if needed.iter().all(|presence| **presence == Presence::All) {
            return (!rows.is_empty()).then_some((rows.len(), rows.end - 1));
        }
        let mut with_coordinate = rows.filter(|row| needed.iter().all(|presence| presence.has(*row)));
        let first = with_coordinate.next()?;
        Some(with_coordinate.fold((1, first), |(count, _), row| (count + 1, row)))
    }

    /// Returns the signals of a row that the query returns.
    pub(super) fn signals(&self, coverage: CoverageIndex, row: usize) -> Signals {
        let signal = |column: &usize| {
            let Column { path, presence, values } = self.block.columns().get(*column)?;
            let index = presence.has(row).then(|| self.indices.get(*column).map(|index| index.values_before(row)))??;
            Some((path.clone(), values.get(index)?))
        };
        self.visible_columns(coverage).iter().filter_map(signal).collect()
    }
}
