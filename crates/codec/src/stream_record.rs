//! What arrives: records of the stream as the API, devices and partners put them, and the events in them.
//!
//! A record is JSON, one CloudEvent or a batch, or the same as one zstd frame. An event's data is JSON, or a block of samples
//! that was made on the device, with `datacontenttype` [`BLOCK_CONTENT_TYPE`] and the bytes in `data_base64`. All of it is
//! brought to the one form that is judged, so that HTTP and the stream, and every payload, go through the same judgement.
//!
//! Frames and blocks say much in few bytes, and honest ones of a vehicle that stands still say the most: five minutes of it are
//! some hundred bytes. So nothing is refused for how well it is packed, but for what it would unpack to, and before it is
//! unpacked: what one record costs has a bound, whatever its sender wants.

use std::borrow::Cow;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_blocks::limits::VALUE_BYTES;
use roadcast_blocks::{Block, DecodeError, EncodeError};
use roadcast_domain::byte_budget::ByteBudget;
use roadcast_domain::cloudevent::{self, Data, Envelope};
use roadcast_domain::event::{EventType, Telemetry};
use roadcast_domain::limits;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::validation;
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
pub fn decode_text(record: &[u8]) -> Result<Cow<'_, str>, Refusal> {
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
        return Err(Refusal::new(Reason::TooLarge, "", "the zstd frame holds more than a record may"));
    }
    drop(decoder);
    if rest.is_empty() { Ok(text) } else { Err(not_json("something follows the zstd frame")) }
}

fn not_json(detail: &str) -> Refusal {
    Refusal::new(Reason::NotJson, "", detail)
}

/// The events of a record's text.
pub fn split_events(text: &str) -> Result<Vec<&RawValue>, Refusal> {
    cloudevent::split_at_most(text, limits::EVENTS_PER_UPLOAD)
}

/// The budget for what the blocks of one record may decode to: [`limits::UNPACKED_BLOCKS_BYTES`].
pub const fn record_budget() -> ByteBudget {
    ByteBudget::new(limits::UNPACKED_BLOCKS_BYTES)
}

/// The data of an event as JSON. A block is decoded within `budget`, which the blocks of one record share.
pub fn json_data<'a>(envelope: &Envelope<'a>, budget: &mut ByteBudget) -> Result<Cow<'a, RawValue>, Refusal> {
    let (content_type, base64) = match &envelope.data {
        Data::Json(data) => return Ok(Cow::Borrowed(*data)),
        Data::Binary { content_type, base64 } => (content_type, base64),
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(BLOCK_CONTENT_TYPE) {
        let detail = format!("data must be JSON or a block ({BLOCK_CONTENT_TYPE})");
        return Err(Refusal::new(Reason::DataInvalid, "/datacontenttype", detail));
    }
    if envelope.event_type != EventType::Telemetry.as_str() {
        let detail = format!("only {} may be sent as a block", EventType::Telemetry.as_str());
        return Err(Refusal::new(Reason::DataInvalid, "/datacontenttype", detail));
    }
    let samples = decode_block(base64, budget)?.samples();
    serde_json::value::to_raw_value(&Telemetry { samples })
        .map(Cow::Owned)
        .map_err(|_| invalid_block(Reason::DataInvalid, "the block holds a value that JSON cannot represent"))
}

/// Decodes a block from base64, unless it holds more than one block may, or the budget is exhausted.
fn decode_block(base64: &str, budget: &mut ByteBudget) -> Result<Block, Refusal> {
    let limit = limits::UNPACKED_BLOCK_BYTES;
    // Only a block that is made to be large takes more bytes encoded than decoded.
    if budget.is_exhausted() || base64.len() / 4 * 3 > limit {
        return Err(too_large());
    }
    let bytes = STANDARD.decode(base64).map_err(|_| invalid_block(Reason::DataInvalid, "not base64"))?;
    let malformed = |error: DecodeError| invalid_block(Reason::DataInvalid, error.to_string());
    let samples = Block::count_samples(&bytes).map_err(malformed)?;
    if samples > limits::SAMPLES_PER_EVENT {
        let detail = format!("at most {} samples in an event; this one has {samples}", limits::SAMPLES_PER_EVENT);
        return Err(invalid_block(Reason::TooManySamples, detail));
    }
    let block = match Block::decode_at_most(&bytes, limit / VALUE_BYTES) {
        Err(DecodeError::TooMany { what: "values", .. }) => None,
        decoded => Some(decoded.map_err(malformed)?).filter(|block| block.unpacked_bytes() <= limit),
    };
    // A block that is refused uses the budget as well, or a record could hold any number of such blocks.
    budget.consume(block.as_ref().map_or(limit, Block::unpacked_bytes));
    block.ok_or_else(too_large)
}

fn invalid_block(reason: Reason, detail: impl Into<String>) -> Refusal {
    Refusal::new(reason, "/data_base64", detail)
}

