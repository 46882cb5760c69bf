//! Records of the telemetry stream, as the API, devices and partners put them, and the events in them.
//!
//! A record is JSON, one CloudEvent or a batch, or the same JSON as one zstd frame. The data of an event is JSON, in `data` or
//! encoded in `data_base64`, or a block of samples created on the device, with `datacontenttype` [`BLOCK_CONTENT_TYPE`] and
//! the bytes in `data_base64`. All forms are converted to the same JSON, so that HTTP and the stream, and every payload, pass the same validation.
//!
//! Frames and blocks can have a high compression ratio. Legitimate data of a stationary vehicle has the highest: five
//! minutes of it take some hundred bytes. So nothing is refused for its compression ratio. It is refused for its decoded
//! size, before it is decoded, so that the cost of one record is bounded, whatever its sender intends.

mod text;

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_blocks::limits::{DecodeLimits, VALUE_BYTES};
use roadcast_blocks::{Block, DecodeError, EncodeError};
use roadcast_domain::byte_budget::ByteBudget;
use roadcast_domain::cloudevent::{self, Data, Envelope};
use roadcast_domain::event::EventType;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::limits;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::validation::{self, EventData};
use roadcast_signals::{Sample, Samples};
use serde_json::value::{RawValue, to_raw_value};

use crate::BLOCK_CONTENT_TYPE;
use crate::byte_order_mark::without_byte_order_mark;

pub use text::{RecordTexts, decode_text};

/// The compression level. Measured on uploads of 10 samples: higher levels take several times as long and save a few
/// percent.
const LEVEL: i32 = 3;

fn not_json(detail: &str) -> Refusal {
    Refusal::new(Reason::NotJson, JsonPointer::ROOT, detail)
}

/// Splits the text of a record into its events.
pub fn split_events(text: &str) -> Result<Vec<&RawValue>, Refusal> {
    cloudevent::split_events_limited(text, limits::EVENTS_PER_UPLOAD)
}

/// Returns the budget for the decoded size of all blocks of one record: [`limits::UNPACKED_BLOCKS_BYTES`].
pub const fn record_budget() -> ByteBudget {
    ByteBudget::new(limits::UNPACKED_BLOCKS_BYTES)
}

/// Returns the data of an event of this type. JSON in `data_base64` is decoded. A block is decoded within `budget`, which all blocks of one
/// record share.
pub fn event_data<'a>(event_type: &str, data: Data<'a>, budget: &mut ByteBudget) -> Result<EventData<'a>, Refusal> {
    let (content_type, base64) = match data {
        Data::Json(data) => return Ok(data.into()),
        Data::Samples(samples) => return Ok(EventData::Read(samples)),
        Data::Binary { content_type, base64 } => (content_type, base64),
    };
    if cloudevent::is_json(&content_type) {
        return decode_json(&base64).map(|json| EventData::Json(Cow::Owned(json)));
    }
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(BLOCK_CONTENT_TYPE) {
        let detail = format!("data must be JSON or a block ({BLOCK_CONTENT_TYPE})");
        return Err(Refusal::new(Reason::DataInvalid, ["datacontenttype"], detail));
    }
    if event_type != EventType::Telemetry.as_str() {
        let detail = format!("only {} may be sent as a block", EventType::Telemetry.as_str());
        return Err(Refusal::new(Reason::DataInvalid, ["datacontenttype"], detail));
    }
    let (_, samples) = decode_block(&base64, budget)?.into_parts();
    Ok(EventData::Samples(samples))
}

/// Decodes JSON from base64. It is shorter than the base64, so that its size needs no limit of its own.
fn decode_json(base64: &str) -> Result<Box<RawValue>, Refusal> {
    let invalid = |detail| Refusal::new(Reason::DataInvalid, ["data_base64"], detail);
    let bytes = STANDARD.decode(base64).map_err(|_| invalid("not base64"))?;
    let text = std::str::from_utf8(&bytes).map(without_byte_order_mark);
    let json = text.ok().and_then(|text| serde_json::from_str(text).ok());
    json.ok_or_else(|| invalid("the decoded data is not JSON, although datacontenttype is JSON or absent"))
}

