//! Reads a vehicle's telemetry in the order of time, in columns.

use std::collections::BTreeMap;

use roadcast_domain::event::EventType;
use roadcast_domain::ids::Eid;
use roadcast_domain::limits;
use roadcast_ports::clock::Clock;
use roadcast_ports::event_log::{EventLog, EventRange, PAGE_BYTES, StoredTelemetry};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use super::coverages::Coverages;
use super::ordered_rows::{OrderedRows, Row, Run};
use super::source::{Source, SourceEvent};
use super::{HistoryRange, SamplePosition};
use crate::ServiceError;
use crate::query::VehicleQueries;
use crate::query::visibility::Visibility;

/// Items per read of the log: what a table returns in one or two requests.
const ITEMS_PER_READ: usize = 200;
/// Maximum bytes of the items of a read.
const BYTES_PER_READ: usize = PAGE_BYTES / 4;
/// Maximum number of samples of a read. A few bytes can represent many samples.
const ROWS_PER_READ: usize = 32 * 1024;

/// Reads a vehicle's telemetry in the order of time, redacted to what the caller may see.
pub(super) struct TelemetryReader<'q, Ports: PortSet> {
    log: &'q Ports::EventLog,
    clock: &'q Ports::Clock,
    range: &'q HistoryRange,
    coverages: Coverages<'q>,
    /// Earlier samples were returned, or are before the range.
    start: SamplePosition,
    /// The first event to be read; `None` if all are.
    next: Option<Eid>,
    rows: OrderedRows,
    frontier: Option<SamplePosition>,
}

impl<'q, Ports: PortSet> TelemetryReader<'q, Ports> {
    /// Opens the range at `start`.
    pub(super) fn open(
        queries: &'q VehicleQueries<Ports>,
        visibility: &'q Visibility,
        range: &'q HistoryRange,
        start: SamplePosition,
    ) -> Self {
        let VehicleQueries { log, clock, .. } = queries;
        let coverages = Coverages::new(visibility, &range.selection);
        let (next, rows) = (Some(first_event(start)), OrderedRows::new(PAGE_BYTES));
        Self { log, clock, range, coverages, start, next, rows, frontier: Some(start) }
    }

    /// The position up to which every sample was returned; `None` after the last sample. Only meaningful when
    /// [`next_run`](Self::next_run) has returned all runs of a read.
    pub(super) fn frontier(&self) -> Option<SamplePosition> {
        // The first removed sample precedes every sample of an event that is not read yet: it is read again.
        match self.rows.removed() {
            Some(removed) if self.frontier.is_none_or(|frontier| removed <= frontier) => Some(removed),
            _ => self.frontier,
        }
    }

    /// Reads one page of the log. Then [`next_run`](Self::next_run) returns the samples that no later event can precede.
    pub(super) async fn read(&mut self) -> Result<(), ServiceError> {
        if let Some(removed) = self.rows.removed().filter(|removed| Some(*removed) == self.frontier()) {
            self.start = removed;
            self.next = Some(first_event(removed));
            self.rows = OrderedRows::new(PAGE_BYTES);
        }
        let last = Eid::from_time_and_salt(self.range.to.plus_ms(-1), u128::MAX);
        if let Some(from) = self.next.filter(|from| *from <= last) {
            let (vid, limit, max_bytes) = (self.range.vid.clone(), ITEMS_PER_READ, BYTES_PER_READ);
            let page = EventRange { vid, from, to: last, limit, max_bytes, consistent: true };
            let page = self.log.telemetry(&page).await?;
            self.next = self.add_items(page.items, from, page.next)?;
        } else {
            self.next = None;
        }
        let read_up_to = self.next.map(|next| SamplePosition::first_at(next.time()).max(self.start));
        self.frontier = read_up_to.filter(|position| position.at < self.range.to);
        self.rows.complete_before(self.frontier, &mut self.coverages);
        Ok(())
    }

    /// Returns the next rows of the last read.
    pub(super) fn next_run(&mut self) -> Result<Option<Run<'_>>, ServiceError> {
        self.rows.next_run(&mut self.coverages).map_err(decode_error)
    }

    /// Adds the telemetry of the events from `from` to `end`, exclusive. Returns the first event that was not added; `None` if
    /// none remains.
    fn add_items(
        &mut self,
        items: Vec<StoredTelemetry>,
        from: Eid,
        mut end: Option<Eid>,
    ) -> Result<Option<Eid>, ServiceError> {
        let now = self.clock.now();
        let (mut sources, mut rows): (Vec<Source>, _) = (Vec::new(), 0);
        for item in items {
            let source = Source::open(item, &mut self.coverages, now).map_err(decode_error)?;
            // The items are in the order of their first events.
            let first = source.events.first().map(|event| event.eid).filter(|first| *first > from);
            if first.is_some() && rows >= ROWS_PER_READ {
                end = first;
                break;
            }
            rows += source.times.len();
            sources.push(source);
        }
        let mut chosen: Vec<Vec<Row>> = sources.iter().map(|_| Vec::new()).collect();
        for (source, event) in self.events_once(&sources, from, end) {
            let Some(coverage) = self.coverages.index_of(event.received, now) else { continue };
            let times = sources[source].times.iter().skip(event.first_row).take(event.samples);
            for (index, at) in (0_u32..).zip(times) {
                let position = SamplePosition { at: *at, eid: event.eid, index };
                if position >= self.start && position.at < self.range.to {
                    chosen[source].push(Row::new(position, event.first_row + index as usize, coverage));
                }
            }
        }
        for (source, rows) in sources.into_iter().zip(chosen) {
            self.rows.add(source, rows);
        }
        Ok(end)
    }

    /// Returns the events from `from` to `end`, exclusive, each with the index of its item. Of the same event stored several
    /// times, it is the one received first.
    fn events_once<'s>(
        &self,
        sources: &'s [Source],
        from: Eid,
        end: Option<Eid>,
    ) -> impl Iterator<Item = (usize, &'s SourceEvent)> + use<'s, Ports> {
        let types = self.range.selection.types.as_ref();
        let is_selected = types.is_none_or(|types| types.contains(&EventType::Telemetry));
        let mut events: BTreeMap<Eid, (usize, &SourceEvent)> = BTreeMap::new();
        for (index, source) in sources.iter().enumerate().filter(|_| is_selected) {
            for event in source.events.iter().filter(|event| event.eid >= from && end.is_none_or(|end| event.eid < end)) {
                let chosen = events.entry(event.eid).or_insert((index, event));
                if event.received < chosen.1.received {
                    *chosen = (index, event);
                }
            }
        }
        events.into_values()
    }
}

/// Returns the first event that may contain a sample at `position` or after it.
fn first_event(position: SamplePosition) -> Eid {
    Eid::lower_bound(position.at.plus_ms(-limits::EVENT_SPAN_MS))
}

fn decode_error(error: roadcast_blocks::DecodeError) -> ServiceError {
    PortError::new(PortErrorKind::Internal, "decode a segment").caused_by(error).into()
}
