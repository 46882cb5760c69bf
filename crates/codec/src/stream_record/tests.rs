#![allow(clippy::panic, clippy::unwrap_used)]
use proptest::prelude::*;
use roadcast_domain::event::Telemetry;
use roadcast_signals::{SignalPath, Signals, Timestamp, Value};
use serde_json::json;

use super::*;

fn samples(count: i64) -> Vec<Sample> {
    let signals: Signals = [(SignalPath::parse("Vehicle.Speed").unwrap(), Value::Number(50.1))].into();
    (0..count).map(|n| Sample { at: Timestamp::from_ms(1_793_000_000_000 + n * 1000), signals: signals.clone() }).collect()
}

fn event(data_base64: &str) -> serde_json::Value {
    json!({
        "specversion": "1.0", "id": "1", "source": "urn:a", "type": "roadcast.telemetry.v1",
        "time": "2026-11-03T10:00:00Z", "datacontenttype": BLOCK_CONTENT_TYPE, "data_base64": data_base64,
    })
}

fn data(event: &serde_json::Value) -> Result<String, (Reason, String)> {
    let text = event.to_string();
    let raw: &RawValue = serde_json::from_str(&text).unwrap();
    let refused = |refusal: Refusal| (refusal.reason, refusal.pointer.into());
    let envelope = Envelope::parse(raw).map_err(refused)?;
    let json = |data| match data {
        EventData::Json(json) => json.get().to_owned(),
        EventData::Read(_) => panic!("the envelope was parsed without its data"),
        EventData::Samples(samples) => serde_json::to_string(&Telemetry { samples }).unwrap(),
    };
    event_data(&envelope.event_type, envelope.data, &mut record_budget()).map(json).map_err(refused)
}

#[test]
fn device_block_decodes_to_the_equivalent_json() {
    let json = serde_json::to_string(&Telemetry { samples: samples(10).into() }).unwrap();
    let event = event(&block_base64(&samples(10)).unwrap());
    assert_eq!(data(&event).unwrap(), json);
    assert_eq!(count_samples(&event.to_string()), 10);
}

#[test]
fn json_in_base64_is_decoded_and_its_samples_are_counted() {
    let json = serde_json::to_string(&Telemetry { samples: samples(10).into() }).unwrap();
    for marked in [json.clone(), format!("\u{FEFF}{json}")] {
        let mut event = event(&STANDARD.encode(marked));
        event["datacontenttype"] = "application/json; charset=utf-8".into();
        assert_eq!(data(&event).unwrap(), json);
        assert_eq!(count_samples(&event.to_string()), 10);
        event["data_base64"] = STANDARD.encode("{").into();
        assert_eq!(data(&event).unwrap_err(), (Reason::DataInvalid, "/data_base64".to_owned()));
        assert_eq!(count_samples(&event.to_string()), 1);
    }
}

#[test]
fn byte_order_mark_of_a_record_is_removed() {
    for text in ["\u{FEFF}[]", "[]"] {
        assert_eq!(decode_text(text.as_bytes()).unwrap(), "[]");
        assert_eq!(decode_text(&zstd::bulk::compress(text.as_bytes(), LEVEL).unwrap()).unwrap(), "[]");
    }
}

#[test]
fn invalid_block_is_refused_with_a_pointer() {
    let good = block_base64(&samples(1)).unwrap();
    let with = |name: &str, value: &str| {
        let mut event = event(&good);
        event[name] = json!(value);
        data(&event).unwrap_err()
    };
    let at = |pointer: &str| pointer.to_owned();
    assert_eq!(with("data_base64", "?"), (Reason::DataInvalid, at("/data_base64")));
    assert_eq!(with("data_base64", "AAAA"), (Reason::DataInvalid, at("/data_base64")));
    assert_eq!(with("datacontenttype", "image/png"), (Reason::DataInvalid, at("/datacontenttype")));
    assert_eq!(with("type", "roadcast.diagnostic.v1"), (Reason::DataInvalid, at("/datacontenttype")));
    assert_eq!(with("data", "both"), (Reason::DataInvalid, at("/datacontenttype")));
    let many = event(&block_base64(&samples(501)).unwrap());
    assert_eq!(data(&many).unwrap_err(), (Reason::TooManySamples, at("/data_base64")));
}

