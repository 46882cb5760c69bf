//! Rice codes of what remains after a prediction: each number alone, and runs of zeros with what stands between them.
//!
//! The parameter's start is written. From there on it follows the mean of what came, so that writer and reader have the same.

use crate::DecodeError;
use crate::bits::{BitReader, BitWriter, mask};
use crate::ints::{last, unzigzag};

/// The Rice parameter, following the mean of what came.
#[derive(Copy, Clone)]
struct Parameter {
    /// Sixteen times the mean.
    mean: u64,
}

impl Parameter {
    /// Bits of the first parameter.
    const WIDTH: u32 = 4;

    fn start(k: u32) -> Self {
        Self { mean: 20 << k }
    }

    /// The start that suits these best.
    fn start_for(remains: impl Iterator<Item = u64>) -> u32 {
        let (sum, count) = remains.take(12).fold((0_u64, 0), |(sum, count), remain| (sum.saturating_add(remain), count + 1));
        let mean = sum / count.max(1);
        Self { mean: mean.saturating_mul(16).min(MOST) }.k().min(mask(Self::WIDTH) as u32)
    }

    /// The best parameter for numbers of that mean: the logarithm of 0.69 of it.
    #[inline]
    fn k(self) -> u32 {
        64 - ((self.mean * 11) >> 8).leading_zeros()
    }

    #[inline]
    fn follow(&mut self, remain: u64) {
        let scaled = remain.min(MOST >> 4) << 4;
        self.mean = self.mean - (self.mean >> 3) + (scaled >> 3);
    }
}

/// The largest scaled mean: so that nothing overflows.
const MOST: u64 = 1 << 58;
/// So many zeros before a number mean that it follows as it is.
const ESCAPE: u32 = 24;

/// Writes codes of numbers that are small.
pub(crate) fn put(bits: &mut BitWriter, remains: impl Iterator<Item = u64> + Clone) {
    let start = Parameter::start_for(remains.clone());
    bits.put(u64::from(start), Parameter::WIDTH);
    let mut parameter = Parameter::start(start);
    for remain in remains {
        put_one(bits, remain, parameter.k());
        parameter.follow(remain);
    }
}

/// Bits of the codes of several sequences of one length. Each waits for its own parameter only, so that the processor works on
/// all of them at once.
pub(crate) fn bits_of_each<const N: usize>(sequences: &[[u64; N]]) -> [u64; N] {
    let start_of = |n: usize| Parameter::start(Parameter::start_for(sequences.iter().map(|remains| remains[n])));
    let mut parameters: [Parameter; N] = std::array::from_fn(start_of);
    let mut totals = [u64::from(Parameter::WIDTH); N];
    for remains in sequences {
        for n in 0..N {
            totals[n] += u64::from(one_bits(remains[n], parameters[n].k()));
            parameters[n].follow(remains[n]);
        }
    }
    totals
}

#[inline]
fn put_one(bits: &mut BitWriter, remain: u64, k: u32) {
    let quotient = remain >> k;
    if quotient >= u64::from(ESCAPE) {
        bits.put(0, ESCAPE);
        bits.put(remain, 64);
    } else {
        let quotient = quotient as u32;
        bits.put(1 << quotient, quotient + 1);
        bits.put(remain & mask(k), k);
    }
}

#[inline]
fn one_bits(remain: u64, k: u32) -> u32 {
    let quotient = remain >> k;
    if quotient >= u64::from(ESCAPE) { ESCAPE + 64 } else { quotient as u32 + 1 + k }
}

#[inline]
fn take_one(bits: &mut BitReader<'_>, k: u32) -> Result<u64, DecodeError> {
    match bits.take_short_rice(k, ESCAPE) {
        Some(remain) => Ok(remain),
        None => take_long(bits, k),
    }
}

/// What does not lie in one look, or is no code.
#[cold]
fn take_long(bits: &mut BitReader<'_>, k: u32) -> Result<u64, DecodeError> {
    let quotient = bits.take_zeros(ESCAPE)?;
    if quotient == ESCAPE {
        return bits.take(64);
    }
    Ok(u64::from(quotient) << k | bits.take(k)?)
}

/// Reads what remains after a prediction of that order, and appends numbers until there are `length`.
pub(crate) fn take<const ORDER: u32>(
    bits: &mut BitReader<'_>,
    values: &mut Vec<i64>,
    length: usize,
) -> Result<(), DecodeError> {
    let mut parameter = Parameter::start(bits.take(Parameter::WIDTH)? as u32);
    let head = last(values);
    let (mut before, mut step) = (head, 0_i64);
    for _ in 1..length {
        let remain = take_one(bits, parameter.k())?;
        parameter.follow(remain);
        let predicted = match ORDER {
            0 => head,
            1 => before,
            _ => before.wrapping_add(step),
        };
        let value = predicted.wrapping_add(unzigzag(remain));
        step = value.wrapping_sub(before);
        before = value;
        values.push(value);
    }
    Ok(())
}

/// What stands between runs of zeros.
fn steps(remains: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    remains.filter(|remain| *remain > 0).map(|remain| remain - 1)
}

/// Runs of zeros and what stands between them: the last run goes to the end.
pub(crate) fn put_runs(bits: &mut BitWriter, remains: impl Iterator<Item = u64> + Clone) {
    let start = Parameter::start_for(steps(remains.clone()));
    bits.put(u64::from(start), Parameter::WIDTH);
    let (mut lengths, mut parameter) = (Parameter::start(RUN_START), Parameter::start(start));
    let mut run = 0;
    for remain in remains {
        if remain == 0 {
            run += 1;
            continue;
        }
        put_one(bits, run, lengths.k());
        lengths.follow(run);
        put_one(bits, remain - 1, parameter.k());
        parameter.follow(remain - 1);
        run = 0;
    }
    if run > 0 {
        put_one(bits, run, lengths.k());
    }
}

/// Runs are long where they pay.
const RUN_START: u32 = 3;

/// Bits of what [`put_runs`] writes.
pub(crate) fn runs_bits(remains: impl Iterator<Item = u64> + Clone) -> u64 {
    let start = Parameter::start_for(steps(remains.clone()));
    let (mut lengths, mut parameter) = (Parameter::start(RUN_START), Parameter::start(start));
    let mut total = u64::from(Parameter::WIDTH);
    let mut run = 0;
    for remain in remains {
        if remain == 0 {
            run += 1;
            continue;
        }
        total += u64::from(one_bits(run, lengths.k()) + one_bits(remain - 1, parameter.k()));
        lengths.follow(run);
        parameter.follow(remain - 1);
        run = 0;
    }
    if run > 0 {
        total += u64::from(one_bits(run, lengths.k()));
    }
    total
}

/// Reads what [`put_runs`] wrote, and appends numbers until there are `length`.
pub(crate) fn take_runs(bits: &mut BitReader<'_>, values: &mut Vec<i64>, length: usize) -> Result<(), DecodeError> {
    let start = bits.take(Parameter::WIDTH)? as u32;
    let (mut lengths, mut parameter) = (Parameter::start(RUN_START), Parameter::start(start));
    while values.len() < length {
        let run = take_one(bits, lengths.k())?;
        lengths.follow(run);
        if run > (length - values.len()) as u64 {
            return Err(DecodeError::Malformed);
        }
        let before = last(values);
        values.resize(values.len() + run as usize, before);
        if values.len() < length {
            let step = take_one(bits, parameter.k())?;
            parameter.follow(step);
            values.push(before.wrapping_add(unzigzag(step.wrapping_add(1))));
        }
    }
    Ok(())
}
