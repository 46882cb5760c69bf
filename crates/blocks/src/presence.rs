//! Encoding of which samples have a signal.

use std::sync::Arc;

use roadcast_signals::Presence;

use crate::DecodeError;
use crate::bits::{BitReader, BitWriter, golomb_bits};

/// Writes the presence. `explicit` contains the presences already written in this block: signals of the same source
/// mostly have the same presence, which is then written as a reference.
pub(crate) fn write<'a>(bits: &mut BitWriter, presence: &'a Presence, explicit: &mut Vec<&'a [bool]>) {
    bits.write_bit(*presence != Presence::All);
    let Presence::Some(present) = presence else { return };
    let distance = explicit.iter().rev().position(|other| *other == &**present);
    bits.write_golomb(distance.map_or(0, |index| index as u64 + 1), 0);
    if distance.is_some() {
        return;
    }
    let lengths: Vec<u64> = present.chunk_by(|a, b| a == b).map(|run| run.len() as u64 - 1).collect();
    let run_bits = 1 + lengths.iter().map(|length| golomb_bits(*length, RUN_ORDER) as usize).sum::<usize>();
    bits.write_bit(run_bits < present.len());
    if run_bits < present.len() {
        bits.write_bit(present.first().copied().unwrap_or_default());
        for length in lengths {
            bits.write_golomb(length, RUN_ORDER);
        }
    } else {
        for bit in present.iter() {
            bits.write_bit(*bit);
        }
    }
    explicit.push(present);
}

pub(crate) fn read(bits: &mut BitReader<'_>, rows: usize, explicit: &mut Vec<Arc<[bool]>>) -> Result<Presence, DecodeError> {
    if !bits.read_bit()? {
        return Ok(Presence::All);
    }
    let distance = usize::try_from(bits.read_golomb(0)?).map_err(|_| DecodeError::Malformed)?;
    if distance > 0 {
        let index = explicit.len().checked_sub(distance).ok_or(DecodeError::Malformed)?;
        return Ok(Presence::Some(Arc::clone(&explicit[index])));
    }
    let mut present = Vec::with_capacity(rows);
    if bits.read_bit()? {
        let mut bit = bits.read_bit()?;
        while present.len() < rows {
            let length = bits.read_golomb(RUN_ORDER)?;
            if length >= (rows - present.len()) as u64 {
                return Err(DecodeError::Malformed);
            }
            present.resize(present.len() + length as usize + 1, bit);
            bit = !bit;
        }
    } else {
        for _ in 0..rows {
            present.push(bits.read_bit()?);
        }
    }
    let present: Arc<[bool]> = present.into();
    explicit.push(Arc::clone(&present));
    Ok(Presence::Some(present))
}

/// The Golomb order of run lengths: a signal with an interval of a few seconds has short runs.
const RUN_ORDER: u32 = 1;
