//! Rice codes: the quotient by 2^k as zeros and a one, then the k bits of the rest.

use crate::DecodeError;
use crate::bits::{BitReader, BitWriter, golomb_bits};

/// After this number of zeros, what the number exceeds is written as a Golomb code.
const ESCAPE: u32 = 8;
/// The order of a Golomb code is the parameter and this.
const GOLOMB_EXTRA: u32 = 2;

/// The code of some numbers, which all have the same parameter k.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct RiceCode {
    pub(crate) k: u32,
    /// About the bits of the codes, without the parameter.
    pub(crate) bits: u64,
}

/// The largest parameter: an order above it is still below 64, and so is the escape times 2^k.
pub(crate) const MAX_PARAMETER: u32 = 60;
/// Bits of a parameter below [`LONG_PARAMETER`], which is followed by the bits of a larger one.
const PARAMETER_BITS: u32 = 4;
const LONG_PARAMETER: u32 = 15;
const LONG_PARAMETER_BITS: u32 = 6;

impl RiceCode {
    /// Returns the best code for these numbers with a parameter of at most `max`. `sum` is their sum.
    pub(crate) fn best_for(numbers: &[u64], sum: u64, max: u32) -> Self {
        // The best parameter is about the binary logarithm of 0.69 times the mean, or less if the mean is that of few large
        // numbers. So parameters are compared in groups, downwards as long as the smallest is the best.
        let mean = sum / (numbers.len() as u64).max(1);
        let expected = (mean - (mean >> 2)).checked_ilog2().unwrap_or(0).min(max);
        let mut first = expected.saturating_sub(1);
        let mut best = Self::best_of_group(numbers, first, max);
        while best.k == first && first > 0 {
            first = first.saturating_sub(GROUP as u32);
            let lower = Self::best_of_group(numbers, first, best.k - 1);
            if lower.bits >= best.bits {
                break;
            }
            best = lower;
        }
        best
    }

    /// Returns the best code with one of the parameters from `first`, up to `max`.
    fn best_of_group(numbers: &[u64], first: u32, max: u32) -> Self {
        // All are computed together, because they do not depend on each other.
        let mut zeros = [0_u64; GROUP];
        for number in numbers {
            for (zeros, k) in zeros.iter_mut().zip(first..) {
                *zeros += (number >> k).min(LONG_ZEROS);
            }
        }
        let count = numbers.len() as u64;
        let codes = (first..=max).zip(zeros).map(|(k, zeros)| Self { k, bits: zeros + count * (1 + u64::from(k)) });
        codes.min_by_key(|code| code.bits + parameter_bits(code.k)).unwrap_or(Self { k: first, bits: 0 })
    }

    /// Returns the bits of the codes and of the parameter.
    pub(crate) fn bits_with_parameter(self) -> u64 {
        self.bits + parameter_bits(self.k)
    }
}

/// The number of parameters that are compared together.
const GROUP: usize = 3;
/// What an escaped code counts as, in zeros: about right for those that are not much larger than others.
const LONG_ZEROS: u64 = 12;

fn parameter_bits(k: u32) -> u64 {
    u64::from(if k < LONG_PARAMETER { PARAMETER_BITS } else { PARAMETER_BITS + LONG_PARAMETER_BITS })
}

/// Returns the bits that [`write_golomb`] writes.
pub(crate) fn golomb_code_bits(number: u64, k: u32) -> u32 {
    golomb_bits(number, k + GOLOMB_EXTRA)
}

/// Writes a number that may be much larger than the others.
pub(crate) fn write_golomb(bits: &mut BitWriter, number: u64, k: u32) {
    bits.write_golomb(number, k + GOLOMB_EXTRA);
}

/// Reads the output of [`write_golomb`].
pub(crate) fn read_golomb(bits: &mut BitReader<'_>, k: u32) -> Result<u64, DecodeError> {
    bits.read_golomb(k + GOLOMB_EXTRA)
}

pub(crate) fn write_parameter(bits: &mut BitWriter, k: u32) {
    if k < LONG_PARAMETER {
        bits.write(u64::from(k), PARAMETER_BITS);
    } else {
        bits.write(u64::from(LONG_PARAMETER | k << PARAMETER_BITS), PARAMETER_BITS + LONG_PARAMETER_BITS);
    }
}

pub(crate) fn read_parameter(bits: &mut BitReader<'_>) -> Result<u32, DecodeError> {
    match bits.read(PARAMETER_BITS)? as u32 {
        LONG_PARAMETER => match bits.read(LONG_PARAMETER_BITS)? as u32 {
            k if k <= MAX_PARAMETER => Ok(k),
            _ => Err(DecodeError::Malformed),
        },
        k => Ok(k),
    }
}

/// Writes a code for each number.
#[inline]
pub(crate) fn write_each(bits: &mut BitWriter, numbers: &[u64], k: u32) {
    bits.write_rice_codes(numbers, k, ESCAPE, write_long);
}

#[cold]
fn write_long(bits: &mut BitWriter, number: u64, k: u32) {
    bits.write(0, ESCAPE);
    write_golomb(bits, number - (u64::from(ESCAPE) << k), k);
}

#[inline]
pub(crate) fn read(bits: &mut BitReader<'_>, k: u32) -> Result<u64, DecodeError> {
    match bits.read_short_rice(k, ESCAPE) {
        Some(number) => Ok(number),
        None => read_long(bits, k),
    }
}

/// Reads a code for each of `values`, which becomes what `value_of` returns for its number.
#[inline]
pub(crate) fn read_each(
    bits: &mut BitReader<'_>,
    k: u32,
    values: &mut [i64],
    value_of: impl FnMut(u64) -> i64,
) -> Result<(), DecodeError> {
    bits.read_rice_codes(k, ESCAPE, values, read_long, value_of)
}

/// Reads a code that is escaped or exceeds one peek, or fails.
#[cold]
fn read_long(bits: &mut BitReader<'_>, k: u32) -> Result<u64, DecodeError> {
    let quotient = bits.read_zeros(ESCAPE)?;
    let high = u64::from(quotient) << k;
    if quotient == ESCAPE {
        read_golomb(bits, k)?.checked_add(high).ok_or(DecodeError::Malformed)
    } else {
        Ok(high | bits.read(k)?)
    }
}
