//! The batches: uploads of driving vehicles as events of the event source mapping.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::ids::VehicleId;
use roadcast_signals::{Sample, SignalPath, Timestamp, Value};
use serde_json::json;

/// The vehicles of a batch.
pub(crate) const VEHICLES: usize = 100;
const UPLOADS: usize = 5;
const SAMPLES: usize = 10;
/// The samples of a batch.
pub(crate) const SAMPLES_PER_BATCH: usize = VEHICLES * UPLOADS * SAMPLES;
/// The event time of a batch.
pub(crate) const BATCH_MS: i64 = 50_000;
/// The time of the first sample: the start of a bucket.
pub(crate) const START_MS: i64 = 1_793_016_000_000;

/// How the uploads are sent.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Zstd,
    Blocks,
}

impl Form {
    pub(crate) const ALL: [Self; 3] = [Self::Json, Self::Zstd, Self::Blocks];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Zstd => "zstd",
            Self::Blocks => "blocks",
        }
    }
}

/// Returns the id of the vehicle with this number.
pub(crate) fn vid(n: usize) -> VehicleId {
    VehicleId::from_random_bits(0x9E37_79B9_7F4A_7C15_u128.wrapping_mul(n as u128 + 1) << 7)
}

/// The signals: path, decimals, mean, amplitude of a slow wave, amplitude of noise.
const SIGNALS: [(&str, i32, f64, f64, f64); 12] = [
    ("Vehicle.Speed", 1, 62.0, 24.0, 0.8),
    ("Vehicle.CurrentLocation.Latitude", 6, 51.481_845, 0.02, 0.000_02),
    ("Vehicle.CurrentLocation.Longitude", 6, 7.216_236, 0.02, 0.000_02),
    ("Vehicle.CurrentLocation.Altitude", 1, 118.0, 14.0, 0.3),
    ("Vehicle.CurrentLocation.Heading", 0, 181.0, 90.0, 2.0),
    ("Vehicle.OBD.EngineSpeed", 0, 1_850.0, 420.0, 60.0),
    ("Vehicle.OBD.EngineLoad", 1, 43.0, 18.0, 9.0),
    ("Vehicle.OBD.MAF", 2, 21.0, 9.0, 3.0),
    ("Vehicle.OBD.MAP", 0, 96.0, 20.0, 6.0),
    ("Vehicle.OBD.ThrottlePosition", 1, 21.0, 6.0, 4.0),
    ("Vehicle.OBD.IntakeTemp", 0, 27.0, 2.0, 0.3),
    ("Vehicle.OBD.CoolantTemperature", 0, 88.0, 1.0, 0.2),
];

/// Returns deterministic noise between -1 and 1.
fn noise(t: f64, salt: f64) -> f64 {
    (t * 12.9898 + salt * 78.233).sin() * 43_758.545 % 1.0
}

fn samples(vehicle: usize, start_ms: i64) -> Vec<Sample> {
    let sample = |n: i64| {
        let at = Timestamp::from_ms(start_ms + n * 1000);
        let t = (at.ms() - START_MS) as f64 / 1000.0;
        let signals = SIGNALS.iter().zip(0_u8..).map(|((path, decimals, mean, wave, spread), salt)| {
            let salt = f64::from(salt) + vehicle as f64 * 0.37;
            let value = mean + wave * (t / 41.0 + salt).sin() + spread * noise(t, salt);
            let scale = 10_f64.powi(*decimals);
            (SignalPath::parse(path).expect("a path"), Value::Number((value * scale).round() / scale))
        });
        Sample { at, signals: signals.collect() }
    };
    (0..SAMPLES as i64).map(sample).collect()
}

/// Returns the samples of a batch.
pub(crate) fn samples_of_batch(batch: usize) -> Vec<Sample> {
    let uploads = (0..VEHICLES).flat_map(|vehicle| (0..UPLOADS).map(move |n| (vehicle, n)));
    uploads.flat_map(|(vehicle, n)| samples(vehicle, upload_start_ms(batch, n))).collect()
}

fn upload_start_ms(batch: usize, n: usize) -> i64 {
    START_MS + BATCH_MS * batch as i64 + 10_000 * n as i64
}

/// Returns the bytes of one upload.
fn upload(form: Form, batch: usize, vehicle: usize, n: usize) -> Vec<u8> {
    let start_ms = upload_start_ms(batch, n);
    let samples = samples(vehicle, start_ms);
    let mut event = json!({
        "specversion": "1.0",
        "id": format!("trip-{:06}", batch * UPLOADS + n),
        "source": format!("urn:bench:car:{vehicle}"),
        "type": "roadcast.telemetry.v1",
        "subject": vid(vehicle),
        "time": Timestamp::from_ms(start_ms),
    });
    match form {
        Form::Json | Form::Zstd => event["data"] = json!({ "samples": samples }),
        Form::Blocks => {
            event["datacontenttype"] = BLOCK_CONTENT_TYPE.into();
            event["data_base64"] = stream_record::block_base64(&samples).expect("a block").into();
        }
    }
    let text = event.to_string();
    if form == Form::Zstd { stream_record::compress(&text) } else { text.into_bytes() }
}

/// Returns a batch as the event source mapping sends it.
pub(crate) fn batch(form: Form, n: usize) -> Vec<u8> {
    let mut records = Vec::with_capacity(VEHICLES * UPLOADS);
    for u in 0..UPLOADS {
        for vehicle in 0..VEHICLES {
            let arrived_ms = START_MS + BATCH_MS * n as i64 + 10_000 * u as i64 + 10_000;
            let sequence =
                format!("4959033827149025660855969253836157109592157598{:010}", (n * UPLOADS + u) * VEHICLES + vehicle);
            records.push(json!({
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": vid(vehicle),
                    "sequenceNumber": sequence,
                    "data": STANDARD.encode(upload(form, n, vehicle, u)),
                    "approximateArrivalTimestamp": arrived_ms as f64 / 1000.0,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": format!("shardId-000000000006:{sequence}"),
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:aws:iam::000000000000:role/processor",
                "awsRegion": "eu-central-1",
                "eventSourceARN": "arn:aws:kinesis:eu-central-1:000000000000:stream/telemetry",
            }));
        }
    }
    json!({ "Records": records }).to_string().into_bytes()
}
