//! What arrives: records of the stream as the API, devices and partners put them, and the events in them.
//!
//! A record is JSON, one CloudEvent or a batch, or the same as one zstd frame. An event's data is JSON, or a block of samples
//! that was made on the device, with `datacontenttype` [`BLOCK_CONTENT_TYPE`] and the bytes in `data_base64`. All of it is
//! brought to the one form that is judged, so that HTTP and the stream, and every payload, go through the same judgement.

use std::borrow::Cow;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_blocks::{Block, EncodeError};
use roadcast_domain::cloudevent::{Data, Envelope};
use roadcast_domain::event::{EventType, Telemetry};
use roadcast_domain::intake;
use roadcast_domain::limits;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_signals::Sample;
use serde_json::value::RawValue;

use crate::BLOCK_CONTENT_TYPE;

/// The first bytes of a zstd frame (RFC 8878, 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// The largest window that a frame may ask for: 8 MiB, what every decoder has to support (RFC 8878, 3.1.1.1.2).
const WINDOW_LOG: u32 = 23;
/// Measured on uploads of 10 samples: higher levels take several times as long for a few per cent.
const LEVEL: i32 = 3;

/// A record's text: its bytes, or what they unpack to.
pub fn text_of(record: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    if record.starts_with(&ZSTD_MAGIC) {
        let text = String::from_utf8(unpack(record)?).map_err(|_| not_json("the zstd frame does not hold UTF-8"))?;
        return Ok(Cow::Owned(text));
    }
    std::str::from_utf8(record).map(Cow::Borrowed).map_err(|_| not_json("neither UTF-8 nor a zstd frame"))
}

/// Unpacks one frame and nothing else. A frame need not say how much it holds, so what comes out is counted.
fn unpack(record: &[u8]) -> Result<Vec<u8>, Refusal> {
    let broken = |_| not_json("the zstd frame cannot be unpacked");
    let mut rest = record;
    let mut text = Vec::new();
    let mut decoder = zstd::stream::read::Decoder::with_buffer(&mut rest).map_err(broken)?.single_frame();
    decoder.window_log_max(WINDOW_LOG).map_err(broken)?;
    let most = limits::UNPACKED_RECORD_BYTES as u64;
    decoder.by_ref().take(most + 1).read_to_end(&mut text).map_err(broken)?;
    if text.len() > limits::UNPACKED_RECORD_BYTES {
        return Err(not_json("the zstd frame holds more than a record may"));
    }
    drop(decoder);
    if rest.is_empty() { Ok(text) } else { Err(not_json("something follows the zstd frame")) }
}

fn not_json(detail: &str) -> Refusal {
    Refusal::new(Reason::NotJson, "", detail)
}

/// An event's data as JSON.
pub fn data_of<'a>(envelope: &Envelope<'a>) -> Result<Cow<'a, RawValue>, Refusal> {
    let (content_type, base64) = match &envelope.data {
        Data::Json(data) => return Ok(Cow::Borrowed(*data)),
        Data::Binary { content_type, base64 } => (content_type, base64),
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(BLOCK_CONTENT_TYPE) {
        let detail = format!("data is JSON, or a block ({BLOCK_CONTENT_TYPE})");
        return Err(Refusal::new(Reason::DataInvalid, "/datacontenttype", detail));
    }
    if envelope.event_type != EventType::Telemetry.as_str() {
        let detail = format!("only {} may come as a block", EventType::Telemetry.as_str());
        return Err(Refusal::new(Reason::DataInvalid, "/datacontenttype", detail));
    }
    let wrong = |detail: String| Refusal::new(Reason::DataInvalid, "/data_base64", detail);
    let bytes = STANDARD.decode(base64).map_err(|_| wrong("not base64".to_owned()))?;
    let block = Block::decode(&bytes).map_err(|error| wrong(error.to_string()))?;
    if block.times().len() > limits::SAMPLES_PER_EVENT {
        let detail =
            format!("at most {} samples in an event; this one has {}", limits::SAMPLES_PER_EVENT, block.times().len());
        return Err(Refusal::new(Reason::TooManySamples, "/data_base64", detail));
    }
    let data = serde_json::value::to_raw_value(&Telemetry { samples: block.samples() });
    data.map(Cow::Owned).map_err(|_| wrong("a value that JSON cannot say".to_owned()))
}