/// Decodes a block from base64, unless it exceeds the limit of one block or the budget is exhausted.
fn decode_block(base64: &str, budget: &mut ByteBudget) -> Result<Block, Refusal> {
    let limit = limits::UNPACKED_BLOCK_BYTES;
    // Only a block that is constructed to be large takes more bytes encoded than decoded.
    if budget.is_exhausted() || base64.len() / 4 * 3 > limit {
        return Err(too_large());
    }
    let bytes = base64_simd::STANDARD.decode_to_vec(base64);
    let bytes = bytes.map_err(|_| invalid_block(Reason::DataInvalid, "not base64"))?;
    let malformed = |error: DecodeError| invalid_block(Reason::DataInvalid, error.to_string());
    let decode_limits =
        DecodeLimits { samples: limits::SAMPLES_PER_EVENT, values: limit.min(budget.remaining()) / VALUE_BYTES };
    let block = match Block::decode_limited(&bytes, decode_limits) {
        Err(DecodeError::TooMany { what: "samples", limit: limits::SAMPLES_PER_EVENT }) => {
            let samples = Block::count_samples(&bytes).map_err(malformed)?;
            let detail = format!("an event has at most {} samples; this one has {samples}", limits::SAMPLES_PER_EVENT);
            return Err(invalid_block(Reason::TooManySamples, detail));
        }
        Err(DecodeError::TooMany { what: "values", .. }) => None,
        decoded => Some(decoded.map_err(malformed)?).filter(|block| block.unpacked_bytes() <= limit),
    };
    if let Some(block) = block
        && budget.try_reserve(block.unpacked_bytes()).is_ok()
    {
        return Ok(block);
    }
    // A refused block consumes the budget as well; otherwise a record could contain any number of such blocks.
    budget.consume(limit);
    Err(too_large())
}

fn invalid_block(reason: Reason, detail: impl Into<String>) -> Refusal {
    Refusal::new(reason, ["data_base64"], detail)
}

fn too_large() -> Refusal {
    let (one, all) = (limits::UNPACKED_BLOCK_BYTES / VALUE_BYTES, limits::UNPACKED_BLOCKS_BYTES / VALUE_BYTES);
    invalid_block(
        Reason::TooLarge,
        format!("a block may contain {one} values, and all blocks of one record {all}; texts count as several values"),
    )
}

/// Returns the number of samples in an event, even if the event is invalid: 1 if the samples cannot be counted.
pub fn count_samples(event: &str) -> usize {
    let Ok(event) = serde_json::from_str::<&RawValue>(event) else { return 1 };
    match Envelope::parse(event) {
        Ok(Envelope { data: Data::Binary { content_type, base64 }, event_type, .. }) => {
            let samples = if cloudevent::is_json(&content_type) {
                decode_json(&base64).ok().and_then(|data| count_json_samples(&event_type, &data))
            } else {
                STANDARD.decode(&*base64).ok().and_then(|bytes| Block::count_samples(&bytes).ok())
            };
            samples.map_or(1, |samples| samples.max(1))
        }
        _ => validation::count_samples(event),
    }
}

/// Returns the number of samples in data that was encoded in base64.
fn count_json_samples(event_type: &str, data: &RawValue) -> Option<usize> {
    let event = to_raw_value(&BTreeMap::from([("type", to_raw_value(event_type).ok()?), ("data", data.to_owned())]));
    event.ok().map(|event| validation::count_samples(&event))
}

/// Encodes the text of a record for the stream: as a zstd frame if that is smaller. A shard or batch then has several times
/// the capacity.
pub fn compress(text: &str) -> Vec<u8> {
    match zstd::bulk::compress(text.as_bytes(), LEVEL) {
        Ok(compressed) if compressed.len() < text.len() => compressed,
        _ => text.as_bytes().to_vec(),
    }
}

/// Encodes samples as a block in base64: the `data_base64` of an event with `datacontenttype` [`BLOCK_CONTENT_TYPE`].
pub fn block_base64(samples: &[Sample]) -> Result<String, EncodeError> {
    Ok(STANDARD.encode(Block::from_samples(samples)?.encode()))
}

/// Encodes samples in columns like [`block_base64`].
pub fn columns_base64(samples: Samples) -> Result<String, EncodeError> {
    Ok(STANDARD.encode(Block::new(Vec::new(), samples)?.encode()))
}

#[cfg(test)]
mod tests;
