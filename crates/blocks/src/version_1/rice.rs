//! Rice codes of remainders: one code per remainder, or runs of zeros and the remainders between them.
//!
//! The initial parameter is written. Afterwards, it adapts to the mean of the preceding numbers, so that writer and reader
//! used the same parameter.

use crate::DecodeError;
use crate::bits::BitReader;
use crate::zigzag;

/// The Rice parameter, which adapts to the mean of the preceding numbers.
#[derive(Copy, Clone)]
struct Parameter {
    /// Sixteen times the mean.
    mean: u64,
}

impl Parameter {
    /// Bits of the initial parameter.
    const WIDTH: u32 = 4;

    fn start(k: u32) -> Self {
        Self { mean: 20 << k }
    }

    /// Returns the best parameter for the mean: the binary logarithm of 0.69 times the mean.
    #[inline]
    fn k(self) -> u32 {
        64 - ((self.mean * 11) >> 8).leading_zeros()
    }

    #[inline]
    fn update(&mut self, remainder: u64) {
        let scaled = remainder.min(MAX_MEAN >> 4) << 4;
        self.mean = self.mean - (self.mean >> 3) + (scaled >> 3);
    }
}

/// The largest scaled mean, which prevents overflows.
const MAX_MEAN: u64 = 1 << 58;

/// After this number of zeros, the number follows unchanged.
const ESCAPE: u32 = 24;

#[inline]
fn read_one(bits: &mut BitReader<'_>, k: u32) -> Result<u64, DecodeError> {
    match bits.read_short_rice(k, ESCAPE) {
        Some(remainder) => Ok(remainder),
        None => read_long(bits, k),
    }
}

/// Reads a code that exceeds one peek, or fails.
#[cold]
fn read_long(bits: &mut BitReader<'_>, k: u32) -> Result<u64, DecodeError> {
    let quotient = bits.read_zeros(ESCAPE)?;
    if quotient == ESCAPE {
        return bits.read(64);
    }
    Ok(u64::from(quotient) << k | bits.read(k)?)
}

/// Reads remainders of order `ORDER` and appends the numbers to `values`, up to `length` numbers.
pub(crate) fn read<const ORDER: u32>(
    bits: &mut BitReader<'_>,
    values: &mut Vec<i64>,
    length: usize,
) -> Result<(), DecodeError> {
    let mut parameter = Parameter::start(bits.read(Parameter::WIDTH)? as u32);
    let head = last(values);
    let (mut previous, mut step) = (head, 0_i64);
    for _ in 1..length {
        let remainder = read_one(bits, parameter.k())?;
        parameter.update(remainder);
        let predicted = match ORDER {
            0 => head,
            1 => previous,
            _ => previous.wrapping_add(step),
        };
        let value = predicted.wrapping_add(zigzag::decode(remainder));
        step = value.wrapping_sub(previous);
        previous = value;
        values.push(value);
    }
    Ok(())
}

/// The initial parameter of run lengths: where runs are used, they are long.
const RUN_START: u32 = 3;

/// Reads runs of equal numbers and the remainders between them, and appends the numbers to `values`, up to `length` numbers.
pub(crate) fn read_runs(bits: &mut BitReader<'_>, values: &mut Vec<i64>, length: usize) -> Result<(), DecodeError> {
    let start = bits.read(Parameter::WIDTH)? as u32;
    let (mut lengths, mut parameter) = (Parameter::start(RUN_START), Parameter::start(start));
    while values.len() < length {
        let run = read_one(bits, lengths.k())?;
        lengths.update(run);
        if run > (length - values.len()) as u64 {
            return Err(DecodeError::Malformed);
        }
        let previous = last(values);
        values.resize(values.len() + run as usize, previous);
        if values.len() < length {
            let step = read_one(bits, parameter.k())?;
            parameter.update(step);
            values.push(previous.wrapping_add(zigzag::decode(step.wrapping_add(1))));
        }
    }
    Ok(())
}

fn last(values: &[i64]) -> i64 {
    values.last().copied().unwrap_or_default()
}
