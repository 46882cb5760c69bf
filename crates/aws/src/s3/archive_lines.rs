//! The lines of archived objects: one JSON object per line, compressed with zstd.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::refusal::Reason;
use roadcast_ports::archive::{QuarantinedItem, RawBatch, RawRecord};
use roadcast_signals::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// Original bytes: `data` if they are UTF-8, otherwise `data_base64`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Data {
    /// UTF-8.
    #[serde(rename = "data")]
    Text(String),
    /// Any other bytes, in base64.
    #[serde(rename = "data_base64")]
    Base64(String),
}

impl Data {
    /// Represents the given bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        std::str::from_utf8(bytes).map_or_else(|_| Self::Base64(STANDARD.encode(bytes)), |text| Self::Text(text.to_owned()))
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> Result<Vec<u8>, base64::DecodeError> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => STANDARD.decode(text),
        }
    }
}

/// A line of an object under `raw/`: a record of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawLine {
    /// The shard of the record.
    pub shard: String,
    /// The sequence number in the shard. Objects may overlap; readers deduplicate by it.
    pub seq: String,
    /// The partition key: the name of the vehicle of an event without a subject. Without it, the record cannot be redriven.
    pub key: String,
    /// When the record arrived at the stream.
    #[serde(rename = "arrivedAt")]
    pub arrived_at: Timestamp,
    /// The bytes of the record.
    #[serde(flatten)]
    pub data: Data,
}

impl RawLine {
    /// Returns the line of a record.
    pub fn new(shard: &str, record: &RawRecord) -> Self {
        Self {
            shard: shard.to_owned(),
            seq: record.sequence_number.clone(),
            key: record.partition_key.clone(),
            arrived_at: record.arrived_at,
            data: Data::from_bytes(&record.data),
        }
    }
}

/// A line of an object under `quarantine/`: a quarantined item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineLine {
    /// The reason, serialized as its code.
    #[serde(deserialize_with = "reason_from_code")]
    pub reason: Reason,
    /// The fault and its location in the event.
    pub pointer: JsonPointer,
    /// The vehicle, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vid: Option<VehicleId>,
    /// The event, if its envelope was valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eid: Option<Eid>,
    /// The index of the sample in the event; `None` for an entire event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The number of samples in the item.
    pub samples: usize,
    /// The shard of the record that contained the item.
    pub shard: String,
    /// The sequence number of that record.
    pub seq: String,
    /// When that record arrived at the stream.
    #[serde(rename = "arrivedAt")]
    pub arrived_at: Timestamp,
    /// The bytes of the item.
    #[serde(flatten)]
    pub data: Data,
}

impl QuarantineLine {
    /// Returns the line of an item.
    pub fn new(item: &QuarantinedItem) -> Self {
        Self {
            reason: item.reason,
            pointer: item.pointer.clone(),
            vid: item.vid.clone(),
            eid: item.eid,
            index: item.index,
            samples: item.samples,
            shard: item.shard.clone(),
            seq: item.sequence_number.clone(),
            arrived_at: item.arrived_at,
            data: Data::from_bytes(&item.bytes),
        }
    }
}

fn reason_from_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reason, D::Error> {
    let code = String::deserialize(deserializer)?;
    Reason::from_code(&code).ok_or_else(|| serde::de::Error::custom(format!("unknown reason {code:?}")))
}

/// Returns the lines of a batch.
pub(crate) fn raw_lines(batch: &RawBatch) -> Vec<RawLine> {
    batch.records.iter().map(|record| RawLine::new(&batch.shard, record)).collect()
}

/// An archived object that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// A line cannot be parsed or serialized.
    #[error("line {line} is malformed")]
    Line {
        /// The line number, starting at 1.
        line: usize,
        /// The cause.
        source: serde_json::Error,
    },
    /// The object cannot be compressed or decompressed.
    #[error("zstd compression or decompression failed")]
    Compression(#[from] std::io::Error),
}

