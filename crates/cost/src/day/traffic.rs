//! The uploads of the vehicles that drive in a load level. They are simulated and encoded once for all ingest paths, because that
//! takes longer than processing them.

use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::event::Telemetry;
use roadcast_traces::simulate::{SimConfig, Simulator};
use roadcast_traces::{TraceEvent, Upload, VehicleKey};
use serde::Deserialize as _;
use serde_json::Value;

use crate::workload::{Payload, SAMPLES_PER_UPLOAD};

/// Approximate number of samples per level.
const SAMPLES_PER_LEVEL: i64 = 120_000;
/// Number of samples whose JSON is measured: enough for a mean.
const MEASURED_SAMPLES: usize = 20_000;

/// The vehicles and the duration of a load level.
pub(super) struct Load {
    config: SimConfig,
    /// The vehicles that drive.
    pub(super) vehicles: Vec<VehicleKey>,
    /// The duration after the warm-up, in seconds.
    pub(super) seconds: i64,
}

/// An upload, as a device sends it.
pub(super) struct DeviceUpload {
    /// The vehicle.
    pub(super) vehicle: VehicleKey,
    /// The events in JSON, without a subject.
    pub(super) events: Vec<String>,
    /// The number of samples.
    pub(super) samples: usize,
    /// The bytes of the samples in JSON, if they are measured.
    pub(super) json_bytes: Option<usize>,
}

/// The uploads of a level, second by second.
pub(super) struct Traffic<'l> {
    load: &'l Load,
    simulator: Simulator,
    payload: Payload,
    /// The seconds before the samples are measured.
    warm_up_s: i64,
    measured: usize,
}

impl Load {
    /// Returns the load of `driving` vehicles.
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)] // a count of vehicles
    pub(super) fn of(driving: f64) -> Self {
        let vehicles = driving as usize;
        let config = SimConfig { vehicles, samples_per_upload: SAMPLES_PER_UPLOAD, ..SimConfig::default() };
        let vehicles = Simulator::new(&config).vehicles().map(|(key, _)| key.clone()).collect();
        // A multiple of 300 s, since the vehicles' states are written at these boundaries.
        let seconds = (SAMPLES_PER_LEVEL / config.vehicles as i64).clamp(300, 1200) / 300 * 300;
        Self { config, vehicles, seconds }
    }

    /// The seconds of a run, from 1 on; the first `warm_up_s` are not counted.
    pub(super) fn run_seconds(&self, warm_up_s: i64) -> std::ops::RangeInclusive<i64> {
        1..=warm_up_s + self.seconds
    }

    /// The time at a second of the run, in milliseconds since 1970.
    pub(super) const fn time_ms(&self, second: i64) -> i64 {
        self.config.start_ms + second * 1000
    }
}

impl<'l> Traffic<'l> {
    /// Starts the traffic of a level.
    pub(super) fn new(load: &'l Load, payload: Payload, warm_up_s: i64) -> Self {
        Self { load, simulator: Simulator::new(&load.config), payload, warm_up_s, measured: 0 }
    }

    /// Returns the uploads of the next second of the run.
    pub(super) fn next_uploads(&mut self, second: i64) -> Vec<DeviceUpload> {
        let uploads = self.simulator.next_uploads(self.load.time_ms(second));
        uploads.into_iter().map(|upload| self.encode(upload, second > self.warm_up_s)).collect()
    }

    fn encode(&mut self, upload: Upload, is_counted: bool) -> DeviceUpload {
        let Upload { vehicle, events, samples } = upload;
        let json_bytes = (is_counted && self.measured < MEASURED_SAMPLES).then(|| {
            self.measured += samples;
            events.iter().flat_map(TraceEvent::samples).map(|sample| sample.to_json().to_string().len()).sum()
        });
        let events = events.iter().map(|event| device_event(event.to_cloud_event(None), self.payload)).collect();
        DeviceUpload { vehicle, events, samples, json_bytes }
    }
}

/// Returns an event as a device sends it.
fn device_event(mut event: Value, payload: Payload) -> String {
    if payload == Payload::Compact
        && let Ok(telemetry) = Telemetry::deserialize(&event["data"])
        && let Ok(block) = stream_record::block_base64(&telemetry.samples.to_rows())
        && let Some(members) = event.as_object_mut()
    {
        members.remove("data");
        members.insert("datacontenttype".to_owned(), BLOCK_CONTENT_TYPE.into());
        members.insert("data_base64".to_owned(), block.into());
    }
    event.to_string()
}
