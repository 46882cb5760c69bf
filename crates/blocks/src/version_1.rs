//! Sequences of version 1. They are read, but no longer written.

mod rice;

use crate::DecodeError;
use crate::bits::BitReader;
use crate::first_value::FirstValue;
use crate::zigzag;

/// Bits of the prefix that identifies frequent forms; the others have further bits.
const FORM_PREFIX: u32 = 2;

/// Reads a sequence of `length` numbers.
pub(crate) fn read_sequence(bits: &mut BitReader<'_>, length: usize, first: FirstValue) -> Result<Vec<i64>, DecodeError> {
    if length == 0 {
        return Ok(Vec::new());
    }
    let head = first.read_first(bits)?;
    let mut values = Vec::with_capacity(length);
    values.push(head);
    if length == 1 {
        return Ok(values);
    }
    match bits.read(FORM_PREFIX)? {
        0 => values.resize(length, head),
        1 => rice::read::<1>(bits, &mut values, length)?,
        2 => rice::read_runs(bits, &mut values, length)?,
        _ if bits.read_bit()? => {
            let (order, width) = (bits.read(1)?, bits.read(7)? as u32);
            if width > 64 {
                return Err(DecodeError::Malformed);
            }
            let mut predicted = head;
            for _ in 1..length {
                let value = predicted.wrapping_add(zigzag::decode(bits.read(width)?));
                if order == 1 {
                    predicted = value;
                }
                values.push(value);
            }
        }
        _ if bits.read_bit()? => rice::read::<2>(bits, &mut values, length)?,
        _ => rice::read::<0>(bits, &mut values, length)?,
    }
    Ok(values)
}