/// Serializes lines, each with a line feed.
pub(crate) fn to_text(lines: &[impl Serialize]) -> Result<Vec<u8>, LinesError> {
    let mut text = Vec::new();
    for (line, number) in lines.iter().zip(1..) {
        serde_json::to_writer(&mut text, line).map_err(|source| LinesError::Line { line: number, source })?;
        text.push(b'\n');
    }
    Ok(text)
}

/// Compresses the text of an object.
pub(crate) fn compress(text: &[u8]) -> Result<Vec<u8>, LinesError> {
    Ok(zstd::bulk::compress(text, zstd::DEFAULT_COMPRESSION_LEVEL)?)
}

/// Decompresses and parses the lines of an object.
pub(crate) fn read<T: DeserializeOwned>(object: &[u8]) -> Result<Vec<T>, LinesError> {
    parse_lines(&zstd::stream::decode_all(object)?)
}

/// Parses lines.
pub(crate) fn parse_lines<T: DeserializeOwned>(text: &[u8]) -> Result<Vec<T>, LinesError> {
    let lines = text.split(|byte| *byte == b'\n').zip(1..).filter(|(line, _)| !line.is_empty());
    lines
        .map(|(line, number)| serde_json::from_slice(line).map_err(|source| LinesError::Line { line: number, source }))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn raw(bytes: &[u8]) -> RawLine {
        let arrived_at = Timestamp::parse_rfc3339("2026-11-03T09:59:59.999Z").unwrap();
        RawLine {
            shard: "shardId-000000000000".to_owned(),
            seq: "4967".to_owned(),
            key: "a partner".to_owned(),
            arrived_at,
            data: Data::from_bytes(bytes),
        }
    }

    #[test]
    fn raw_line_holds_utf8_as_text_and_other_bytes_as_base64() {
        let text = |bytes| String::from_utf8(to_text(&[raw(bytes)]).unwrap()).unwrap();
        let head =
            r#"{"shard":"shardId-000000000000","seq":"4967","key":"a partner","arrivedAt":"2026-11-03T09:59:59.999Z","#;
        assert_eq!(text("{\"é\":1}\n".as_bytes()), format!("{head}\"data\":\"{{\\\"é\\\":1}}\\n\"}}\n"));
        assert_eq!(text(&[0xFF, 0]), format!("{head}\"data_base64\":\"/wA=\"}}\n"));
    }

    #[test]
    fn quarantine_line_round_trips_with_and_without_optional_fields() {
        let item = QuarantinedItem {
            reason: Reason::TimeAhead,
            pointer: JsonPointer::from(["data", "samples"]).index(3).child("at"),
            vid: Some(VehicleId::from_random_bits(1)),
            eid: Some(Eid::MIN),
            index: Some(3),
            samples: 1,
            shard: "s".to_owned(),
            sequence_number: "1".to_owned(),
            arrived_at: Timestamp::from_ms(0),
            bytes: vec![b'"', 0xFE],
        };
        let unknown = QuarantinedItem { reason: Reason::NotJson, vid: None, eid: None, index: None, ..item.clone() };
        let lines = [QuarantineLine::new(&item), QuarantineLine::new(&unknown)];
        let text = to_text(&lines).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("null"));
        let back: Vec<QuarantineLine> = read(&compress(&text).unwrap()).unwrap();
        assert_eq!(back, lines);
        assert_eq!(back[0].data.bytes().unwrap(), item.bytes);
    }

    #[test]
    fn foreign_object_is_an_error() {
        assert!(read::<RawLine>(b"not zstd").is_err());
        let error = read::<RawLine>(&compress(b"\n{}\n").unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "line 2 is malformed");
    }

    proptest! {
        #[test]
        fn any_bytes_round_trip(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..9)) {
            let lines: Vec<RawLine> = records.iter().map(|bytes| raw(bytes)).collect();
            let back: Vec<RawLine> = read(&compress(&to_text(&lines).unwrap()).unwrap()).unwrap();
            let bytes: Vec<Vec<u8>> = back.iter().map(|line| line.data.bytes().unwrap()).collect();
            prop_assert_eq!(bytes, records);
        }
    }
}