/// How many samples an event holds, however wrong it is otherwise: 1 where its data cannot be counted.
pub fn count_samples(event: &RawValue) -> usize {
    match Envelope::read(event) {
        Ok(envelope @ Envelope { data: Data::Binary { .. }, .. }) => match &envelope.data {
            Data::Binary { base64, .. } => {
                let block = STANDARD.decode(base64).ok().and_then(|bytes| Block::decode(&bytes).ok());
                block.map_or(1, |block| block.times().len().max(1))
            }
            Data::Json(_) => 1,
        },
        _ => intake::count_samples(event),
    }
}

/// A record's text as it is put onto the stream: packed, where that is smaller. Shards and batches hold several times more.
pub fn compress(text: &str) -> Vec<u8> {
    match zstd::bulk::compress(text.as_bytes(), LEVEL) {
        Ok(packed) if packed.len() < text.len() => packed,
        _ => text.as_bytes().to_vec(),
    }
}

/// The `data_base64` of samples, for an event with `datacontenttype` [`BLOCK_CONTENT_TYPE`].
pub fn block_base64(samples: &[Sample]) -> Result<String, EncodeError> {
    Ok(STANDARD.encode(Block::of_samples(samples)?.encode()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use roadcast_signals::{SignalPath, Signals, Timestamp, Value};
    use serde_json::json;

    use super::*;

    fn samples(count: i64) -> Vec<Sample> {
        let signals: Signals = [(SignalPath::parse("Vehicle.Speed").unwrap(), Value::Number(50.1))].into();
        (0..count)
            .map(|n| Sample { at: Timestamp::from_ms(1_793_000_000_000 + n * 1000), signals: signals.clone() })
            .collect()
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
        let refused = |refusal: Refusal| (refusal.reason, refusal.pointer);
        let envelope = Envelope::read(raw).map_err(refused)?;
        data_of(&envelope).map(|data| data.get().to_owned()).map_err(refused)
    }

    #[test]
    fn a_devices_block_is_judged_as_the_json_that_it_stands_for() {
        let json = serde_json::to_string(&Telemetry { samples: samples(10) }).unwrap();
        let event = event(&block_base64(&samples(10)).unwrap());
        assert_eq!(data(&event).unwrap(), json);
        assert_eq!(count_samples(&serde_json::value::to_raw_value(&event).unwrap()), 10);
    }

    #[test]
    fn data_that_is_no_block_is_refused_at_its_place() {
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

    #[test]
    fn a_packed_record_gives_the_text_it_was_made_of() {
        let text = event(&block_base64(&samples(500)).unwrap()).to_string().repeat(20);
        let packed = compress(&text);
        assert!(packed.len() * 5 < text.len());
        assert_eq!(text_of(&packed).unwrap(), text);
        assert_eq!(text_of(b"[]").unwrap(), "[]");
        assert_eq!(compress("[]"), b"[]", "what grows is left as it is");
    }

    #[test]
    fn a_frame_that_unpacks_to_more_than_a_record_may_hold_is_refused_without_being_unpacked() {
        let bomb = zstd::bulk::compress(&vec![b' '; 1 << 30], 1).unwrap();
        assert!(bomb.len() < limits::UPLOAD_BYTES);
        assert!(text_of(&bomb).unwrap_err().detail.contains("more than a record"));
    }

    #[test]
    fn a_frame_cut_off_or_followed_by_something_is_refused() {
        let packed = compress(&"abc".repeat(100));
        assert!(text_of(&packed[..packed.len() - 1]).is_err());
        assert!(text_of(&[packed.clone(), packed].concat()).is_err());
    }

    proptest! {
        #[test]
        fn no_record_makes_the_reader_panic(mut bytes: Vec<u8>, base64: String) {
            let _ = text_of(&bytes);
            bytes.splice(0..0, ZSTD_MAGIC);
            let _ = text_of(&bytes);
            let _ = data(&event(&base64));
        }
    }
}
