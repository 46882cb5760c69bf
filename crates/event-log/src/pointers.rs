//! Compact encoding of event pointers: each vehicle id once, followed by the ids of its events.

use roadcast_domain::ids::{Eid, VehicleId};

use roadcast_codec::bytes::{Malformed, Reader, write_number, write_text};

const VERSION: u8 = 1;
/// Bytes of an event id without the time.
const HASH_BYTES: usize = 10;

/// The bytes are not encoded pointers.
#[derive(Debug, thiserror::Error)]
#[error("malformed event pointers")]
pub struct PointersDecodeError;

impl From<Malformed> for PointersDecodeError {
    fn from(_: Malformed) -> Self {
        Self
    }
}

/// Encodes pointers, in order. Consecutive events of the same vehicle take the fewest bytes.
pub fn encode(events: &[(VehicleId, Eid)]) -> Vec<u8> {
    let mut out = vec![VERSION];
    for run in events.chunk_by(|a, b| a.0 == b.0) {
        write_text(&mut out, run[0].0.as_str());
        write_number(&mut out, run.len() as u64);
        let mut previous_ms = 0;
        for (_, eid) in run {
            let ms = eid.time().ms();
            write_number(&mut out, zigzag(ms - previous_ms));
            out.extend_from_slice(&eid.hash().to_be_bytes()[16 - HASH_BYTES..]);
            previous_ms = ms;
        }
    }
    out
}

/// Decodes pointers.
pub fn decode(bytes: &[u8]) -> Result<Vec<(VehicleId, Eid)>, PointersDecodeError> {
    let mut reader = Reader(bytes);
    if reader.byte()? != VERSION {
        return Err(PointersDecodeError);
    }
    let mut events = Vec::new();
    while !reader.0.is_empty() {
        let vid: VehicleId = reader.text()?.parse().map_err(|_| PointersDecodeError)?;
        let mut ms = 0_i64;
        for _ in 0..reader.count()? {
            ms = ms.checked_add(unzigzag(reader.number()?)).ok_or(PointersDecodeError)?;
            let mut hash = [0; 16];
            hash[16 - HASH_BYTES..].copy_from_slice(reader.take(HASH_BYTES)?);
            let eid = Eid::from_time_and_salt(roadcast_domain::Timestamp::from_ms(ms), u128::from_be_bytes(hash));
            events.push((vid.clone(), eid));
        }
    }
    Ok(events)
}

/// Maps signed numbers near zero, of either sign, to small unsigned numbers.
#[allow(clippy::cast_sign_loss)] // intended
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

#[allow(clippy::cast_possible_wrap)] // see `zigzag`
fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn six_pointers_of_one_vehicle_take_at_most_105_bytes() {
        let vid = VehicleId::from_random_bits(7);
        let at = |n: i64| {
            Eid::for_event(&vid, "s", &n.to_string(), roadcast_domain::Timestamp::from_ms(1_793_000_000_000 + n * 10_000))
        };
        let events: Vec<_> = (0..6).map(|n| (vid.clone(), at(n))).collect();
        let bytes = encode(&events);
        assert_eq!(decode(&bytes).unwrap(), events);
        assert!(bytes.len() <= 105, "{}", bytes.len());
    }

    proptest! {
        #[test]
        fn pointers_round_trip(events in prop::collection::vec((0_u128..3, any::<u128>()), 0..20)) {
            let events: Vec<_> = events.into_iter().map(|(vid, eid)| (VehicleId::from_random_bits(vid), Eid::from_bits(eid))).collect();
            prop_assert_eq!(decode(&encode(&events)).unwrap(), events);
        }

        #[test]
        fn decoding_arbitrary_bytes_never_panics(mut bytes: Vec<u8>) {
            bytes.insert(0, VERSION);
            let _ = decode(&bytes);
        }
    }
}
