//! Streams of bits, the lowest bit of each byte first.

use crate::DecodeError;

/// Appends bits.
#[derive(Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    filled: u32,
}

impl BitWriter {
    /// Creates a writer with room for this number of bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Writes the lowest `width` bits of `value`, at most 64. The higher bits must be zero.
    #[inline]
    pub(crate) fn write(&mut self, value: u64, width: u32) {
        debug_assert!(width == 64 || value >> width == 0);
        self.pending |= value << self.filled;
        let filled = self.filled + width;
        if filled < 64 {
            self.filled = filled;
            return;
        }
        self.bytes.extend_from_slice(&self.pending.to_le_bytes());
        let written = 64 - self.filled;
        self.pending = if written < 64 { value >> written } else { 0 };
        self.filled = filled - 64;
    }

    pub(crate) fn write_bit(&mut self, bit: bool) {
        self.write(u64::from(bit), 1);
    }

    /// Writes an exponential Golomb code of order `k`: short for numbers below 2^`k`, and two bits longer each time they
    /// double.
    pub(crate) fn write_golomb(&mut self, value: u64, k: u32) {
        // One more than the quotient; the number of leading zeros is its number of bits minus one.
        let (quotient, width) = golomb(value, k);
        if width >= GOLOMB_ESCAPE {
            self.write(1 << GOLOMB_ESCAPE, GOLOMB_ESCAPE + 1);
            self.write(value, 64);
            return;
        }
        self.write(1 << width, width + 1);
        self.write(quotient & ((1 << width) - 1), width);
        self.write(value & mask(k), k);
    }

    /// Writes the Rice codes of parameter `k` of numbers. `write_long` writes a code that would have `max` zeros or more.
    #[inline]
    pub(crate) fn write_rice_codes(&mut self, numbers: &[u64], k: u32, max: u32, write_long: impl Fn(&mut Self, u64, u32)) {
        for number in numbers {
            let quotient = number >> k;
            if quotient >= u64::from(max) {
                write_long(self, *number, k);
                continue;
            }
            let zeros = quotient as u32;
            let low = number & mask(k);
            if zeros + 1 + k <= 64 {
                self.write((low << 1 | 1) << zeros, zeros + 1 + k);
            } else {
                self.write(1 << zeros, zeros + 1);
                self.write(low, k);
            }
        }
    }

    /// Returns the bytes. The last byte is padded with zero bits.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let pending_bytes = self.filled.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.pending.to_le_bytes()[..pending_bytes]);
        self.bytes
    }
}

/// Minimum number of bits that one peek returns, for any position in a byte.
const PEEK_BITS: u32 = 57;
/// Numbers whose code would be longer than 2 × 40 bits are written unchanged after 40 zeros and a one.
const GOLOMB_ESCAPE: u32 = 40;

fn golomb(value: u64, k: u32) -> (u64, u32) {
    let quotient = (value >> k).saturating_add(1);
    (quotient, quotient.ilog2())
}

/// Returns the number of bits that [`BitWriter::write_golomb`] writes.
pub(crate) fn golomb_bits(value: u64, k: u32) -> u32 {
    match golomb(value, k).1 {
        width if width >= GOLOMB_ESCAPE => GOLOMB_ESCAPE + 1 + 64,
        width => 2 * width + 1 + k,
    }
}

/// Returns a number whose lowest `width` bits are set.
pub(crate) fn mask(width: u32) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