/// 500 samples with `signals` signals of constant value, which take a few bits each.
fn constant_samples(signals: usize, value: &Value) -> Vec<Sample> {
    let numbered = (0..signals).map(|n| (SignalPath::parse(&format!("acme.s{n}")).unwrap(), value.clone()));
    let signals: Signals = numbered.collect();
    (0..500).map(|n| Sample { at: Timestamp::from_ms(1_793_000_000_000 + n), signals: signals.clone() }).collect()
}

#[test]
fn block_with_too_large_decoded_size_is_refused() {
    let too_large = Err((Reason::TooLarge, "/data_base64".to_owned()));
    let block_event = |samples: &[Sample]| event(&block_base64(samples).unwrap());
    let number = Value::Number(1.0);
    assert!(data(&block_event(&constant_samples(131, &number))).is_ok());
    let wide = block_event(&constant_samples(132, &number));
    assert!(wide.to_string().len() < 4096, "the encoded block is small");
    assert_eq!(data(&wide), too_large);
    assert_eq!(count_samples(&wide.to_string()), 500);
    assert_eq!(data(&block_event(&constant_samples(3, &Value::from("x".repeat(1000).as_str())))), too_large);
    assert_eq!(data(&block_event(&constant_samples(1, &Value::List(vec![Value::Bool(true); 256].into())))), too_large);
    assert_eq!(data(&event(&"A".repeat(2 * limits::UNPACKED_BLOCK_BYTES))), too_large);
}

#[test]
fn blocks_of_one_record_share_a_budget() {
    let decoded = |signals: usize| {
        let text = event(&block_base64(&constant_samples(signals, &Value::Number(1.0))).unwrap()).to_string();
        let raw: &RawValue = serde_json::from_str(&text).unwrap();
        let envelope = Envelope::parse(raw).unwrap();
        let mut budget = record_budget();
        (0..1000).filter(|_| event_data(&envelope.event_type, envelope.data.clone(), &mut budget).is_ok()).count()
    };
    // 1,000 events of 500 samples with four signals fit; with a hundred signals, only the first ones.
    assert_eq!(decoded(4), 1000);
    assert_eq!(decoded(100), limits::UNPACKED_BLOCKS_BYTES / (500 * 100 * VALUE_BYTES));
    assert_eq!(decoded(200), 0);
}

#[test]
fn record_with_too_many_events_is_refused() {
    let record = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
    assert_eq!(split_events(&record(1000)).unwrap().len(), 1000);
    assert_eq!(split_events(&record(1001)).unwrap_err().reason, Reason::TooLarge);
}

#[test]
fn compressed_record_decodes_to_the_same_text() {
    let text = event(&block_base64(&samples(500)).unwrap()).to_string().repeat(20);
    let compressed = compress(&text);
    assert!(compressed.len() * 5 < text.len());
    assert_eq!(decode_text(&compressed).unwrap(), text);
    assert_eq!(decode_text(b"[]").unwrap(), "[]");
    assert_eq!(compress("[]"), b"[]", "a text that would grow is not compressed");
}

#[test]
fn frame_with_too_large_decompressed_size_is_refused() {
    let bomb = zstd::bulk::compress(&vec![b' '; 1 << 30], 1).unwrap();
    assert!(bomb.len() < limits::UPLOAD_BYTES);
    assert_eq!(decode_text(&bomb).unwrap_err().reason, Reason::TooLarge);
}

#[test]
fn truncated_frame_or_trailing_bytes_are_refused() {
    let frame = compress(&"abc".repeat(100));
    assert!(decode_text(&frame[..frame.len() - 1]).is_err());
    assert!(decode_text(&[frame.clone(), frame].concat()).is_err());
}

proptest! {
    #[test]
    fn decoding_arbitrary_records_never_panics(mut bytes: Vec<u8>, base64: String) {
        let _ = decode_text(&bytes);
        bytes.splice(0..0, *b"\x28\xB5\x2F\xFD");
        let _ = decode_text(&bytes);
        let _ = data(&event(&base64));
    }
}
