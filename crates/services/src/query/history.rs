//! A vehicle's history: its samples in the order of time, or statistics per window.
//!
//! The log is in the order of events, samples are in the order of their times, and the samples of an event are up to five
//! minutes later than its first one. Therefore the reader starts that much earlier, and returns a sample only when no later
//! event can precede it.

mod sample_reader;
mod windows;

use roadcast_domain::Timestamp;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_ports::port_set::PortSet;
use roadcast_signals::Signals;
use serde::{Deserialize, Serialize};

use super::vehicle_events::VehicleQueries;
use crate::ServiceError;
use crate::authz::Reader;
use crate::response_budget::{ResponseBudget, signals_bytes};
use sample_reader::SampleReader;

pub use windows::{Resolution, Series, Statistics, Window};

/// The maximum number of reads of the log for one page. If few of many samples match, a page is short and the next one
/// continues.
const READS_PER_PAGE: usize = 20;

/// A range of a vehicle's samples.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRange {
    /// The vehicle.
    pub vid: VehicleId,
    /// The earliest sample time, inclusive.
    pub from: Timestamp,
    /// The latest sample time, exclusive.
    pub to: Timestamp,
    /// The signals to return.
    pub selection: Selection,
    /// The maximum number of samples or windows.
    pub limit: usize,
}

/// A page of a history.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryPage<Row, Position> {
    /// The samples or windows in the order of time.
    pub rows: Vec<Row>,
    /// Where the next page starts; `None` for the last page.
    pub next: Option<Position>,
}

/// A sample of a vehicle's history.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRow {
    /// The position in the history.
    pub position: SamplePosition,
    /// The signals.
    pub signals: Signals,
}

/// The position of a sample in a history: ordered by time, then by event, then by the index in the event.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SamplePosition {
    /// The observation time.
    pub at: Timestamp,
    /// The event.
    pub eid: Eid,
    /// The index in the event.
    pub index: u32,
}

impl SamplePosition {
    /// The first position at or after `at`.
    pub const fn first_at(at: Timestamp) -> Self {
        Self { at, eid: Eid::MIN, index: 0 }
    }
}

impl<Ports: PortSet> VehicleQueries<Ports> {
    /// Returns a page of a vehicle's samples from `start` on; from the start of the range if `None`.
    pub async fn samples(
        &self,
        reader: &Reader,
        range: &HistoryRange,
        start: Option<SamplePosition>,
    ) -> Result<HistoryPage<SampleRow, SamplePosition>, ServiceError> {
        let start = start.unwrap_or(SamplePosition::first_at(range.from));
        let mut reader = SampleReader::open(self, reader, range, start).await?;
        let mut rows: Vec<SampleRow> = Vec::new();
        let (mut reads, mut fitting, mut budget) = (0, 0, ResponseBudget::new());
        while reader.frontier().is_some() && rows.len() <= range.limit && fitting == rows.len() {
            rows.extend(reader.read().await?);
            let fits = |row: &&SampleRow| budget.try_reserve(row_bytes(signals_bytes(&row.signals)));
            fitting += rows[fitting..].iter().take_while(fits).count();
            reads += 1;
            // At least past the start, otherwise pagination could not make progress.
            if reads >= READS_PER_PAGE && reader.frontier().is_some_and(|frontier| frontier > start.at) {
                break;
            }
        }
        let limit = range.limit.min(fitting);
        let next = rows.get(limit).map(|row| row.position);
        rows.truncate(limit);
        Ok(HistoryPage { rows, next: next.or(reader.frontier().map(SamplePosition::first_at)) })
    }
}

/// The estimated JSON size of a row with signals of that size.
const fn row_bytes(signals: usize) -> usize {
    64 + signals
}
