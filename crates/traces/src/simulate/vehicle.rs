//! One simulated vehicle: it drives, measures and sends.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value};

use super::drive::{Drive, Step};
use super::faults::{self, Faults};
use super::powertrain::{Powertrain, rounded, whole};
use super::{SimConfig, identity};
use crate::batch::{Batcher, Upload};
use crate::event::{Body, Diagnostic, Dtc, EventId, TraceEvent};
use crate::instant;
use crate::paths::{LATITUDE, LONGITUDE, SPEED};
use crate::row::{RecordedSample, VehicleDetails, VehicleKey};

pub(super) const ALTITUDE: &str = "Vehicle.CurrentLocation.Altitude";
pub(super) const HEADING: &str = "Vehicle.CurrentLocation.Heading";
pub(super) const ODOMETER: &str = "Vehicle.TraveledDistance";
pub(super) const AIR_TEMPERATURE: &str = "Vehicle.Exterior.AirTemperature";

const COMBUSTION_FAULTS: [&str; 5] = ["P0301", "P0420", "P0171", "P0128", "P0442"];
const ELECTRIC_FAULTS: [&str; 3] = ["P0A80", "P0AA6", "U0100"];
/// The probability per second that a fault occurs, and that it is cleared.
const FAULT_OCCURS: f64 = 1.0 / 900.0;
const FAULT_CLEARS: f64 = 1.0 / 300.0;
/// The longest step of the motion.
const MAX_STEP_MS: i64 = 1000;

pub(super) struct SimVehicle {
    key: VehicleKey,
    details: VehicleDetails,
    rng: StdRng,
    faults: Faults,
    interval_ms: i64,
    next_ms: i64,
    /// The error of its clock: positive if it is fast.
    skew_ms: i64,
    /// Samples before this time are lost.
    lost_until_ms: i64,
    drive: Drive,
    powertrain: Powertrain,
    odometer_m: f64,
    air_c: f64,
    fault: Option<Dtc>,
    /// The number of samples so far.
    sampled: u64,
    batcher: Batcher,
    source: String,
    /// Diagnostic events for the next upload.
    diagnostics: Vec<TraceEvent>,
    /// The number of uploads so far.
    sent: u64,
}

/// An upload that a vehicle has sent, with the time of its arrival.
pub(super) struct SentUpload {
    pub(super) due_ms: i64,
    pub(super) number: u64,
    pub(super) upload: Upload,
}

