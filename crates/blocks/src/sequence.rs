//! Sequences of integers.
//!
//! Each number is predicted, and the remainder is written: order 0 predicts the first number, order 1 the previous number, order
//! 2 the line through the two previous numbers. Remainders are mostly small, so they are written as Rice codes, or as runs of
//! zeros if many are zero. A sequence can also be predicted from another one, to which it is proportional.

mod ratio;
mod remainders;
mod runs;

use roadcast_signals::{Column, Values};

use crate::bits::{BitReader, BitWriter, golomb_bits};
use crate::first_value::FirstValue;
use crate::rice::{MAX_PARAMETER, RiceCode};
use crate::version::Version;
use crate::{DecodeError, version_1};
use remainders::{Order, Remainders, Totals};
use runs::Runs;

/// The numbers of an earlier signal, as many as the sequence has.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Reference<'n> {
    /// How many signals it is back, from 1.
    pub(crate) distance: u64,
    pub(crate) numbers: &'n [i64],
}

impl Reference<'_> {
    /// Returns the bits of the distance.
    fn bits(&self) -> u64 {
        u64::from(golomb_bits(self.distance - 1, DISTANCE_ORDER))
    }
}

/// How a sequence is written after its first number.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Form {
    /// All numbers equal the first.
    Constant,
    /// Rice codes of the remainders of this order.
    Rice(Order),
    /// Runs of equal numbers, and Rice codes of the differences between runs.
    Runs,
    /// Rice codes of the remainders of numbers that are proportional to those of an earlier signal.
    Proportional,
}

impl Form {
    /// Returns the code and its number of bits.
    const fn code(self) -> (u64, u32) {
        match self {
            Self::Constant => (0b00, 2),
            Self::Rice(Order::Previous) => (0b01, 2),
            Self::Runs => (0b10, 2),
            Self::Rice(Order::Line) => (0b011, 3),
            Self::Rice(Order::First) => (0b0111, 4),
            Self::Proportional => (0b1111, 4),
        }
    }

    fn bits(self) -> u64 {
        u64::from(self.code().1)
    }

    fn write(self, bits: &mut BitWriter) {
        let (code, width) = self.code();
        bits.write(code, width);
    }

    fn read(bits: &mut BitReader<'_>) -> Result<Self, DecodeError> {
        bits.read_prefix(|word| {
            let form = match word & 0b1111 {
                0b0111 => Self::Rice(Order::First),
                0b1111 => Self::Proportional,
                word if word & 0b111 == 0b011 => Self::Rice(Order::Line),
                word => match word & 0b11 {
                    0 => Self::Constant,
                    1 => Self::Rice(Order::Previous),
                    _ => Self::Runs,
                },
            };
            (form, form.code().1)
        })
    }
}

/// The Golomb order of the distance of an earlier signal.
const DISTANCE_ORDER: u32 = 2;
/// Other forms are not considered if the remainders of a proportional sequence are smaller by this factor.
const CLEARLY_SMALLER: u64 = 4;
/// Runs are considered if at least one in this number of values repeats.
const RUNS_SHARE: usize = 3;

/// Writes sequences. Its buffers are reused for all sequences of a block.
#[derive(Default)]
pub(crate) struct SequenceWriter {
    remainders: Remainders,
    proportional: Remainders,
    runs: Runs,
}

impl SequenceWriter {
    /// Writes a sequence, without its length. `reference` has numbers to which those of the sequence may be proportional.
    pub(crate) fn write(
        &mut self,
        bits: &mut BitWriter,
        values: &[i64],
        first: FirstValue,
        reference: Option<Reference<'_>>,
    ) {
        let Some(head) = values.first() else { return };
        first.write_first(bits, *head);
        if values.len() == 1 {
            return;
        }
        let totals = Totals::of(values);
        if totals.are_constant() {
            return Form::Constant.write(bits);
        }
        if let Some(reference) = reference {
            self.proportional.fill_proportional(values, reference.numbers);
            if self.proportional.sum().saturating_mul(CLEARLY_SMALLER) < totals.least() {
                return self.write_proportional(bits, reference, self.proportional.code(MAX_PARAMETER));
            }
        }
        let order = totals.best_order();
        self.remainders.fill(values, order, &totals);
        let form = Form::Rice(order);
        let code = self.remainders.code(MAX_PARAMETER);
        let size = form.bits() + code.bits_with_parameter();
        if let Some(reference) = reference {
            let code = self.proportional.code(MAX_PARAMETER);
            if Form::Proportional.bits() + reference.bits() + code.bits_with_parameter() < size {
                return self.write_proportional(bits, reference, code);
            }
        }
        if totals.repeats * RUNS_SHARE >= values.len() - 1 {
            self.runs.fill(values);
            if Form::Runs.bits() + self.runs.bits() < size {
                Form::Runs.write(bits);
                return self.runs.write(bits);
            }
        }
        form.write(bits);
        self.remainders.write(bits, code);
    }

    fn write_proportional(&self, bits: &mut BitWriter, reference: Reference<'_>, code: RiceCode) {
        Form::Proportional.write(bits);
        bits.write_golomb(reference.distance - 1, DISTANCE_ORDER);
        self.proportional.write(bits, code);
    }
}

/// Reads a sequence of `length` numbers. `earlier` are the signals that it may refer to.
pub(crate) fn read(
    bits: &mut BitReader<'_>,
    version: Version,
    length: usize,
    first: FirstValue,
    earlier: &[Column],
) -> Result<Vec<i64>, DecodeError> {
    if version == Version::One {
        return version_1::read_sequence(bits, length, first);
    }
    if length == 0 {
        return Ok(Vec::new());
    }
    let head = first.read_first(bits)?;
    let mut values = vec![head; length];
    let Some(rest) = values.get_mut(1..).filter(|rest| !rest.is_empty()) else { return Ok(values) };
    match Form::read(bits)? {
        Form::Constant => {}
        Form::Rice(order) => remainders::read(bits, head, rest, order)?,
        Form::Runs => runs::read(bits, head, rest)?,
        Form::Proportional => {
            let distance = bits.read_golomb(DISTANCE_ORDER)?;
            let numbers = referenced_numbers(earlier, distance).filter(|numbers| numbers.len() == length);
            ratio::read(bits, head, rest, numbers.ok_or(DecodeError::Malformed)?)?;
        }
    }
    Ok(values)
}

/// Returns the numbers of the signal that is `distance` signals before the last of the earlier ones.
fn referenced_numbers(earlier: &[Column], distance: u64) -> Option<&[i64]> {
    let column = earlier.iter().rev().nth(usize::try_from(distance).ok()?)?;
    if let Values::Grid { points, .. } = &column.values { Some(points) } else { None }
}

#[cfg(test)]
mod tests;
