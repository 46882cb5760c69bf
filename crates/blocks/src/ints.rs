//! Sequences of whole numbers.
//!
//! A number is predicted from those before it, and what remains is written: order 0 predicts the first number, order 1 the
//! one before, order 2 the line through the two before. What remains is small, so it goes through a Rice code whose
//! parameter follows the mean of what came, or, where most of it is zero, as runs of zeros. Where neither helps, all have the
//! same width.

use crate::DecodeError;
use crate::bits::{BitReader, BitWriter, mask};
use crate::rice;

/// How the first number of a sequence is written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// Within known bounds: as wide as they need.
    Within { min: i64, width: u32 },
    /// Near zero, on both sides.
    Signed,
    /// Not below zero.
    Unsigned,
}

impl First {
    /// Within bounds, both included.
    pub(crate) fn within(min: i64, max: i64) -> Self {
        let span = max.abs_diff(min);
        Self::Within { min, width: 64 - span.leading_zeros() }
    }

    /// Whether it can write that number.
    pub(crate) fn holds(self, value: i64) -> bool {
        match self {
            Self::Within { min, width } => value >= min && value.abs_diff(min) <= mask(width),
            Self::Signed => true,
            Self::Unsigned => value >= 0,
        }
    }

    pub(crate) fn put_first(self, bits: &mut BitWriter, value: i64) {
        debug_assert!(self.holds(value));
        match self {
            Self::Within { min, width } => bits.put(value.abs_diff(min), width),
            Self::Signed => bits.put_golomb(zigzag(value), FIRST_ORDER),
            Self::Unsigned => bits.put_golomb(value.cast_unsigned(), FIRST_ORDER),
        }
    }

    pub(crate) fn take_first(self, bits: &mut BitReader<'_>) -> Result<i64, DecodeError> {
        match self {
            Self::Within { min, width } => Ok(min.wrapping_add_unsigned(bits.take(width)?)),
            Self::Signed => Ok(unzigzag(bits.take_golomb(FIRST_ORDER)?)),
            Self::Unsigned => bits.take_golomb(FIRST_ORDER)?.try_into().map_err(|_| DecodeError::Malformed),
        }
    }
}

/// Speeds, temperatures and turns mostly have so many bits on their grids.
const FIRST_ORDER: u32 = 7;

/// How a sequence is written after its first number; the number is the code.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Form {
    /// All are the first number.
    Constant,
    /// Rice codes of what remains after a prediction of that order.
    Rice { order: u32 },
    /// Runs of repeats, and Rice codes of the differences between them.
    Runs,
    /// What remains in that width each.
    Packed { order: u32, width: u32 },
}

/// Bits of a prefix that tells the forms apart, short for frequent ones.
const FORM_PREFIX: u32 = 2;

/// Writes a sequence; its length is known to the reader.
pub(crate) fn put(bits: &mut BitWriter, values: &[i64], first: First) {
    let Some((head, rest)) = values.split_first() else { return };
    first.put_first(bits, *head);
    if rest.is_empty() {
        return;
    }
    let remains = remains(*head, rest);
    let form = choose(&remains);
    match form {
        Form::Constant => bits.put(0, FORM_PREFIX),
        Form::Rice { order: 1 } => bits.put(1, FORM_PREFIX),
        Form::Runs => bits.put(2, FORM_PREFIX),
        Form::Rice { order } => bits.put(3 | u64::from(order == 2) << 3, FORM_PREFIX + 2),
        Form::Packed { order, width } => bits.put(7 | u64::from(order == 1) << 3 | u64::from(width) << 4, FORM_PREFIX + 9),
    }
    match form {
        Form::Constant => {}
        Form::Rice { order } => rice::put(bits, of_order(&remains, order)),
        Form::Runs => rice::put_runs(bits, of_order(&remains, 1)),
        Form::Packed { order, width } => of_order(&remains, order).for_each(|remain| bits.put(remain, width)),
    }
}

/// Reads a sequence of that length.
pub(crate) fn take(bits: &mut BitReader<'_>, length: usize, first: First) -> Result<Vec<i64>, DecodeError> {
    if length == 0 {
        return Ok(Vec::new());
    }
    let head = first.take_first(bits)?;
    let mut values = Vec::with_capacity(length);
    values.push(head);
    if length == 1 {
        return Ok(values);
    }
    match bits.take(FORM_PREFIX)? {
        0 => values.resize(length, head),
        1 => rice::take::<1>(bits, &mut values, length)?,
        2 => rice::take_runs(bits, &mut values, length)?,
        _ if bits.take_bit()? => {
            let (order, width) = (bits.take(1)?, bits.take(7)? as u32);
            if width > 64 {
                return Err(DecodeError::Malformed);
            }
            for _ in 1..length {
                let remain = unzigzag(bits.take(width)?);
                let before = if order == 1 { last(&values) } else { head };
                values.push(before.wrapping_add(remain));
            }
        }
        _ if bits.take_bit()? => rice::take::<2>(bits, &mut values, length)?,
        _ => rice::take::<0>(bits, &mut values, length)?,
    }
    Ok(values)
}

