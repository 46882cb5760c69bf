//! Runs of equal numbers.

use crate::bits::{BitReader, BitWriter};
use crate::rice::{self, MAX_PARAMETER, RiceCode};
use crate::{DecodeError, zigzag};

use super::remainders::Remainders;

/// Bits of the parameter of the lengths, which are mostly short.
const LENGTH_PARAMETER_BITS: u32 = 2;
const MAX_LENGTH_PARAMETER: u32 = 3;

/// Runs of equal numbers and the steps between them.
#[derive(Default)]
pub(super) struct Runs {
    /// How many numbers equal the previous one, before each step and at the end, unless none does at the end.
    lengths: Remainders,
    /// The steps in zigzag, minus 1: a step is never 0.
    steps: Remainders,
}

impl Runs {
    pub(super) fn fill(&mut self, values: &[i64]) {
        self.lengths.clear();
        self.steps.clear();
        let mut run = 0;
        let mut previous = values.first().copied().unwrap_or_default();
        for value in values.iter().skip(1) {
            if *value == previous {
                run += 1;
                continue;
            }
            self.lengths.push(run);
            self.steps.push(zigzag::encode(value.wrapping_sub(previous)) - 1);
            (previous, run) = (*value, 0);
        }
        if run > 0 {
            self.lengths.push(run);
        }
    }

    fn codes(&self) -> (RiceCode, RiceCode) {
        (self.lengths.code(MAX_LENGTH_PARAMETER), self.steps.code(MAX_PARAMETER))
    }

    pub(super) fn bits(&self) -> u64 {
        let (lengths, steps) = self.codes();
        u64::from(LENGTH_PARAMETER_BITS) + lengths.bits + steps.bits_with_parameter()
    }

    pub(super) fn write(&self, bits: &mut BitWriter) {
        let (lengths, steps) = self.codes();
        bits.write(u64::from(lengths.k), LENGTH_PARAMETER_BITS);
        rice::write_parameter(bits, steps.k);
        let mut remaining = self.steps.numbers().iter();
        for length in self.lengths.numbers() {
            rice::write_each(bits, std::slice::from_ref(length), lengths.k);
            if let Some(step) = remaining.next() {
                rice::write_each(bits, std::slice::from_ref(step), steps.k);
            }
        }
    }
}

/// Reads the numbers after the first: `rest`.
pub(super) fn read(bits: &mut BitReader<'_>, head: i64, rest: &mut [i64]) -> Result<(), DecodeError> {
    let of_lengths = bits.read(LENGTH_PARAMETER_BITS)? as u32;
    let of_steps = rice::read_parameter(bits)?;
    let mut value = head;
    let mut remaining = rest;
    while !remaining.is_empty() {
        let run = usize::try_from(rice::read(bits, of_lengths)?).map_err(|_| DecodeError::Malformed)?;
        let parts = std::mem::take(&mut remaining).split_at_mut_checked(run);
        let (equal, others) = parts.ok_or(DecodeError::Malformed)?;
        equal.fill(value);
        if let Some((next, others)) = others.split_first_mut() {
            let step = rice::read(bits, of_steps)?.wrapping_add(1);
            value = value.wrapping_add(zigzag::decode(step));
            *next = value;
            remaining = others;
        }
    }
    Ok(())
}