fn too_large() -> Refusal {
    let (one, all) = (limits::UNPACKED_BLOCK_BYTES / VALUE_BYTES, limits::UNPACKED_BLOCKS_BYTES / VALUE_BYTES);
    invalid_block(
        Reason::TooLarge,
        format!("a block may hold {one} values, and those of one record {all}; texts count for more"),
    )
}

/// How many samples an event holds, however wrong it is otherwise: 1 where its data cannot be counted.
pub fn count_samples(event: &RawValue) -> usize {
    match Envelope::read(event) {
        Ok(envelope @ Envelope { data: Data::Binary { .. }, .. }) => match &envelope.data {
            Data::Binary { base64, .. } => {
                let samples = STANDARD.decode(base64).ok().and_then(|bytes| Block::count_samples(&bytes).ok());
                samples.map_or(1, |samples| samples.max(1))
            }
            Data::Json(_) => 1,
        },
        _ => validation::count_samples(event),
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
        json_data(&envelope, &mut record_budget()).map(|data| data.get().to_owned()).map_err(refused)
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

    /// Samples of as many signals, always of the same values: a few bits each.
    fn still(signals: usize, value: &Value) -> Vec<Sample> {
        let numbered = (0..signals).map(|n| (SignalPath::parse(&format!("acme.s{n}")).unwrap(), value.clone()));
        let signals: Signals = numbered.collect();
        (0..500).map(|n| Sample { at: Timestamp::from_ms(1_793_000_000_000 + n), signals: signals.clone() }).collect()
    }

    #[test]
    fn a_block_that_unpacks_to_too_much_is_refused_without_being_unpacked() {
        let too_large = Err((Reason::TooLarge, "/data_base64".to_owned()));
        let packed = |samples: &[Sample]| event(&block_base64(samples).unwrap());
        let number = Value::Number(1.0);
        assert!(data(&packed(&still(131, &number))).is_ok());
        let wide = packed(&still(132, &number));
        assert!(wide.to_string().len() < 4096, "it is small");
        assert_eq!(data(&wide), too_large);
        assert_eq!(count_samples(&serde_json::value::to_raw_value(&wide).unwrap()), 500);
        assert_eq!(data(&packed(&still(3, &Value::from("x".repeat(1000).as_str())))), too_large);
        assert_eq!(data(&packed(&still(1, &Value::List(vec![Value::Bool(true); 256].into())))), too_large);
        assert_eq!(data(&event(&"A".repeat(2 * limits::UNPACKED_BLOCK_BYTES))), too_large);
    }

    #[test]
    fn the_blocks_of_one_record_share_their_room() {
        let decoded = |signals: usize| {
            let text = event(&block_base64(&still(signals, &Value::Number(1.0))).unwrap()).to_string();
            let raw: &RawValue = serde_json::from_str(&text).unwrap();
            let envelope = Envelope::read(raw).unwrap();
            let mut budget = record_budget();
            (0..1000).filter(|_| json_data(&envelope, &mut budget).is_ok()).count()
        };
        // 1,000 events of 500 samples of four signals fit; of a hundred signals, those that stand first.
        assert_eq!(decoded(4), 1000);
        assert_eq!(decoded(100), limits::UNPACKED_BLOCKS_BYTES.div_ceil(500 * 100 * VALUE_BYTES));
        assert_eq!(decoded(200), 0);
    }

    #[test]
    fn a_record_of_too_many_events_is_refused_whole() {
        let record = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert_eq!(split_events(&record(1000)).unwrap().len(), 1000);
        assert_eq!(split_events(&record(1001)).unwrap_err().reason, Reason::TooLarge);
    }

    #[test]
    fn a_packed_record_gives_the_text_it_was_made_of() {
        let text = event(&block_base64(&samples(500)).unwrap()).to_string().repeat(20);
        let packed = compress(&text);
        assert!(packed.len() * 5 < text.len());
        assert_eq!(decode_text(&packed).unwrap(), text);
        assert_eq!(decode_text(b"[]").unwrap(), "[]");
        assert_eq!(compress("[]"), b"[]", "what grows is left as it is");
    }

    #[test]
    fn a_frame_that_unpacks_to_more_than_a_record_may_hold_is_refused_without_being_unpacked() {
        let bomb = zstd::bulk::compress(&vec![b' '; 1 << 30], 1).unwrap();
        assert!(bomb.len() < limits::UPLOAD_BYTES);
        assert_eq!(decode_text(&bomb).unwrap_err().reason, Reason::TooLarge);
    }

    #[test]
    fn a_frame_cut_off_or_followed_by_something_is_refused() {
        let packed = compress(&"abc".repeat(100));
        assert!(decode_text(&packed[..packed.len() - 1]).is_err());
        assert!(decode_text(&[packed.clone(), packed].concat()).is_err());
    }

    proptest! {
        #[test]
        fn no_record_makes_the_reader_panic(mut bytes: Vec<u8>, base64: String) {
            let _ = decode_text(&bytes);
            bytes.splice(0..0, ZSTD_MAGIC);
            let _ = decode_text(&bytes);
            let _ = data(&event(&base64));
        }
    }
}
