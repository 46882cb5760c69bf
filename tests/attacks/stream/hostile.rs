//! The hostile records.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_codec::stream_record;
use roadcast_domain::refusal::Reason;
use roadcast_domain::{Timestamp, limits};
use roadcast_signals::{Sample, SignalPath, Signals, Value as Signal};
use serde_json::{Value, json};

use super::{block_event, envelope};
use crate::deployment::{Deployment, event};

/// A record that must be quarantined.
pub(super) struct HostileRecord {
    pub(super) name: &'static str,
    /// The reason for which it is quarantined.
    pub(super) reason: Reason,
    content: Content,
}

enum Content {
    /// The bytes of a sender.
    Bytes(Vec<u8>),
    /// The bytes of a sender with another partition key.
    Keyed(&'static str, Vec<u8>),
    /// The data of an envelope, in place of base64.
    Data(&'static str),
    /// An entire envelope.
    Envelope(&'static str),
}

impl HostileRecord {
    /// Returns its envelope.
    pub(super) fn envelope(&self, sequence_number: usize, vid: &str) -> String {
        match &self.content {
            Content::Bytes(bytes) => envelope(sequence_number, vid, &STANDARD.encode(bytes)),
            Content::Keyed(key, bytes) => envelope(sequence_number, key, &STANDARD.encode(bytes)),
            Content::Data(data) => envelope(sequence_number, vid, data),
            Content::Envelope(text) => (*text).to_owned(),
        }
    }
}

fn bytes(name: &'static str, reason: Reason, bytes: impl Into<Vec<u8>>) -> HostileRecord {
    HostileRecord { name, reason, content: Content::Bytes(bytes.into()) }
}

/// An event that is changed.
fn changed(name: &'static str, reason: Reason, change: impl FnOnce(&mut Value)) -> HostileRecord {
    let mut event = event("hostile", &json!({"Vehicle.Speed": 99}));
    change(&mut event);
    bytes(name, reason, event.to_string())
}

/// An event whose text is changed, because a JSON value cannot represent it.
fn text(name: &'static str, reason: Reason, from: &str, to: &str) -> HostileRecord {
    let event = event("hostile", &json!({"Vehicle.Speed": 99})).to_string();
    assert!(event.contains(from), "{name}");
    bytes(name, reason, event.replacen(from, to, 1))
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).unwrap()
}

/// A frame that requires a window of 128 MiB.
fn wide_window() -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(b"{}").unwrap();
    encoder.finish().unwrap()
}

/// A block of equal samples, which takes a few hundred bytes.
fn wide_block(samples: i64, signals: usize) -> String {
    let noon = Timestamp::parse_rfc3339(Deployment::START).unwrap();
    let signal = |n: usize| (SignalPath::parse(&format!("acme.s{n}")).unwrap(), Signal::Number(1.0));
    let signals: Signals = (0..signals).map(signal).collect();
    let samples: Vec<Sample> =
        (0..samples).map(|n| Sample { at: noon.plus_ms(-n * 500), signals: signals.clone() }).collect();
    stream_record::block_base64(&samples).unwrap()
}

fn nested(open: &str, depth: usize) -> String {
    open.repeat(depth)
}

/// Returns all hostile records.
pub(super) fn records() -> Vec<HostileRecord> {
    use Reason::{
        DataInvalid, NoValidSignal, NotACloudEvent, NotJson, SampleInvalid, SamplesTooFarApart, TimeAhead, TimeBefore2000,
        TimeInvalid, TimeMissing, TooLarge, TooManySamples, TooManyUnknownSignals, TypeUnknown, VehicleUnknown,
    };
    let good = event("hostile", &json!({"Vehicle.Speed": 99})).to_string();
    let samples = |count: usize| -> Value { (0..count).map(|_| json!({"at": Deployment::START, "signals": {}})).collect() };
    let one_sample = |sample: Value| json!({ "samples": [sample] });
    let at = |time: &str| one_sample(json!({"at": time, "signals": {"Vehicle.Speed": 1}}));
    let signals = |signals: Value| one_sample(json!({"at": Deployment::START, "signals": signals}));
    let many_signals: serde_json::Map<String, Value> =
        (0..=limits::UNKNOWN_SIGNALS_PER_EVENT).map(|n| (format!("acme.s{n}"), json!(1))).collect();
    let mut truncated = compressed(good.as_bytes());
    truncated.truncate(truncated.len() - 5);
    let keyed =
        |name, key| HostileRecord { name, reason: VehicleUnknown, content: Content::Keyed(key, good.clone().into()) };
    vec![
        // Bytes.
        bytes("nothing", NotJson, ""),
        bytes("a NUL", NotJson, "\0"),
        bytes("half of a character", NotJson, [good.as_bytes(), b"\xC3"].concat()),
        bytes("UTF-16", NotJson, good.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
        bytes("two byte order marks", NotJson, format!("\u{feff}\u{feff}{good}")),
        bytes("gzip", NotJson, b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec()),
        bytes("magic number of zstd", NotJson, b"\x28\xB5\x2F\xFD".to_vec()),
        bytes("broken zstd frame", NotJson, [&b"\x28\xB5\x2F\xFD"[..], &[0xFF; 100]].concat()),
        bytes("truncated zstd frame", NotJson, truncated),
        bytes("zstd frame and a byte", NotJson, [compressed(good.as_bytes()), b" ".to_vec()].concat()),
        bytes("two zstd frames", NotJson, compressed(good.as_bytes()).repeat(2)),
        bytes("zstd frame in a zstd frame", NotJson, compressed(&compressed(good.as_bytes()))),
        bytes("zstd frame with a wide window", NotJson, wide_window()),
        bytes("zstd frame of 64 MiB", TooLarge, compressed(&vec![b' '; 64 << 20])),
        bytes(
            "zstd frame of one million events",
            TooLarge,
            compressed(format!("[{}]", vec!["{}"; 1_000_000].join(",")).as_bytes()),
        ),
        // JSON.
        bytes("1 MiB of lists", NotJson, nested("[", 1 << 20)),
        bytes("1 MiB of objects", NotJson, nested(r#"{"a":"#, (1 << 20) / 5)),
        bytes("half of an event", NotJson, &good[..good.len() / 2]),
        bytes("an event and a brace", NotJson, format!("{good}}}")),
        bytes("NaN", NotJson, "NaN"),
        bytes("a number", NotACloudEvent, "7"),
        bytes("null", NotACloudEvent, "null"),
        bytes("a text", NotACloudEvent, "\"event\""),
        bytes("a list in a list", NotACloudEvent, format!("[[{good}]]")),
        text("a surrogate", NotACloudEvent, "\"hostile\"", r#""\ud800""#),
        text("a deep value", NoValidSignal, "99", &format!("{}{}", nested("[", 100_000), nested("]", 100_000))),
        text("a huge number", NoValidSignal, "99", "1e999"),
        text("a number of 100,000 digits", NoValidSignal, "99", &"9".repeat(100_000)),
        text("two ids", NotACloudEvent, "\"id\":", "\"id\":\"first\",\"id\":"),
        text("two data", NotACloudEvent, "\"data\":", "\"data\":{},\"data\":"),
        text("two equal signals", NoValidSignal, "\"Vehicle.Speed\":", "\"Vehicle.Speed\":1,\"Vehicle.Speed\":"),
        bytes("1,001 events", TooLarge, format!("[{}]", vec!["{}"; limits::EVENTS_PER_UPLOAD + 1].join(","))),
        // Envelopes of events.
        changed("no specversion", NotACloudEvent, |event| event["specversion"] = Value::Null),
        changed("specversion 0.3", NotACloudEvent, |event| event["specversion"] = json!("0.3")),
        changed("an id of 900 KiB", NotACloudEvent, |event| event["id"] = json!("x".repeat(900 << 10))),
        changed("a source of 513 bytes", NotACloudEvent, |event| event["source"] = json!("x".repeat(513))),
        changed("an id with a NUL", NotACloudEvent, |event| event["id"] = json!("a\0b")),
        changed("no time", TimeMissing, |event| event["time"] = Value::Null),
        changed("an unknown type", TypeUnknown, |event| event["type"] = json!("roadcast.telemetry.v2")),
        changed("an unregistered type", TypeUnknown, |event| event["type"] = json!("com.example.hostile.v1")),
        changed("the VIN of another vehicle", VehicleUnknown, |event| event["subject"] = json!("vin:WVWZZZ3CZEE000002")),
        changed("the name of another vehicle", VehicleUnknown, |event| event["subject"] = json!("test:other")),
        changed("a vehicle that does not exist", VehicleUnknown, |event| event["subject"] = json!("veh_0000000000000000")),
        changed("no name of a vehicle", NotACloudEvent, |event| event["subject"] = json!("")),
        keyed("the key of no vehicle", "veh_0000000000000000"),
        keyed("an empty key", ""),
        keyed("a key in a path", "../veh_0000000000000000"),
        // Data.
        changed("data of null", DataInvalid, |event| event["data"] = Value::Null),
        changed("data as text", DataInvalid, |event| event["data"] = json!("samples")),
        changed("samples in an object", DataInvalid, |event| event["data"] = json!({"samples": {}})),
        changed("no samples", DataInvalid, |event| event["data"] = json!({"samples": []})),
        changed("501 samples", TooManySamples, |event| {
            event["data"] = json!({"samples": samples(limits::SAMPLES_PER_EVENT + 1)});
        }),
        changed("samples far apart", SamplesTooFarApart, |event| {
            let times = ["2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z", "2026-01-01T12:00:00Z"];
            let samples: Value = times.iter().map(|at| json!({"at": at, "signals": {"Vehicle.Speed": 1}})).collect();
            event["data"] = json!({ "samples": samples });
        }),
        changed("65 unknown signals", TooManyUnknownSignals, |event| event["data"] = signals(many_signals.into())),
        changed("a sample that is a number", SampleInvalid, |event| event["data"] = one_sample(json!(1))),
        changed("a time that is none", TimeInvalid, |event| event["data"] = at("noon")),
        changed("a time of 1970", TimeBefore2000, |event| event["data"] = at("1970-01-01T00:00:00Z")),
        changed("a time of 2099", TimeAhead, |event| event["data"] = at("2099-01-01T00:00:00Z")),
        changed("a speed that is a text", NoValidSignal, |event| event["data"] = signals(json!({"Vehicle.Speed": "fast"}))),
        changed("a speed of 1e300", NoValidSignal, |event| event["data"] = signals(json!({"Vehicle.Speed": 1e300}))),
        // Blocks.
        bytes("a block that is no base64", DataInvalid, block_event("hostile", "!!!").to_string()),
        bytes("an empty block", DataInvalid, block_event("hostile", "").to_string()),
        bytes("a block of other bytes", DataInvalid, block_event("hostile", &STANDARD.encode([0xFF; 300])).to_string()),
        bytes("a wide block", TooLarge, block_event("hostile", &wide_block(500, 1000)).to_string()),
        bytes("a long block", TooManySamples, block_event("hostile", &wide_block(501, 1)).to_string()),
        // Envelopes of Kinesis.
        HostileRecord { name: "data that is no base64", reason: NotJson, content: Content::Data("!!!") },
        HostileRecord { name: "data with white space", reason: NotJson, content: Content::Data("e30 =") },
        HostileRecord {
            name: "an envelope without data",
            reason: NotACloudEvent,
            content: Content::Envelope(r#"{"kinesis":{}}"#),
        },
        HostileRecord { name: "an envelope that is a number", reason: NotACloudEvent, content: Content::Envelope("7.0") },
    ]
}