pub(crate) fn last(values: &[i64]) -> i64 {
    values.last().copied().unwrap_or_default()
}

/// What remains of each number after a prediction of each order, small on both sides of zero.
type Remains = [u64; 3];

fn remains(head: i64, rest: &[i64]) -> Vec<Remains> {
    let (mut before, mut step) = (head, 0_i64);
    let remain = |value: &i64| {
        let predicted = [head, before, before.wrapping_add(step)];
        step = value.wrapping_sub(before);
        before = *value;
        predicted.map(|predicted| zigzag(value.wrapping_sub(predicted)))
    };
    rest.iter().map(remain).collect()
}

fn of_order(remains: &[Remains], order: u32) -> impl Iterator<Item = u64> + Clone {
    remains.iter().map(move |remains| remains[order as usize])
}

fn choose(remains: &[Remains]) -> Form {
    let mut all: Remains = [0; 3];
    let mut zeros = 0;
    for remains in remains {
        for (all, remain) in all.iter_mut().zip(remains) {
            *all |= remain;
        }
        zeros += usize::from(remains[1] == 0);
    }
    if all[1] == 0 {
        return Form::Constant;
    }
    let packed = |order: u32| {
        let width = 64 - all[order as usize].leading_zeros();
        (9 + u64::from(width) * remains.len() as u64, Form::Packed { order, width })
    };
    let rice = rice::bits_of_each(remains);
    // Runs pay where most is the same.
    let runs = if zeros * 2 < remains.len() { u64::MAX } else { rice::runs_bits(of_order(remains, 1)) };
    let candidates = [
        (rice[1], Form::Rice { order: 1 }),
        (runs, Form::Runs),
        (2 + rice[0], Form::Rice { order: 0 }),
        (2 + rice[2], Form::Rice { order: 2 }),
        packed(0),
        packed(1),
    ];
    candidates.into_iter().min_by_key(|(bits, _)| *bits).map_or(Form::Constant, |(_, form)| form)
}

/// Small numbers for those near zero on both sides.
#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[inline]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn bits_of(values: &[i64], first: First) -> usize {
        let mut bits = BitWriter::default();
        put(&mut bits, values, first);
        bits.put(1, 1);
        let bytes = bits.finish();
        let mut bits = BitReader::new(&bytes);
        assert_eq!(take(&mut bits, values.len(), first).unwrap(), values);
        assert!(bits.take_bit().unwrap(), "the reader ends where the writer did");
        bytes.len() * 8 - bits.left()
    }

    #[test]
    fn a_constant_costs_next_to_nothing_and_a_line_little() {
        assert!(bits_of(&[500; 60], First::Signed) < 20);
        let line: Vec<i64> = (0..60).map(|n| 1_000_000 + n * 997).collect();
        assert!(bits_of(&line, First::Signed) < 60 * 6, "{}", bits_of(&line, First::Signed));
    }

    #[test]
    fn a_value_that_seldom_changes_costs_less_than_a_bit_each() {
        let steps: Vec<i64> = (0..120).map(|n| 90 + n / 30).collect();
        assert!(bits_of(&steps, First::Unsigned) < 60);
    }

    #[test]
    fn the_ends_of_the_range_and_leaps_between_them_come_back() {
        let values = [i64::MIN, i64::MAX, 0, -1, i64::MIN, i64::MIN, 1, i64::MAX, i64::MAX];
        for first in [First::Signed, First::within(i64::MIN, i64::MAX)] {
            bits_of(&values, first);
            bits_of(&values[1..], first);
        }
        bits_of(&values[1..], First::Unsigned);
    }

    proptest! {
        #[test]
        fn any_sequence_comes_back(
            values in prop_oneof![
                prop::collection::vec(any::<i64>(), 0..40),
                prop::collection::vec(-3_i64..3, 0..200),
                prop::collection::vec(prop_oneof![9 => Just(7_i64), 1 => -1000_i64..1000], 0..200),
            ],
            unsigned: bool,
        ) {
            bits_of(&values, if unsigned && values.first().is_none_or(|first| *first >= 0) { First::Unsigned } else { First::Signed });
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, length in 0_usize..200) {
            let _ = take(&mut BitReader::new(&bytes), length, First::Signed);
        }
    }
}
