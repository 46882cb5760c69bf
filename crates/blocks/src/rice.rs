//! Rice codes of remainders: one code per remainder, or runs of zeros and the remainders between them.
//!
//! The initial parameter is written. Afterwards, it adapts to the mean of the preceding numbers, so that writer and reader
//! use the same parameter.

use crate::DecodeError;
use crate::bits::{BitReader, BitWriter, mask};
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

    /// Returns the best initial parameter for these numbers.
    fn initial_for(remainders: impl Iterator<Item = u64>) -> u32 {
        let (sum, count) =
            remainders.take(12).fold((0_u64, 0), |(sum, count), remainder| (sum.saturating_add(remainder), count + 1));
        let mean = sum / count.max(1);
        Self { mean: mean.saturating_mul(16).min(MAX_MEAN) }.k().min(mask(Self::WIDTH) as u32)
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

/// Writes the initial parameter and the code of each number.
pub(crate) fn write(bits: &mut BitWriter, remainders: impl Iterator<Item = u64> + Clone) {
    let start = Parameter::initial_for(remainders.clone());
    bits.write(u64::from(start), Parameter::WIDTH);
    let mut parameter = Parameter::start(start);
    for remainder in remainders {
        write_one(bits, remainder, parameter.k());
        parameter.update(remainder);
    }
}

/// Returns the bits of the codes of `N` sequences of the same length. They are computed together, because each only depends
/// on its own parameter and the processor can execute them in parallel.
pub(crate) fn bits_of_each<const N: usize>(sequences: &[[u64; N]]) -> [u64; N] {
    let start_of = |n: usize| Parameter::start(Parameter::initial_for(sequences.iter().map(|remainders| remainders[n])));
    let mut parameters: [Parameter; N] = std::array::from_fn(start_of);
    let mut totals = [u64::from(Parameter::WIDTH); N];
    for remainders in sequences {
        for n in 0..N {
            totals[n] += u64::from(one_bits(remainders[n], parameters[n].k()));
            parameters[n].update(remainders[n]);
        }
    }
    totals
}

#[inline]
fn write_one(bits: &mut BitWriter, remainder: u64, k: u32) {
    let quotient = remainder >> k;
    if quotient >= u64::from(ESCAPE) {
        bits.write(0, ESCAPE);
        bits.write(remainder, 64);
    } else {
        let quotient = quotient as u32;
        bits.write(1 << quotient, quotient + 1);
        bits.write(remainder & mask(k), k);
    }
}

#[inline]
fn one_bits(remainder: u64, k: u32) -> u32 {
    let quotient = remainder >> k;
    if quotient >= u64::from(ESCAPE) { ESCAPE + 64 } else { quotient as u32 + 1 + k }
}

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

/// Returns the remainders between runs of zeros, minus 1.
fn steps(remainders: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    remainders.filter(|remainder| *remainder > 0).map(|remainder| remainder - 1)
}

/// Writes runs of zeros and the remainders between them. The last run extends to the end.
pub(crate) fn write_runs(bits: &mut BitWriter, remainders: impl Iterator<Item = u64> + Clone) {
    let start = Parameter::initial_for(steps(remainders.clone()));
    bits.write(u64::from(start), Parameter::WIDTH);
    let (mut lengths, mut parameter) = (Parameter::start(RUN_START), Parameter::start(start));
    let mut run = 0;
    for remainder in remainders {
        if remainder == 0 {
            run += 1;
            continue;
        }
        write_one(bits, run, lengths.k());
        lengths.update(run);
        write_one(bits, remainder - 1, parameter.k());
        parameter.update(remainder - 1);
        run = 0;
    }
    if run > 0 {
        write_one(bits, run, lengths.k());
    }
}

/// The initial parameter of run lengths: where runs are used, they are long.
const RUN_START: u32 = 3;

/// Returns the number of bits that [`write_runs`] writes.
pub(crate) fn runs_bits(remainders: impl Iterator<Item = u64> + Clone) -> u64 {
    let start = Parameter::initial_for(steps(remainders.clone()));
    let (mut lengths, mut parameter) = (Parameter::start(RUN_START), Parameter::start(start));
    let mut total = u64::from(Parameter::WIDTH);
    let mut run = 0;
    for remainder in remainders {
        if remainder == 0 {
            run += 1;
            continue;
        }
        total += u64::from(one_bits(run, lengths.k()) + one_bits(remainder - 1, parameter.k()));
        lengths.update(run);
        parameter.update(remainder - 1);
        run = 0;
    }
    if run > 0 {
        total += u64::from(one_bits(run, lengths.k()));
    }
    total
}

/// Reads the output of [`write_runs`] and appends the numbers to `values`, up to `length` numbers.
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
