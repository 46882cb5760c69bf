//! A vehicle's state in bytes: the samples that its newest readings came in, as a block.
//!
//! | part | what |
//! |---|---|
//! | version | one byte |
//! | watermark | 0, or 1 and milliseconds since 1970 in 8 bytes, the highest first |
//! | places | for each sample of the block its place in its event, LEB128; their count first |
//! | block | the rest: every reading in the sample and event it came in |

use std::collections::BTreeMap;

use roadcast_blocks::{Block, BlockEvent, DecodeError, EncodeError};
use roadcast_domain::ids::Eid;
use roadcast_domain::state::{LastKnown, VehicleState};
use roadcast_signals::{Sample, Signals, Timestamp};

use crate::bytes::{Malformed, Reader, write_number};

const VERSION: u8 = 1;

/// Bytes that are no state.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableState {
    /// Cut short or made up.
    #[error("malformed")]
    Malformed,
    /// Written by a later release.
    #[error("version {0} is not known here")]
    Version(u8),
    /// Its readings.
    #[error("the readings")]
    Block(#[from] DecodeError),
}

impl From<Malformed> for UnreadableState {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// The bytes of a state.
pub fn encode(state: &VehicleState) -> Result<Vec<u8>, EncodeError> {
    let mut events: BTreeMap<(Eid, Timestamp), BTreeMap<(u32, Timestamp), Signals>> = BTreeMap::new();
    for (path, known) in &state.signals {
        let samples = events.entry((known.eid, known.received)).or_default();
        samples.entry((known.index, known.at)).or_default().insert(path.clone(), known.value.clone());
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
        out.extend(Block::of_events(&rows)?.encode());
    }
    Ok(out)
}

/// The state of those bytes.
pub fn decode(bytes: &[u8]) -> Result<VehicleState, UnreadableState> {
    let mut reader = Reader(bytes);
    let version = reader.byte()?;
    if version != VERSION {
        return Err(UnreadableState::Version(version));
    }
    let watermark = match reader.byte()? {
        0 => None,
        1 => Some(Timestamp::from_ms(i64::from_be_bytes(reader.take(8)?.try_into().map_err(|_| Malformed)?))),
        _ => return Err(UnreadableState::Malformed),
    };
    let count = reader.count()?;
    let mut places = Vec::with_capacity(count);
    for _ in 0..count {
        places.push(u32::try_from(reader.number()?).map_err(|_| Malformed)?);
    }
    let mut state = VehicleState { watermark, ..VehicleState::default() };
    if reader.0.is_empty() && places.is_empty() {
        return Ok(state);
    }
    let mut places = places.into_iter();
    for BlockEvent { eid, received, samples } in Block::decode(reader.0)?.events() {
        for Sample { at, signals } in samples {
            let index = places.next().ok_or(Malformed)?;
            let eid = Eid::from_bits(eid);
            let known = |value| LastKnown { value, at, received, eid, index };
            state.signals.extend(signals.into_iter().map(|(path, value)| (path, known(value))));
        }
    }
    if places.next().is_some() { Err(UnreadableState::Malformed) } else { Ok(state) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use roadcast_testbed::fixtures::{at, drive};

    use super::*;

    #[test]
    fn a_state_takes_little_more_than_its_newest_samples() {
        let mut newest = VehicleState::default();
        for n in 0..6 {
            newest.observe(&drive(1, n, n * 10, 10).event);
        }
        newest.advance_watermark(at(59));
        let bytes = encode(&newest).unwrap();
        assert_eq!(decode(&bytes).unwrap(), newest);
        assert!(bytes.len() < 100, "{} bytes", bytes.len());
        assert_eq!(decode(&encode(&VehicleState::default()).unwrap()).unwrap(), VehicleState::default());
    }

    proptest! {
        #[test]
        fn any_state_comes_back(events in prop::collection::vec((0_i64..30, -400_i64..400, 1_i64..5), 0..12)) {
            let mut expected = VehicleState::default();
            for (n, start, samples) in events {
                expected.observe(&drive(1, n, start, samples).event);
            }
            prop_assert_eq!(decode(&encode(&expected).unwrap()).unwrap(), expected);
        }

        #[test]
        fn no_bytes_make_the_state_reader_panic(mut bytes: Vec<u8>) {
            bytes.insert(0, 1);
            let _ = decode(&bytes);
        }
    }
}
