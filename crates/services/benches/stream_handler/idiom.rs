//! What a function in Rust usually does with such a batch: `aws_lambda_events`, serde into types, one item for each upload. It
//! does the same work as far as possible without being the same program.

use std::collections::{HashMap, HashSet};

use aws_lambda_events::event::kinesis::KinesisEvent;
use roadcast_signals::{Catalogue, Resolution, SignalDef, Timestamp};
use serde::{Deserialize, Serialize};

use crate::inputs::Digest;

#[derive(Deserialize, Serialize)]
pub(crate) struct Upload {
    id: String,
    source: String,
    subject: String,
    time: String,
    data: Data,
}

#[derive(Deserialize, Serialize)]
struct Data {
    samples: Vec<TypedSample>,
}

#[derive(Deserialize, Serialize)]
struct TypedSample {
    at: String,
    signals: TypedSignals,
}

/// Declares the signals of the workload as members.
macro_rules! typed_signals {
    ($($member:ident: $path:literal,)*) => {
        #[derive(Deserialize, Serialize)]
        struct TypedSignals {
            $(#[serde(rename = $path, skip_serializing_if = "Option::is_none")] $member: Option<f64>,)*
        }

        impl TypedSignals {
            const PATHS: [&'static str; [$($path),*].len()] = [$($path),*];

            fn values(&mut self) -> [&mut Option<f64>; Self::PATHS.len()] {
                [$(&mut self.$member),*]
            }
        }
    };
}

typed_signals! {
    speed: "Vehicle.Speed",
    latitude: "Vehicle.CurrentLocation.Latitude",
    longitude: "Vehicle.CurrentLocation.Longitude",
    altitude: "Vehicle.CurrentLocation.Altitude",
    heading: "Vehicle.CurrentLocation.Heading",
    engine_speed: "Vehicle.OBD.EngineSpeed",
    engine_load: "Vehicle.OBD.EngineLoad",
    air_flow: "Vehicle.OBD.MAF",
    manifold_pressure: "Vehicle.OBD.MAP",
    throttle: "Vehicle.OBD.ThrottlePosition",
    intake_temperature: "Vehicle.OBD.IntakeTemp",
    coolant_temperature: "Vehicle.OBD.CoolantTemperature",
}

/// Parses a batch and does nothing else.
pub(crate) fn parse(payload: &[u8]) -> Vec<Upload> {
    let event: KinesisEvent = serde_json::from_slice(payload).expect("an event");
    let uploads = event.records.iter().map(|record| serde_json::from_slice(&record.kinesis.data.0).expect("an upload"));
    uploads.collect()
}

/// A handler that keeps its results in memory.
pub(crate) struct Idiom {
    defs: Vec<(&'static SignalDef, Resolution)>,
    /// The events that are stored, by source and id.
    stored: HashSet<(String, String)>,
    /// The stored uploads by vehicle and time, in JSON.
    items: HashMap<(String, String), Vec<u8>>,
    /// The last value of each signal, by vehicle, with its time.
    states: HashMap<String, [Option<(i64, f64)>; TypedSignals::PATHS.len()]>,
}

impl Idiom {
    pub(crate) fn new() -> Self {
        let def = |path: &&str| {
            let def = Catalogue::get().by_path(path).expect("a signal of the catalogue");
            (def, def.resolution.expect("a resolution"))
        };
        let defs = TypedSignals::PATHS.iter().map(def).collect();
        Self { defs, stored: HashSet::new(), items: HashMap::new(), states: HashMap::new() }
    }

    /// Parses, validates, rounds, drops duplicates, and stores uploads and states. Returns the number of stored samples.
    pub(crate) fn handle(&mut self, payload: &[u8]) -> usize {
        let mut samples = 0;
        for mut upload in parse(payload) {
            if !self.stored.insert((upload.source.clone(), upload.id.clone())) {
                continue;
            }
            let state = self.states.entry(upload.subject.clone()).or_default();
            for sample in &mut upload.data.samples {
                let at = Timestamp::parse_rfc3339(&sample.at).expect("a time").ms();
                let values = sample.signals.values().into_iter().zip(&self.defs).zip(state.iter_mut());
                for ((value, (def, resolution)), last) in values {
                    *value = value.filter(|value| def.contains(*value)).map(|value| resolution.round(value));
                    if let Some(value) = *value
                        && last.is_none_or(|(newest, _)| at >= newest)
                    {
                        *last = Some((at, value));
                    }
                }
            }
            samples += upload.data.samples.len();
            let item = serde_json::to_vec(&upload.data).expect("JSON");
            self.items.insert((upload.subject, upload.time), item);
        }
        samples
    }

    /// Returns the digest of what is stored.
    pub(crate) fn digest(&self) -> Digest {
        let mut digest = Digest::default();
        for item in self.items.values() {
            let data: Data = serde_json::from_slice(item).expect("a stored upload");
            for mut sample in data.samples {
                let values = TypedSignals::PATHS.into_iter().zip(sample.signals.values());
                digest.add(values.filter_map(|(path, value)| Some((path, (*value)?))));
            }
        }
        digest
    }
}
