//! Grouping samples into events and events into uploads.

use std::collections::BTreeMap;

use crate::event::{Body, EventId, TraceEvent};
use crate::instant;
use crate::row::{RecordedSample, Row, RowRefusal, VehicleKey};

/// Maximum number of samples per event.
const MAX_EVENT_SAMPLES: usize = 500;
/// Maximum difference between valid times of one event.
const MAX_EVENT_SPAN_MS: i64 = 5 * 60 * 1000;
/// Size at which an upload is closed although it could contain more samples, well below the limit of 768 KiB for a body.
const UPLOAD_BYTES: usize = 512 * 1024;
/// Approximate size of an event without its samples.
const ENVELOPE_BYTES: usize = 512;
/// Maximum number of samples of a vehicle that wait for its first valid time.
const MAX_WAITING_SAMPLES: usize = 10_000;

/// The contents of one request of a vehicle: one event, or several as a `CloudEvents` batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// The vehicle.
    pub vehicle: VehicleKey,
    /// Its events, in the order of their rows.
    pub events: Vec<TraceEvent>,
    /// The number of samples in all events.
    pub samples: usize,
}

/// Groups the samples of one recording into events, and the events into uploads of one vehicle each.
///
/// The samples of a vehicle keep their order. An event has at most 500 samples, whose valid times are within 5 minutes; its
/// `time` is the earliest. A sample whose time is not a date is added to the open event of its vehicle, or otherwise to the
/// next one. An event that has only such samples gets the last valid time of its vehicle. At the start of a recording, such
/// samples wait for the first valid time; if there is none until the end, they are refused
/// ([`take_refused`](Self::take_refused)).
///
/// The result depends only on the samples, not on the time when they are pushed. Memory is bounded by the open upload of
/// each vehicle and by 10,000 waiting samples per vehicle; further ones are refused.
pub struct Batcher {
    samples_per_upload: usize,
    source: String,
    open: BTreeMap<VehicleKey, OpenUpload>,
    refused: Vec<Row>,
}

impl Batcher {
    /// The default number of samples per upload.
    pub const DEFAULT_SAMPLES_PER_UPLOAD: usize = 10;

    /// Creates a batcher whose events have this `source`. An upload has at least one sample.
    pub fn new(samples_per_upload: usize, source: impl Into<String>) -> Self {
        Self {
            samples_per_upload: samples_per_upload.max(1),
            source: source.into(),
            open: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    /// Adds a sample and returns the uploads that it completes: usually none, several if samples were waiting.
    #[must_use = "the uploads contain samples"]
    pub fn push(&mut self, sample: RecordedSample) -> Vec<Upload> {
        let vehicle = sample.vehicle.clone();
        let open = self.open.entry(vehicle).or_insert_with_key(|vehicle| OpenUpload::new(vehicle.clone(), &self.source));
        if open.last_valid_ms.is_none() {
            let Some(at_ms) = sample.at_ms else {
                if open.waiting.len() < MAX_WAITING_SAMPLES {
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

    /// Ends the recording: returns the open uploads and removes all vehicles. Another recording may follow.
    #[must_use = "the uploads contain samples"]
    pub fn finish(&mut self) -> Vec<Upload> {
        let mut uploads = Vec::new();
        for (_, mut open) in std::mem::take(&mut self.open) {
            self.refused.extend(open.waiting.iter().map(no_valid_time));
            uploads.extend(open.close());
        }
        uploads
    }

    /// Returns the samples refused since the last call, as [`Row::Refused`]: their events would have no time.
    #[must_use = "refused rows must be counted"]
    pub fn take_refused(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.refused)
    }
}

fn no_valid_time(sample: &RecordedSample) -> Row {
    Row::Refused { line: sample.line, reason: RowRefusal::NoValidTime }
}

/// The incomplete upload of a vehicle.
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
    /// The earliest and the latest valid time, if any time is valid so far.
    span_ms: Option<(i64, i64)>,
}

impl OpenEvent {
    fn accepts(&self, sample: &RecordedSample) -> bool {
        let is_within_span = match (self.span_ms, sample.at_ms) {
            (Some((earliest, latest)), Some(at)) => latest.max(at).saturating_sub(earliest.min(at)) <= MAX_EVENT_SPAN_MS,
            (None, _) | (_, None) => true,
        };
        is_within_span && self.samples.len() < MAX_EVENT_SAMPLES
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
        if !self.event.as_ref().is_some_and(|event| event.accepts(&sample)) {
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
        // A valid time can always be formatted; samples without a valid time are refused earlier.
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