/// Reads bits from bytes.
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits read so far.
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Returns the number of remaining bits.
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() * 8 - self.position
    }

    /// Returns at least the next 57 bits, with zeros after the end.
    #[inline]
    fn peek(&self) -> u64 {
        let byte = self.position / 8;
        let word = if let Some(eight) = self.bytes.get(byte..).and_then(<[u8]>::first_chunk) {
            u64::from_le_bytes(*eight)
        } else {
            let mut eight = [0; 8];
            let rest = self.bytes.get(byte..).unwrap_or_default();
            eight[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(eight)
        };
        word >> (self.position % 8)
    }

    #[inline]
    fn skip(&mut self, width: u32) -> Result<(), DecodeError> {
        if self.remaining() < width as usize {
            return Err(DecodeError::TooShort);
        }
        self.position += width as usize;
        Ok(())
    }

    #[inline]
    pub(crate) fn read(&mut self, width: u32) -> Result<u64, DecodeError> {
        if width > 56 {
            let low = self.read(32)?;
            return Ok(low | self.read(width - 32)? << 32);
        }
        let value = self.peek() & mask(width);
        self.skip(width)?;
        Ok(value)
    }

    #[inline]
    pub(crate) fn read_bit(&mut self) -> Result<bool, DecodeError> {
        Ok(self.read(1)? == 1)
    }

    /// Reads zeros up to and including a one. Stops after `max` zeros, in which case the one is not read.
    #[inline]
    pub(crate) fn read_zeros(&mut self, max: u32) -> Result<u32, DecodeError> {
        debug_assert!(max <= 56);
        let zeros = self.peek().trailing_zeros().min(max);
        self.skip(if zeros < max { zeros + 1 } else { zeros })?;
        Ok(zeros)
    }

    /// Reads a Rice code of parameter `k` for each of `values`, which becomes what `value_of` returns for its number. `read_long`
    /// reads a code that has `max` zeros or more, or exceeds one peek.
    #[inline]
    pub(crate) fn read_rice_codes(
        &mut self,
        k: u32,
        max: u32,
        values: &mut [i64],
        read_long: impl Fn(&mut Self, u32) -> Result<u64, DecodeError>,
        mut value_of: impl FnMut(u64) -> i64,
    ) -> Result<(), DecodeError> {
        // One peek has several codes. `valid` is the number of its bits that are left.
        let (mut word, mut valid) = (0_u64, 0);
        for value in values {
            let mut zeros = word.trailing_zeros();
            if zeros >= max || zeros + 1 + k > valid {
                word = self.peek();
                valid = PEEK_BITS.min(self.remaining() as u32);
                zeros = word.trailing_zeros();
                if zeros >= max || zeros + 1 + k > valid {
                    *value = value_of(read_long(self, k)?);
                    (word, valid) = (0, 0);
                    continue;
                }
            }
            let width = zeros + 1 + k;
            *value = value_of(u64::from(zeros) << k | word >> (zeros + 1) & mask(k));
            word >>= width;
            valid -= width;
            self.position += width as usize;
        }
        Ok(())
    }

    /// Reads a prefix code: `code` returns its meaning and its number of bits, at most 57, from the next bits.
    #[inline]
    pub(crate) fn read_prefix<T>(&mut self, code: impl Fn(u64) -> (T, u32)) -> Result<T, DecodeError> {
        let (meaning, width) = code(self.peek());
        self.skip(width)?;
        Ok(meaning)
    }

    /// Reads a Rice code of parameter `k`. Returns `None` without reading if it has `max` zeros or more, or exceeds one
    /// peek.
    #[inline]
    pub(crate) fn read_short_rice(&mut self, k: u32, max: u32) -> Option<u64> {
        let word = self.peek();
        let zeros = word.trailing_zeros();
        let width = zeros + 1 + k;
        if zeros >= max || width > PEEK_BITS || self.remaining() < width as usize {
            return None;
        }
        self.position += width as usize;
        Some(u64::from(zeros) << k | word >> (zeros + 1) & mask(k))
    }

    #[inline]
    pub(crate) fn read_golomb(&mut self, k: u32) -> Result<u64, DecodeError> {
        let word = self.peek();
        let width = word.trailing_zeros();
        let all = 2 * width + 1 + k;
        if all > PEEK_BITS || self.remaining() < all as usize {
            return self.read_long_golomb(k);
        }
        self.position += all as usize;
        let quotient = (1 << width | word >> (width + 1) & mask(width)) - 1;
        Ok(quotient << k | word >> (2 * width + 1) & mask(k))
    }

    /// Reads a code that exceeds one peek, or fails.
    #[cold]
    fn read_long_golomb(&mut self, k: u32) -> Result<u64, DecodeError> {
        let width = self.read_zeros(GOLOMB_ESCAPE + 1)?;
        if width == GOLOMB_ESCAPE {
            return self.read(64);
        }
        if width > GOLOMB_ESCAPE {
            return Err(DecodeError::Malformed);
        }
        let quotient = (1 << width | self.read(width)?) - 1;
        let low = self.read(k)?;
        if quotient > u64::MAX >> k {
            return Err(DecodeError::Malformed);
        }
        Ok(quotient << k | low)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn written_numbers_are_read_back(values in prop::collection::vec((any::<u64>(), 0_u32..=64, 0_u32..12), 0..50)) {
            let mut bits = BitWriter::default();
            let mut length = 0;
            for (value, width, k) in &values {
                bits.write(value & mask(*width), *width);
                bits.write_golomb(*value >> (width % 64), *k);
                length += width + golomb_bits(*value >> (width % 64), *k);
            }
            let bytes = bits.finish();
            prop_assert_eq!(bytes.len(), length.div_ceil(8) as usize);
            let mut bits = BitReader::new(&bytes);
            for (value, width, k) in values {
                prop_assert_eq!(bits.read(width).unwrap(), value & mask(width));
                prop_assert_eq!(bits.read_golomb(k).unwrap(), value >> (width % 64));
            }
            prop_assert!(bits.read(8).is_err());
        }

        #[test]
        fn reading_arbitrary_bytes_never_panics(bytes: Vec<u8>, k in 0_u32..12) {
            let mut bits = BitReader::new(&bytes);
            while bits.read_golomb(k).is_ok() {}
        }
    }
}
