//! Reads a vehicle's samples in the order of time.

use std::collections::BTreeMap;

use roadcast_domain::Timestamp;
use roadcast_domain::event::{Body, Event};
use roadcast_domain::ids::Eid;
use roadcast_domain::limits;
use roadcast_ports::clock::Clock;
use roadcast_ports::event_log::{EventLog, EventRange};
use roadcast_ports::port_set::PortSet;
use roadcast_signals::Signals;

use super::{HistoryRange, SamplePosition, SampleRow};
use crate::ServiceError;
use crate::authz::Reader;
use crate::query::vehicle_events::{VehicleQueries, Visibility};

/// Events per read of the log.
const EVENTS_PER_READ: usize = 1000;

/// Reads a vehicle's samples in the order of time, redacted to what the caller may see.
pub(super) struct SampleReader<'q, Ports: PortSet> {
    log: &'q Ports::EventLog,
    clock: &'q Ports::Clock,
    range: &'q HistoryRange,
    visibility: Visibility,
    start: SamplePosition,
    next: Option<Eid>,
    /// Samples that samples of later events may precede.
    buffered: BTreeMap<SamplePosition, Signals>,
    frontier: Option<Timestamp>,
}

impl<'q, Ports: PortSet> SampleReader<'q, Ports> {
    /// Opens the range at `start`. Fails with `NotFound` if the caller may not see the vehicle.
    pub(super) async fn open(
        queries: &'q VehicleQueries<Ports>,
        reader: &Reader,
        range: &'q HistoryRange,
        start: SamplePosition,
    ) -> Result<Self, ServiceError> {
        let visibility = queries.visibility(reader, &range.vid).await?;
        let first = Eid::lower_bound(start.at.plus_ms(-limits::EVENT_SPAN_MS));
        let VehicleQueries { log, clock, .. } = queries;
        let (buffered, frontier) = (BTreeMap::new(), Some(start.at));
        Ok(Self { log, clock, range, visibility, start, next: Some(first), buffered, frontier })
    }

    /// The time up to which every sample was returned; `None` after the last sample.
    pub(super) const fn frontier(&self) -> Option<Timestamp> {
        self.frontier
    }

    /// Reads one page of the log and returns the samples that no later event can precede.
    pub(super) async fn read(&mut self) -> Result<Vec<SampleRow>, ServiceError> {
        let last = Eid::from_time_and_salt(self.range.to.plus_ms(-1), u128::MAX);
        if let Some(from) = self.next.filter(|from| *from <= last) {
            let vid = self.range.vid.clone();
            let events = EventRange { vid, from, to: last, limit: EVENTS_PER_READ, consistent: true };
            let page = self.log.range(&events).await?;
            let now = self.clock.now();
            for stored in page.events {
                let visible = self.visibility.redact(stored.event, now);
                if let Some(event) = visible.and_then(|event| self.range.selection.apply(event)) {
                    self.buffer(event);
                }
            }
            self.next = page.next;
        } else {
            self.next = None;
        }
        self.frontier = self.next.map(|next| next.time().max(self.start.at)).filter(|frontier| *frontier < self.range.to);
        let split_at = self.frontier.map(SamplePosition::first_at);
        let remaining = split_at.map(|position| self.buffered.split_off(&position)).unwrap_or_default();
        let complete = std::mem::replace(&mut self.buffered, remaining);
        Ok(complete.into_iter().map(|(position, signals)| SampleRow { position, signals }).collect())
    }

    /// Buffers the event's samples that are in the range.
    fn buffer(&mut self, event: Event) {
        let Body::Telemetry(telemetry) = event.body else { return };
        for (index, sample) in telemetry.samples.into_iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let position = SamplePosition { at: sample.at, eid: event.eid, index };
            if position >= self.start && position.at < self.range.to {
                self.buffered.insert(position, sample.signals);
            }
        }
    }
}
