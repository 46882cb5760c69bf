//! The uploads of the vehicles that drive in a load level. They are simulated and encoded once for all ingest paths, because that
//! takes as long as processing them.

use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::event::Telemetry;
use roadcast_traces::simulate::{SimConfig, Simulator};
use roadcast_traces::{RecordedSample, TraceEvent, Upload, VehicleKey};
use serde_json::Value;

use crate::workload::{Payload, SAMPLES_PER_UPLOAD};

/// Approximate number of samples per level.
const SAMPLES_PER_LEVEL: i64 = 120_000;
/// Number of samples whose JSON is measured: enough for a mean.
const MEASURED_SAMPLES: usize = 20_000;

/// The vehicles and the duration of a load level.
pub(crate) struct Load {
    config: SimConfig,
    /// The vehicles that drive.
    pub(crate) vehicles: Vec<VehicleKey>,
    /// The duration after the warm-up, in seconds.
    pub(crate) seconds: i64,
}

/// An upload, as a device sends it.
pub(crate) struct DeviceUpload {
    /// The vehicle.
    pub(crate) vehicle: VehicleKey,
    /// The events in JSON, without a subject, with telemetry as blocks. Empty if no run has this format.
    compact: Vec<String>,
    /// The events in JSON, without a subject. Empty if no run has this format.
    json: Vec<String>,
    /// The number of samples.
    pub(crate) samples: usize,
    /// The bytes of the samples in JSON, if they are measured.
    pub(crate) json_bytes: Option<usize>,
}

/// The uploads of a level, second by second.
pub(crate) struct Traffic<'l> {
    load: &'l Load,
    simulator: Simulator,
    needs_compact: bool,
    needs_json: bool,
    /// The seconds before the samples are measured.
    warm_up_s: i64,
    measured: usize,
}

impl DeviceUpload {
    /// Returns the events in this format.
    pub(crate) fn events(&self, payload: Payload) -> &[String] {
        match payload {
            Payload::Compact => &self.compact,
            Payload::Json => &self.json,
        }
    }
}

impl Load {
    /// Returns the load of `driving` vehicles.
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)] // a count of vehicles
    pub(crate) fn of(driving: f64) -> Self {
        let vehicles = driving as usize;
        let config = SimConfig { vehicles, samples_per_upload: SAMPLES_PER_UPLOAD, ..SimConfig::default() };
        let vehicles = Simulator::new(&config).vehicles().map(|(key, _)| key.clone()).collect();
        // A multiple of 300 s, since the vehicles' states are written at these boundaries.
        let seconds = (SAMPLES_PER_LEVEL / config.vehicles as i64).clamp(300, 1200) / 300 * 300;
        Self { config, vehicles, seconds }
    }

    /// The seconds of a run, from 1 on; the first `warm_up_s` are not counted.
    pub(crate) fn run_seconds(&self, warm_up_s: i64) -> std::ops::RangeInclusive<i64> {
        1..=warm_up_s + self.seconds
    }

    /// The time at a second of the run, in milliseconds since 1970.
    pub(crate) const fn time_ms(&self, second: i64) -> i64 {
        self.config.start_ms + second * 1000
    }
}

impl<'l> Traffic<'l> {
    /// Starts the traffic of a level, in the formats of its runs.
    pub(crate) fn new(load: &'l Load, payloads: &[Payload], warm_up_s: i64) -> Self {
        Self {
            load,
            simulator: Simulator::new(&load.config),
            needs_compact: payloads.contains(&Payload::Compact),
            needs_json: payloads.contains(&Payload::Json),
            warm_up_s,
            measured: 0,
        }
    }

    /// Returns the uploads of the next second of the run.
    pub(crate) fn next_uploads(&mut self, second: i64) -> Vec<DeviceUpload> {
        let uploads = self.simulator.next_uploads(self.load.time_ms(second));
        uploads.into_iter().map(|upload| self.encode(upload, second > self.warm_up_s)).collect()
    }

    fn encode(&mut self, upload: Upload, is_counted: bool) -> DeviceUpload {
        let Upload { vehicle, events, samples } = upload;
        let json_bytes = (is_counted && self.measured < MEASURED_SAMPLES).then(|| {
            self.measured += samples;
            events.iter().flat_map(TraceEvent::samples).map(|sample| sample.to_json().to_string().len()).sum()
        });
        let compact = if self.needs_compact { events.iter().map(compact_event).collect() } else { Vec::new() };
        let json = if self.needs_json { events.iter().map(json_event).collect() } else { Vec::new() };
        DeviceUpload { vehicle, compact, json, samples, json_bytes }
    }
}

/// Returns an event as a device sends it in JSON.
fn json_event(event: &TraceEvent) -> String {
    event.to_cloud_event(None).to_string()
}

/// Returns an event as a device sends it with telemetry as a block.
fn compact_event(event: &TraceEvent) -> String {
    let Some(block) = block(event.samples()) else { return json_event(event) };
    let mut members = event.to_envelope(None);
    members.insert("datacontenttype".to_owned(), BLOCK_CONTENT_TYPE.into());
    members.insert("data_base64".to_owned(), block.into());
    Value::Object(members).to_string()
}

/// Returns samples as a block in base64, or `None` if there are none.
fn block(samples: &[RecordedSample]) -> Option<String> {
    let samples: Vec<_> = samples.iter().map(RecordedSample::as_telemetry).collect();
    let text = serde_json::to_string(&Written { samples }).ok()?;
    // As text: it is read into columns without a value for each member in between.
    let Telemetry { samples } = serde_json::from_str(&text).ok()?;
    if samples.is_empty() { None } else { stream_record::columns_base64(samples).ok() }
}

/// [`Telemetry`] that is only written.
#[derive(serde::Serialize)]
struct Written<T> {
    samples: Vec<T>,
}
