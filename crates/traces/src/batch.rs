//! Grouping samples into events and events into uploads.

use std::collections::BTreeMap;

use crate::event::{Body, EventId, TraceEvent};
use crate::instant;
use crate::row::{Inexpressible, RecordedSample, Row, VehicleKey};

/// The most samples that one event may hold.
const EVENT_SAMPLES: usize = 500;
/// The most that valid times of one event may lie apart.
const EVENT_SPAN_MS: i64 = 5 * 60 * 1000;
/// Where an upload is closed although it could take more samples, well under the 768 KiB that a body may have.
const UPLOAD_BYTES: usize = 512 * 1024;
/// About what an event takes besides its samples.
const ENVELOPE_BYTES: usize = 512;
/// How many samples of a vehicle may wait for its first valid time.
const WAITING_SAMPLES: usize = 10_000;

/// What a vehicle sends at once: one event, or several as a `CloudEvents` batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// The vehicle.
    pub vehicle: VehicleKey,
    /// Its events, in the order of their rows.
    pub events: Vec<TraceEvent>,
    /// How many samples the events hold together.
    pub samples: usize,
}

/// Groups the samples of one recording into events, and those into uploads of one vehicle each.
///
/// The samples of a vehicle keep their order. An event holds at most 500 of them, whose valid times lie within 5 minutes
/// of one another; its `time` is the earliest. A sample whose time is no date joins the event that is open for its
/// vehicle, or else the next one. An event with such samples only takes the last valid time of its vehicle; at the start
/// of a recording they wait for the first one, and where none ever comes they are refused
/// ([`take_refused`](Self::take_refused)).
///
/// What comes out depends on the samples alone and not on when they are pushed. Memory is bounded by the open upload of
/// each vehicle and by 10,000 samples of each that wait for a first valid time; those beyond are refused.
pub struct Batcher {
    samples_per_upload: usize,
    source: String,
    open: BTreeMap<VehicleKey, OpenUpload>,
    refused: Vec<Row>,
}

impl Batcher {
    /// How many samples an upload holds where nothing else is asked for.
    pub const DEFAULT_SAMPLES_PER_UPLOAD: usize = 10;

    /// A batcher whose events come from `source`. At least one sample goes into an upload.
    pub fn new(samples_per_upload: usize, source: impl Into<String>) -> Self {
        Self {
            samples_per_upload: samples_per_upload.max(1),
            source: source.into(),
            open: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    /// Takes a sample, and returns the uploads that it completes: none as a rule, more than one where samples had to wait.
    #[must_use = "the uploads hold samples"]
    pub fn push(&mut self, sample: RecordedSample) -> Vec<Upload> {
        let vehicle = sample.vehicle.clone();
        let open = self.open.entry(vehicle).or_insert_with_key(|vehicle| OpenUpload::new(vehicle.clone(), &self.source));
        if open.last_valid_ms.is_none() {
            let Some(at_ms) = sample.at_ms else {
                if open.waiting.len() < WAITING_SAMPLES {
                    open.waiting.push(sample);
                } else {
                    self.refused.push(no_valid_time(&sample));
                }
                return Vec::new();
            };
            open.last_valid_ms = Some(at_ms);
        }
        let waiting = std::mem::take(&mut open.waiting);
        let mut uploads = Vec::new();
        for sample in waiting.into_iter().chain([sample]) {
            uploads.extend(open.add(sample, self.samples_per_upload));
        }
        uploads
    }

    /// Ends the recording: returns the uploads that are still open and forgets every vehicle. Another recording may follow.
    #[must_use = "the uploads hold samples"]
    pub fn finish(&mut self) -> Vec<Upload> {
        let mut uploads = Vec::new();
        for (_, mut open) in std::mem::take(&mut self.open) {
            self.refused.extend(open.waiting.iter().map(no_valid_time));
            uploads.extend(open.close());
        }
        uploads
    }

    /// The samples refused since the last call, each a [`Row::Refused`]: no event could have had a time.
    #[must_use = "refused rows are to be counted"]
    pub fn take_refused(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.refused)
    }
}

fn no_valid_time(sample: &RecordedSample) -> Row {
    Row::Refused { line: sample.line, reason: Inexpressible::NoValidTime }
}

/// The upload that a vehicle is filling.
struct OpenUpload {
    vehicle: VehicleKey,
    source: String,
    events: Vec<TraceEvent>,
    samples: usize,
    bytes: usize,
    event: Option<OpenEvent>,
    last_valid_ms: Option<i64>,
    waiting: Vec<RecordedSample>,
}

struct OpenEvent {
    id: EventId,
    samples: Vec<RecordedSample>,
    /// Earliest and latest valid time, if any is valid yet.
    span_ms: Option<(i64, i64)>,
}

impl OpenEvent {
    fn takes(&self, sample: &RecordedSample) -> bool {
        let near = match (self.span_ms, sample.at_ms) {
            (Some((earliest, latest)), Some(at)) => latest.max(at).saturating_sub(earliest.min(at)) <= EVENT_SPAN_MS,
            (None, _) | (_, None) => true,
        };
        near && self.samples.len() < EVENT_SAMPLES
    }
}

impl OpenUpload {
    fn new(vehicle: VehicleKey, source: &str) -> Self {
        Self {
            vehicle,
            source: source.to_owned(),
            events: Vec::new(),
            samples: 0,
            bytes: 0,
            event: None,
            last_valid_ms: None,
            waiting: Vec::new(),
        }
    }

    fn add(&mut self, sample: RecordedSample, samples_per_upload: usize) -> Option<Upload> {
        if !self.event.as_ref().is_some_and(|event| event.takes(&sample)) {
            self.close_event();
        }
        let event = self.event.get_or_insert_with(|| {
            self.bytes += ENVELOPE_BYTES;
            OpenEvent { id: EventId::new(&self.vehicle), samples: Vec::new(), span_ms: None }
        });
        self.bytes += event.id.add_sample(&sample);
        if let Some(at) = sample.at_ms {
            let (earliest, latest) = event.span_ms.unwrap_or((at, at));
            event.span_ms = Some((earliest.min(at), latest.max(at)));
            self.last_valid_ms = Some(at);
        }
        event.samples.push(sample);
        self.samples += 1;
        (self.samples >= samples_per_upload || self.bytes >= UPLOAD_BYTES).then(|| self.close()).flatten()
    }

    fn close_event(&mut self) {
        let Some(event) = self.event.take() else {
            return;
        };
        let time_ms = event.span_ms.map(|(earliest, _)| earliest).or(self.last_valid_ms);
        // A valid time can always be written; samples without any never get this far.
        let time = time_ms.and_then(instant::format_ms).unwrap_or_default();
        self.events.push(TraceEvent {
            id: event.id.finish(&time),
            source: self.source.clone(),
            time,
            body: Body::Telemetry(event.samples),
        });
    }

    fn close(&mut self) -> Option<Upload> {
        self.close_event();
        self.bytes = 0;
        let samples = std::mem::take(&mut self.samples);
        (samples > 0).then(|| Upload { vehicle: self.vehicle.clone(), events: std::mem::take(&mut self.events), samples })
    }
}

#[cfg(test)]
mod tests;