impl SimVehicle {
    pub(super) fn new(config: &SimConfig, index: usize) -> Self {
        // The odd factor mixes index and seed, so that vehicle 1 of seed 1 is not vehicle 0 of seed 2.
        let mut rng = StdRng::seed_from_u64(config.seed ^ (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let is_electric = index % 2 == 1;
        let air_c = rng.random_range(-2.0..26.0);
        let skew_ms = if faults::occurs(config.faults.clock_skew, &mut rng) {
            let ms = rng.random_range(10_000..600_000);
            if rng.random_bool(0.5) { ms } else { -ms }
        } else {
            0
        };
        Self {
            key: identity::key(config.seed, index),
            details: identity::details(is_electric, &mut rng),
            faults: config.faults,
            interval_ms: config.interval_ms.max(1),
            next_ms: config.start_ms,
            skew_ms,
            lost_until_ms: i64::MIN,
            drive: Drive::new(&mut rng),
            powertrain: Powertrain::new(is_electric, air_c, &mut rng),
            odometer_m: rng.random_range(1_000_000.0..150_000_000.0),
            air_c,
            fault: None,
            sampled: 0,
            batcher: Batcher::new(config.samples_per_upload, config.source.clone()),
            source: config.source.clone(),
            diagnostics: Vec::new(),
            sent: 0,
            rng,
        }
    }

    pub(super) fn registration(&self) -> (&VehicleKey, &VehicleDetails) {
        (&self.key, &self.details)
    }

    /// Drives until `until_ms` and returns the uploads sent.
    pub(super) fn drive_until(&mut self, until_ms: i64) -> Vec<SentUpload> {
        let mut sent = Vec::new();
        while self.next_ms <= until_ms {
            let now_ms = self.next_ms;
            self.sample(now_ms, &mut sent);
            self.next_ms += self.interval_ms;
            if self.advance() == Step::RoundCompleted {
                // The vehicle rests: pending samples are sent, and nothing is measured until the next round.
                let uploads = self.batcher.finish();
                self.send(now_ms, uploads, &mut sent);
                self.next_ms += self.rng.random_range(30_000..180_000);
                self.powertrain.replenish();
            }
        }
        sent
    }

    fn advance(&mut self) -> Step {
        let mut remaining_ms = self.interval_ms;
        while remaining_ms > 0 {
            let step_ms = remaining_ms.min(MAX_STEP_MS);
            remaining_ms -= step_ms;
            // At most one second, so it fits.
            let elapsed_s = f64::from(i32::try_from(step_ms).unwrap_or_default()) / 1000.0;
            let (moved_m, step) = self.drive.step(elapsed_s, &mut self.rng);
            self.odometer_m += moved_m;
            self.powertrain.step(self.drive.speed_ms(), self.drive.acceleration_ms2(), elapsed_s);
            self.update_fault(elapsed_s);
            if step == Step::RoundCompleted {
                return step;
            }
        }
        Step::Driving
    }

    /// Lets a fault occur or clears it, at random. Each change is reported with the next upload.
    fn update_fault(&mut self, elapsed_s: f64) {
        let probability = if self.fault.is_some() { FAULT_CLEARS } else { FAULT_OCCURS };
        if !faults::occurs(probability * elapsed_s, &mut self.rng) {
            return;
        }
        self.fault = if self.fault.is_some() {
            None
        } else {
            let codes: &[&str] = match self.powertrain {
                Powertrain::Combustion { .. } => &COMBUSTION_FAULTS,
                Powertrain::Electric { .. } => &ELECTRIC_FAULTS,
            };
            let status = if self.rng.random_bool(0.7) { "active" } else { "pending" };
            Some(Dtc { code: codes[self.rng.random_range(0..codes.len())].to_owned(), status: status.to_owned() })
        };
        let at_ms = self.next_ms + self.skew_ms;
        // Only a time outside the years 0 to 9999 has no text.
        if let Some(at) = instant::format_ms(at_ms) {
            self.diagnostics.push(self.diagnostic(at));
        }
    }

    fn diagnostic(&self, at: String) -> TraceEvent {
        let dtcs: Vec<Dtc> = self.fault.iter().cloned().collect();
        let mut id = EventId::new(&self.key);
        id.add(&("diagnostic", self.sampled, &dtcs));
        TraceEvent {
            id: id.finish(&at),
            source: self.source.clone(),
            time: at.clone(),
            body: Body::Diagnostic(Diagnostic { at, mil: dtcs.iter().any(|dtc| dtc.status == "active"), dtcs }),
        }
    }

    fn sample(&mut self, now_ms: i64, sent: &mut Vec<SentUpload>) {
        if faults::occurs(self.faults.gaps, &mut self.rng) {
            self.lost_until_ms = now_ms + self.rng.random_range(10_000..120_000);
        }
        let at_ms = now_ms + self.skew_ms;
        let Some(at) = instant::format_ms(at_ms).filter(|_| now_ms >= self.lost_until_ms) else {
            return;
        };
        self.sampled += 1;
        let mut sample = RecordedSample {
            vehicle: self.key.clone(),
            line: self.sampled,
            at,
            at_ms: Some(at_ms),
            signals: self.signals(),
        };
        if faults::occurs(self.faults.nonsense, &mut self.rng) {
            faults::corrupt(&mut sample, &mut self.rng);
        }
        let uploads = self.batcher.push(sample);
        self.send(now_ms, uploads, sent);
    }

    fn signals(&mut self) -> Map<String, Value> {
        let position = self.drive.position();
        // The position error of a receiver: up to about one metre.
        let jitter = 1.0 / 111_320.0;
        let mut signals = Map::new();
        let mut put = |path: &str, value: Value| signals.insert(path.to_owned(), value);
        put(SPEED, rounded(self.drive.speed_ms() * 3.6, 10.0));
        put(LATITUDE, rounded(position.latitude + self.rng.random_range(-jitter..jitter), 1e6));
        put(LONGITUDE, rounded(position.longitude + self.rng.random_range(-jitter..jitter), 1e6));
        put(ALTITUDE, rounded(position.altitude_m, 10.0));
        put(HEADING, rounded(position.heading, 10.0));
        put(ODOMETER, whole(self.odometer_m));
        put(AIR_TEMPERATURE, rounded(self.air_c, 10.0));
        self.powertrain.insert_signals(&mut signals);
        signals
    }

    fn send(&mut self, now_ms: i64, uploads: Vec<Upload>, sent: &mut Vec<SentUpload>) {
        for mut upload in uploads {
            upload.events.append(&mut self.diagnostics);
            let mut due_ms = now_ms;
            if faults::occurs(self.faults.reorder, &mut self.rng) {
                due_ms += self.rng.random_range(5_000..120_000);
            }
            if faults::occurs(self.faults.duplicates, &mut self.rng) {
                let again_ms = due_ms + self.rng.random_range(0..30_000);
                self.record_upload(again_ms, upload.clone(), sent);
            }
            self.record_upload(due_ms, upload, sent);
        }
    }

    fn record_upload(&mut self, due_ms: i64, upload: Upload, sent: &mut Vec<SentUpload>) {
        self.sent += 1;
        sent.push(SentUpload { due_ms, number: self.sent, upload });
    }
}
