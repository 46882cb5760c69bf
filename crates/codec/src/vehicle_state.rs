//! Encoding of a vehicle's state: the samples that contain its newest values, as a block.
//!
//! | part | contents |
//! |---|---|
//! | version | one byte |
//! | watermark | 0 if absent; otherwise 1, then milliseconds since 1970 in 8 bytes, big-endian |
//! | indices | LEB128: the number of samples in the block, then for each sample its index in its event |
//! | block | the remaining bytes: each value in the sample and event that contained it |

use std::collections::BTreeMap;

use roadcast_blocks::{Block, BlockEvent, DecodeError, EncodeError};
use roadcast_domain::ids::Eid;
use roadcast_domain::state::{LastKnown, VehicleState};
use roadcast_signals::{Sample, Signals, Timestamp};

use crate::bytes::{Malformed, Reader, write_number};

const VERSION: u8 = 1;

/// The bytes are not an encoded state.
#[derive(Debug, thiserror::Error)]
pub enum StateDecodeError {
    /// Truncated or invalid bytes.
    #[error("malformed vehicle state")]
    Malformed,
    /// Written by a later release.
    #[error("unsupported version {0} of the vehicle state")]
    Version(u8),
    /// The block cannot be decoded.
    #[error("the block of the vehicle state cannot be decoded")]
    Block(#[from] DecodeError),
}

impl From<Malformed> for StateDecodeError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Encodes a state.
pub fn encode(state: &VehicleState) -> Result<Vec<u8>, EncodeError> {
    let mut events: BTreeMap<(Eid, Timestamp), BTreeMap<(u32, Timestamp), Signals>> = BTreeMap::new();
    for (path, last) in &state.signals {
        let samples = events.entry((last.eid, last.received)).or_default();
        samples.entry((last.index, last.at)).or_default().insert(path.clone(), last.value.clone());
    }

    let mut out = vec![VERSION, u8::from(state.watermark.is_some())];
    out.extend(state.watermark.iter().flat_map(|watermark| watermark.ms().to_be_bytes()));
    write_number(&mut out, events.values().map(BTreeMap::len).sum::<usize>() as u64);
    for (index, _) in events.values().flat_map(BTreeMap::keys) {
        write_number(&mut out, u64::from(*index));
    }
    let rows = events.into_iter().map(|((eid, received), samples)| BlockEvent {
        eid: eid.bits(),
        received,
        samples: samples.into_iter().map(|((_, at), signals)| Sample { at, signals }).collect(),
    });
    let rows: Vec<BlockEvent> = rows.collect();
    if !rows.is_empty() {
        out.extend(Block::from_events(&rows)?.encode());
    }
    Ok(out)
}

/// Decodes a state.
pub fn decode(bytes: &[u8]) -> Result<VehicleState, StateDecodeError> {
    let mut reader = Reader(bytes);
    let version = reader.byte()?;
    if version != VERSION {
        return Err(StateDecodeError::Version(version));
    }
    let watermark = match reader.byte()? {
        0 => None,
        1 => Some(Timestamp::from_ms(i64::from_be_bytes(reader.take(8)?.try_into().map_err(|_| Malformed)?))),
        _ => return Err(StateDecodeError::Malformed),
    };
    let count = reader.count()?;
    let mut indices = Vec::with_capacity(count);
    for _ in 0..count {
        indices.push(u32::try_from(reader.number()?).map_err(|_| Malformed)?);
    }
    let mut state = VehicleState { watermark, ..VehicleState::default() };
    if reader.0.is_empty() && indices.is_empty() {
        return Ok(state);
    }
    let mut indices = indices.into_iter();
    for BlockEvent { eid, received, samples } in Block::decode(reader.0)?.events() {
        for Sample { at, signals } in samples {
            let index = indices.next().ok_or(Malformed)?;
            let eid = Eid::from_bits(eid);
            let last_known = |value| LastKnown { value, at, received, eid, index };
            state.signals.extend(signals.into_iter().map(|(path, value)| (path, last_known(value))));
        }
    }
    if indices.next().is_some() {
        return Err(StateDecodeError::Malformed);
    }
    state.remove_split_position();
    Ok(state)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use roadcast_testbed::fixtures::{at, driving_event};

    use super::*;

    #[test]
    fn state_of_a_drive_takes_less_than_100_bytes() {
        let mut newest = VehicleState::default();
        for n in 0..6 {
            newest.merge_event(&driving_event(1, n, n * 10, 10).event);
        }
        newest.advance_watermark(at(59));
        let bytes = encode(&newest).unwrap();
        assert_eq!(decode(&bytes).unwrap(), newest);
        assert!(bytes.len() < 100, "{} bytes", bytes.len());
        assert_eq!(decode(&encode(&VehicleState::default()).unwrap()).unwrap(), VehicleState::default());
    }

    proptest! {
        #[test]
        fn states_round_trip(events in prop::collection::vec((0_i64..30, -400_i64..400, 1_i64..5), 0..12)) {
            let mut expected = VehicleState::default();
            for (n, start, samples) in events {
                expected.merge_event(&driving_event(1, n, start, samples).event);
            }
            prop_assert_eq!(decode(&encode(&expected).unwrap()).unwrap(), expected);
        }

        #[test]
        fn decoding_arbitrary_bytes_never_panics(mut bytes: Vec<u8>) {
            bytes.insert(0, 1);
            let _ = decode(&bytes);
        }
    }
}
