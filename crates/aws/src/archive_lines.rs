//! The lines of the archive: JSON, one object a line, zstd.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::refusal::Reason;
use roadcast_ports::archive::{QuarantinedItem, RawBatch, RawRecord};
use roadcast_signals::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// Bytes as they came: `data` where they are UTF-8, else `data_base64`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Data {
    /// UTF-8.
    #[serde(rename = "data")]
    Text(String),
    /// Other bytes, in base64.
    #[serde(rename = "data_base64")]
    Base64(String),
}

impl Data {
    /// Takes bytes.
    pub fn of(bytes: &[u8]) -> Self {
        std::str::from_utf8(bytes).map_or_else(|_| Self::Base64(STANDARD.encode(bytes)), |text| Self::Text(text.to_owned()))
    }

    /// The bytes.
    pub fn bytes(&self) -> Result<Vec<u8>, base64::DecodeError> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => STANDARD.decode(text),
        }
    }
}

/// A record of the stream, under `raw/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawLine {
    /// Its shard.
    pub shard: String,
    /// Its sequence number there. Objects may overlap: this tells records apart.
    pub seq: String,
    /// When the stream took it.
    #[serde(rename = "arrivedAt")]
    pub arrived_at: Timestamp,
    /// Its bytes.
    #[serde(flatten)]
    pub data: Data,
}

impl RawLine {
    /// The line of a record.
    pub fn of(shard: &str, record: &RawRecord) -> Self {
        Self {
            shard: shard.to_owned(),
            seq: record.sequence_number.clone(),
            arrived_at: record.arrived_at,
            data: Data::of(&record.data),
        }
    }
}

/// What was set aside, under `quarantine/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineLine {
    /// Why, as its code.
    #[serde(deserialize_with = "reason_of_code")]
    pub reason: Reason,
    /// What is wrong, and where in the event.
    pub pointer: String,
    /// The vehicle, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vid: Option<VehicleId>,
    /// The event, where its envelope was right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eid: Option<Eid>,
    /// The sample's place in the event; none for a whole event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Samples that this stands for.
    pub samples: usize,
    /// The shard of the record it came in.
    pub shard: String,
    /// That record's sequence number.
    pub seq: String,
    /// When the stream took that record.
    #[serde(rename = "arrivedAt")]
    pub arrived_at: Timestamp,
    /// The bytes.
    #[serde(flatten)]
    pub data: Data,
}

impl QuarantineLine {
    /// The line of an item.
    pub fn of(item: &QuarantinedItem) -> Self {
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
            data: Data::of(&item.bytes),
        }
    }
}

fn reason_of_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reason, D::Error> {
    let code = String::deserialize(deserializer)?;
    Reason::from_code(&code).ok_or_else(|| serde::de::Error::custom(format!("no reason {code:?}")))
}

/// The lines of a batch.
pub(crate) fn raw_lines(batch: &RawBatch) -> Vec<RawLine> {
    batch.records.iter().map(|record| RawLine::of(&batch.shard, record)).collect()
}

/// An object of lines that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// A line is not of the form.
    #[error("line {line} is not of the form")]
    Form {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The object is not zstd.
    #[error("not zstd")]
    Compression(#[from] std::io::Error),
}

/// Lines as text, each with its line feed.
pub(crate) fn to_text(lines: &[impl Serialize]) -> Result<Vec<u8>, LinesError> {
    let mut text = Vec::new();
    for (line, number) in lines.iter().zip(1..) {
        serde_json::to_writer(&mut text, line).map_err(|source| LinesError::Form { line: number, source })?;
        text.push(b'\n');
    }
    Ok(text)
}

/// What the archive's objects hold of a text.
pub(crate) fn compress(text: &[u8]) -> Result<Vec<u8>, LinesError> {
    Ok(zstd::bulk::compress(text, zstd::DEFAULT_COMPRESSION_LEVEL)?)
}

/// The lines of an object.
pub(crate) fn read<T: DeserializeOwned>(object: &[u8]) -> Result<Vec<T>, LinesError> {
    let text = zstd::stream::decode_all(object)?;
    let lines = text.split(|byte| *byte == b'\n').zip(1..).filter(|(line, _)| !line.is_empty());
    lines
        .map(|(line, number)| serde_json::from_slice(line).map_err(|source| LinesError::Form { line: number, source }))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn raw(bytes: &[u8]) -> RawLine {
        let arrived_at = Timestamp::parse_rfc3339("2026-11-03T09:59:59.999Z").unwrap();
        RawLine { shard: "shardId-000000000000".to_owned(), seq: "4967".to_owned(), arrived_at, data: Data::of(bytes) }
    }

    #[test]
    fn a_raw_line_holds_text_as_text_and_other_bytes_as_base64() {
        let text = |bytes| String::from_utf8(to_text(&[raw(bytes)]).unwrap()).unwrap();
        let head = r#"{"shard":"shardId-000000000000","seq":"4967","arrivedAt":"2026-11-03T09:59:59.999Z","#;
        assert_eq!(text("{\"é\":1}\n".as_bytes()), format!("{head}\"data\":\"{{\\\"é\\\":1}}\\n\"}}\n"));
        assert_eq!(text(&[0xFF, 0]), format!("{head}\"data_base64\":\"/wA=\"}}\n"));
    }

    #[test]
    fn a_quarantine_line_survives_with_and_without_what_is_not_known() {
        let parked = QuarantinedItem {
            reason: Reason::TimeAhead,
            pointer: "/data/samples/3/at".to_owned(),
            vid: Some(VehicleId::from_random(1)),
            eid: Some(Eid::MIN),
            index: Some(3),
            samples: 1,
            shard: "s".to_owned(),
            sequence_number: "1".to_owned(),
            arrived_at: Timestamp::from_ms(0),
            bytes: vec![b'"', 0xFE],
        };
        let unknown = QuarantinedItem { reason: Reason::NotJson, vid: None, eid: None, index: None, ..parked.clone() };
        let lines = [QuarantineLine::of(&parked), QuarantineLine::of(&unknown)];
        let text = to_text(&lines).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("null"));
        let back: Vec<QuarantineLine> = read(&compress(&text).unwrap()).unwrap();
        assert_eq!(back, lines);
        assert_eq!(back[0].data.bytes().unwrap(), parked.bytes);
    }

    #[test]
    fn an_object_that_is_not_ours_is_an_error() {
        assert!(read::<RawLine>(b"not zstd").is_err());
        let error = read::<RawLine>(&compress(b"\n{}\n").unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "line 2 is not of the form");
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_as_they_were(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..9)) {
            let lines: Vec<RawLine> = records.iter().map(|bytes| raw(bytes)).collect();
            let back: Vec<RawLine> = read(&compress(&to_text(&lines).unwrap()).unwrap()).unwrap();
            let bytes: Vec<Vec<u8>> = back.iter().map(|line| line.data.bytes().unwrap()).collect();
            prop_assert_eq!(bytes, records);
        }
    }
}
