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
    #![allow(clippy::panic, clippy::unwrap_used)]
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use roadcast_signals::{
        Catalogue, Datatype, MAX_LIST_BYTES, MAX_LIST_LEN, MAX_TEXT_BYTES, SignalDef, SignalPath, Value, accept,
    };
    use roadcast_testbed::fixtures::{at, driving_event};

    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn state_of_a_drive_takes_less_than_100_bytes() {
        let mut newest = VehicleState::default();
        for n in 0..6 {
            newest.merge_event(&driving_event(1, n, n * 10, 10).event);
        }
        newest.advance_watermark(&driving_event(1, 0, 0, 1).event.vid, at(59));
        let bytes = encode(&newest).unwrap();
        assert_eq!(decode(&bytes).unwrap(), newest);
        assert!(bytes.len() < 100, "{} bytes", bytes.len());
        assert_eq!(decode(&encode(&VehicleState::default()).unwrap()).unwrap(), VehicleState::default());
    }

    /// Maximum bytes of an encoded state. An item of `DynamoDB` has 400 KB; the difference is for signals to come.
    const MAX_STATE_BYTES: usize = 350 * 1024;

    /// The largest accepted value of a signal, different for each signal and each entry of a list.
    fn largest_value(def: &SignalDef) -> Value {
        let mut bits = u64::from(def.number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = || {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bits >> 11
        };
        let mut scalar = |max_text_bytes: usize| match def.datatype {
            Datatype::Boolean => next().is_multiple_of(2).to_string(),
            Datatype::String => {
                if let Some(longest) = def.allowed.iter().max_by_key(|text| text.len()) {
                    return format!("{longest:?}");
                }
                let mut text = String::new();
                while text.len() < max_text_bytes {
                    write!(text, "{:016x}", next()).unwrap();
                }
                format!("\"{text}\"")
            }
            _ => {
                let (low, high) = match def.datatype {
                    Datatype::Int8 => (-128.0, 127.0),
                    Datatype::Uint8 => (0.0, 255.0),
                    Datatype::Int16 => (-32_768.0, 32_767.0),
                    Datatype::Uint16 => (0.0, 65_535.0),
                    Datatype::Int32 => (-2_147_483_648.0, 2_147_483_647.0),
                    Datatype::Uint32 => (0.0, 4_294_967_295.0),
                    Datatype::Int64 => (-9e15, 9e15),
                    Datatype::Uint64 => (0.0, 9e15),
                    Datatype::Float => (-3e38, 3e38),
                    _ => (-1e300, 1e300),
                };
                let (low, high) = (def.min.map_or(low, |min| min.max(low)), def.max.map_or(high, |max| max.min(high)));
                #[allow(clippy::cast_precision_loss)] // any fraction
                let value = low / 2.0 + high / 2.0 + (high / 2.0 - low / 2.0) * (next() as f64 / (1_u64 << 53) as f64);
                if def.datatype.is_integer() {
                    format!("{:.0}", value.clamp(-9e15, 9e15).trunc())
                } else {
                    format!("{value:e}")
                }
            }
        };
        let json = if def.is_array {
            let text_bytes = if def.allowed.is_empty() { MAX_LIST_BYTES / MAX_LIST_LEN } else { MAX_TEXT_BYTES };
            format!("[{}]", (0..MAX_LIST_LEN).map(|_| scalar(text_bytes)).collect::<Vec<_>>().join(","))
        } else {
            scalar(MAX_TEXT_BYTES)
        };
        let raw = RawValue::from_string(json).unwrap();
        accept(def.path, &raw).unwrap_or_else(|error| panic!("{}: {error}: {raw}", def.path)).1
    }

    /// Whatever a sender sends, a state fits into an item. If new signals make this fail, lower the limits of texts.
    #[test]
    fn largest_state_of_all_signals_fits_into_an_item() {
        let mut state = VehicleState { watermark: Some(at(0)), ..VehicleState::default() };
        for def in Catalogue::get().iter() {
            let number = u128::from(def.number);
            // Every signal in another event and sample, at times that no step describes.
            let scatter = i64::from(def.number) * 7_919_993 % 1_000_003;
            let hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            let last = LastKnown {
                value: largest_value(def),
                at: at(scatter).plus_ms(scatter % 997),
                received: at(scatter).plus_ms(scatter * 31 % 1_000_003),
                eid: Eid::from_time_and_salt(at(scatter * 3 % 1_000_003), hash),
                index: u32::MAX - u32::from(def.number),
            };
            state.signals.insert(SignalPath::parse(def.path).unwrap(), last);
        }
        let [latitude, longitude] =
            ["Latitude", "Longitude"].map(|name| SignalPath::parse(&format!("Vehicle.CurrentLocation.{name}")).unwrap());
        let position = state.signals[&latitude].clone();
        let other = state.signals.get_mut(&longitude).unwrap();
        *other = LastKnown { value: other.value.clone(), ..position };

        let bytes = encode(&state).unwrap();
        assert!(bytes.len() <= MAX_STATE_BYTES, "{} bytes", bytes.len());
        assert!(bytes.len() > 150 * 1024, "{} bytes: the state is not the largest", bytes.len());
        assert_eq!(decode(&bytes).unwrap(), state);
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
