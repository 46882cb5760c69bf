//! A vehicle's history: its samples in the order of time, or statistics per window.
//!
//! The log is in the order of events, samples are in the order of their times, and the samples of an event are up to five
//! minutes later than its first one. Therefore the reader starts that much earlier, and returns a sample only when no later
//! event can precede it.
//!
//! Items of the log are decoded one after the other, when a page needs their values, and remain in columns: windows are
//! computed from ranges of columns, and only samples that are returned become rows.

mod coverages;
mod ordered_rows;
mod source;
mod telemetry_reader;
mod windows;

use roadcast_domain::Timestamp;
use roadcast_domain::event::memory::signals_bytes;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_event_log::segment::bucket_start;
use roadcast_ports::port_set::PortSet;
use roadcast_signals::Signals;
use serde::{Deserialize, Serialize};

use super::vehicle_queries::VehicleQueries;
use super::visibility::Visibility;
use crate::ServiceError;
use crate::authz::Reader;
use crate::response_budget::{ResponseBudget, sample_bytes};
use telemetry_reader::TelemetryReader;

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

    /// The next position in the same event.
    const fn next(self) -> Self {
        Self { index: self.index.saturating_add(1), ..self }
    }
}

impl<Ports: PortSet> VehicleQueries<Ports> {
    /// Returns a page of a vehicle's samples from `start` on; from the start of the range if `None`. Fails with
    /// `ResponseTooLarge` if the first sample alone exceeds a response.
    pub async fn samples(
        &self,
        reader: &Reader,
        range: &HistoryRange,
        start: Option<SamplePosition>,
    ) -> Result<HistoryPage<SampleRow, SamplePosition>, ServiceError> {
        let start = start.unwrap_or(SamplePosition::first_at(range.from));
        self.with_visibility(reader, &range.vid, |visibility| self.visible_samples(visibility, range, start)).await
    }

    async fn visible_samples(
        &self,
        visibility: Visibility,
        range: &HistoryRange,
        start: SamplePosition,
    ) -> Result<HistoryPage<SampleRow, SamplePosition>, ServiceError> {
        let mut reader = TelemetryReader::open(self, &visibility, range, start);
        let mut rows: Vec<SampleRow> = Vec::new();
        let mut budget = ResponseBudget::new();
        let mut reads = 0;
        while let Some(frontier) = reader.frontier() {
            // At least past the start, otherwise pagination could not make progress.
            if reads >= READS_PER_PAGE && frontier > start {
                let next = next_start(start, rows.last(), frontier);
                return Ok(HistoryPage { rows, next: Some(next) });
            }
            reader.read().await?;
            while let Some(run) = reader.next_run()? {
                for row in run.rows {
                    let (position, signals) = (row.position, run.signals(row));
                    if signals.is_empty() {
                        continue;
                    }
                    let held = size_of::<SampleRow>() + signals_bytes(&signals);
                    if rows.len() >= range.limit || !budget.reserve(sample_bytes(&signals), held)? {
                        return Ok(HistoryPage { rows, next: Some(position) });
                    }
                    rows.push(SampleRow { position, signals });
                }
            }
            reads += 1;
        }
        Ok(HistoryPage { rows, next: None })
    }
}

/// Returns where the page after one with `last` starts, if everything before `frontier` was read. The position does not
/// reveal the time of an event that the caller may not see: it is after the last visible sample, or the start of a bucket. It
/// is `frontier` itself if the page would otherwise start where this one started.
fn next_start(start: SamplePosition, last: Option<&SampleRow>, frontier: SamplePosition) -> SamplePosition {
    let bucket = SamplePosition::first_at(bucket_start(frontier.at));
    let visible = last.map_or(bucket, |row| row.position.next().max(bucket));
    if visible > start { visible } else { frontier }
}
