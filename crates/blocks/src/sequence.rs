//! Sequences of integers.
//!
//! Each number is predicted from the preceding ones, and the remainder is written: order 0 predicts the first number, order
//! 1 the previous number, order 2 the line through the two previous numbers. Remainders are mostly small, so they are
//! written as Rice codes whose parameter adapts to their mean, or as runs of zeros if most are zero. If neither saves space,
//! all remainders are written with the same width.

use crate::DecodeError;
use crate::bits::{BitReader, BitWriter, mask};
use crate::{rice, zigzag};

/// How the first number of a sequence is written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum FirstValue {
    /// Within bounds: in the width that the bounds require.
    Within { min: i64, width: u32 },
    /// Near zero, of either sign.
    Signed,
    /// Not negative.
    Unsigned,
}

impl FirstValue {
    /// Creates `Within` for inclusive bounds.
    pub(crate) fn within(min: i64, max: i64) -> Self {
        let span = max.abs_diff(min);
        Self::Within { min, width: 64 - span.leading_zeros() }
    }

    /// Returns whether `value` can be written.
    pub(crate) fn can_write(self, value: i64) -> bool {
        match self {
            Self::Within { min, width } => value >= min && value.abs_diff(min) <= mask(width),
            Self::Signed => true,
            Self::Unsigned => value >= 0,
        }
    }

    pub(crate) fn write_first(self, bits: &mut BitWriter, value: i64) {
        debug_assert!(self.can_write(value));
        match self {
            Self::Within { min, width } => bits.write(value.abs_diff(min), width),
            Self::Signed => bits.write_golomb(zigzag::encode(value), FIRST_ORDER),
            Self::Unsigned => bits.write_golomb(value.cast_unsigned(), FIRST_ORDER),
        }
    }

    pub(crate) fn read_first(self, bits: &mut BitReader<'_>) -> Result<i64, DecodeError> {
        match self {
            Self::Within { min, width } => Ok(min.wrapping_add_unsigned(bits.read(width)?)),
            Self::Signed => Ok(zigzag::decode(bits.read_golomb(FIRST_ORDER)?)),
            Self::Unsigned => bits.read_golomb(FIRST_ORDER)?.try_into().map_err(|_| DecodeError::Malformed),
        }
    }
}

/// The Golomb order of first numbers: the typical number of bits of speeds, temperatures and engine speeds on their grids.
const FIRST_ORDER: u32 = 7;

/// How a sequence is written after its first number.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum SequenceForm {
    /// All numbers equal the first.
    Constant,
    /// Rice codes of the remainders of this order.
    Rice { order: u32 },
    /// Runs of equal numbers, and Rice codes of the differences between runs.
    Runs,
    /// The remainders of this order, each in this width.
    Packed { order: u32, width: u32 },
}

/// Bits of the prefix that identifies frequent forms; the others have further bits.
const FORM_PREFIX: u32 = 2;

/// Writes a sequence. Its length is not written.
pub(crate) fn write(bits: &mut BitWriter, values: &[i64], first: FirstValue) {
    let Some((head, rest)) = values.split_first() else { return };
    first.write_first(bits, *head);
    if rest.is_empty() {
        return;
    }
    let remainders = predict(*head, rest);
    let form = smallest_form(&remainders);
    match form {
        SequenceForm::Constant => bits.write(0, FORM_PREFIX),
        SequenceForm::Rice { order: 1 } => bits.write(1, FORM_PREFIX),
        SequenceForm::Runs => bits.write(2, FORM_PREFIX),
        SequenceForm::Rice { order } => bits.write(3 | u64::from(order == 2) << 3, FORM_PREFIX + 2),
        SequenceForm::Packed { order, width } => {
            bits.write(7 | u64::from(order == 1) << 3 | u64::from(width) << 4, FORM_PREFIX + 9);
        }
    }
    match form {
        SequenceForm::Constant => {}
        SequenceForm::Rice { order } => rice::write(bits, of_order(&remainders, order)),
        SequenceForm::Runs => rice::write_runs(bits, of_order(&remainders, 1)),
        SequenceForm::Packed { order, width } => {
            of_order(&remainders, order).for_each(|remainder| bits.write(remainder, width));
        }
    }
}

/// Reads a sequence of `length` numbers.
pub(crate) fn read(bits: &mut BitReader<'_>, length: usize, first: FirstValue) -> Result<Vec<i64>, DecodeError> {
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

/// The zigzag remainders of one number after the predictions of the three orders.
type Remainders = [u64; 3];

/// Returns the remainders of all numbers after the first.
fn predict(head: i64, rest: &[i64]) -> Vec<Remainders> {
    let (mut previous, mut step) = (head, 0_i64);
    let remainder = |value: &i64| {
        let predicted = [head, previous, previous.wrapping_add(step)];
        step = value.wrapping_sub(previous);
        previous = *value;
        predicted.map(|predicted| zigzag::encode(value.wrapping_sub(predicted)))
    };
    rest.iter().map(remainder).collect()
}

fn of_order(remainders: &[Remainders], order: u32) -> impl Iterator<Item = u64> + Clone {
    remainders.iter().map(move |remainders| remainders[order as usize])
}

/// Returns the form that takes the fewest bits.
fn smallest_form(remainders: &[Remainders]) -> SequenceForm {
    let mut all: Remainders = [0; 3];
    let mut zeros = 0;
    for remainders in remainders {
        for (all, remainder) in all.iter_mut().zip(remainders) {
            *all |= remainder;
        }
        zeros += usize::from(remainders[1] == 0);
    }
    if all[1] == 0 {
        return SequenceForm::Constant;
    }
    let packed = |order: u32| {
        let width = 64 - all[order as usize].leading_zeros();
        (9 + u64::from(width) * remainders.len() as u64, SequenceForm::Packed { order, width })
    };
    let rice = rice::bits_of_each(remainders);
    // Runs are only considered if at least half of the numbers repeat.
    let runs = if zeros * 2 < remainders.len() { u64::MAX } else { rice::runs_bits(of_order(remainders, 1)) };
    let candidates = [
        (rice[1], SequenceForm::Rice { order: 1 }),
        (runs, SequenceForm::Runs),
        (2 + rice[0], SequenceForm::Rice { order: 0 }),
        (2 + rice[2], SequenceForm::Rice { order: 2 }),
        packed(0),
        packed(1),
    ];
    candidates.into_iter().min_by_key(|(bits, _)| *bits).map_or(SequenceForm::Constant, |(_, form)| form)
}

#[cfg(test)]
mod tests;
