//! Bits, the lowest of a byte first.

use crate::DecodeError;

/// Appends bits.
#[derive(Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    filled: u32,
}

impl BitWriter {
    /// The lowest `width` bits of `value`; at most 64, and the bits above must be zero.
    pub(crate) fn put(&mut self, value: u64, width: u32) {
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

    pub(crate) fn put_bit(&mut self, bit: bool) {
        self.put(u64::from(bit), 1);
    }

    /// An exponential Golomb code of order `k`: short for numbers below 2^`k`, and longer by two bits each time they double.
    pub(crate) fn put_golomb(&mut self, value: u64, k: u32) {
        // One more than the quotient, which has one more bit than there are leading zeros to write.
        let (quotient, width) = golomb(value, k);
        if width >= GOLOMB_ESCAPE {
            self.put(1 << GOLOMB_ESCAPE, GOLOMB_ESCAPE + 1);
            self.put(value, 64);
            return;
        }
        self.put(1 << width, width + 1);
        self.put(quotient & ((1 << width) - 1), width);
        self.put(value & mask(k), k);
    }

    /// The bytes; bits that fill up the last one are zero.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let left = self.filled.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.pending.to_le_bytes()[..left]);
        self.bytes
    }
}

/// Bits of one look at least, wherever in a byte it begins.
const LOOK_BITS: u32 = 57;
/// Numbers whose code would be longer than 2 × 40 bits are written as they are after 40 zeros.
const GOLOMB_ESCAPE: u32 = 40;

fn golomb(value: u64, k: u32) -> (u64, u32) {
    let quotient = (value >> k).saturating_add(1);
    (quotient, quotient.ilog2())
}

/// Bits that [`BitWriter::put_golomb`] takes.
pub(crate) fn golomb_bits(value: u64, k: u32) -> u32 {
    match golomb(value, k).1 {
        width if width >= GOLOMB_ESCAPE => GOLOMB_ESCAPE + 1 + 64,
        width => 2 * width + 1 + k,
    }
}

pub(crate) fn mask(width: u32) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

/// Takes bits off bytes.
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits taken.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bits that are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }

    /// The next 57 bits or more, with zeros after the end.
    #[inline]
    fn peek(&self) -> u64 {
        let byte = self.at / 8;
        let word = if let Some(eight) = self.bytes.get(byte..).and_then(<[u8]>::first_chunk) {
            u64::from_le_bytes(*eight)
        } else {
            let mut eight = [0; 8];
            let rest = self.bytes.get(byte..).unwrap_or_default();
            eight[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(eight)
        };
        word >> (self.at % 8)
    }

    fn skip(&mut self, width: u32) -> Result<(), DecodeError> {
        if self.left() < width as usize {
            return Err(DecodeError::TooShort);
        }
        self.at += width as usize;
        Ok(())
    }

    #[inline]
    pub(crate) fn take(&mut self, width: u32) -> Result<u64, DecodeError> {
        if width > 56 {
            let low = self.take(32)?;
            return Ok(low | self.take(width - 32)? << 32);
        }
        let value = self.peek() & mask(width);
        self.skip(width)?;
        Ok(value)
    }

    pub(crate) fn take_bit(&mut self) -> Result<bool, DecodeError> {
        Ok(self.take(1)? == 1)
    }

    /// Zeros up to a one, which is taken too; no more than `most` zeros, after which no one comes.
    #[inline]
    pub(crate) fn take_zeros(&mut self, most: u32) -> Result<u32, DecodeError> {
        debug_assert!(most <= 56);
        let zeros = self.peek().trailing_zeros().min(most);
        self.skip(if zeros < most { zeros + 1 } else { zeros })?;
        Ok(zeros)
    }

    /// A Rice code of parameter `k`; nothing where it has `most` zeros or more, or does not lie in one look.
    #[inline]
    pub(crate) fn take_short_rice(&mut self, k: u32, most: u32) -> Option<u64> {
        let word = self.peek();
        let zeros = word.trailing_zeros();
        let width = zeros + 1 + k;
        if zeros >= most || width > LOOK_BITS || self.left() < width as usize {
            return None;
        }
        self.at += width as usize;
        Some(u64::from(zeros) << k | word >> (zeros + 1) & mask(k))
    }

    pub(crate) fn take_golomb(&mut self, k: u32) -> Result<u64, DecodeError> {
        let width = self.take_zeros(GOLOMB_ESCAPE + 1)?;
        if width == GOLOMB_ESCAPE {
            return self.take(64);
        }
        if width > GOLOMB_ESCAPE {
            return Err(DecodeError::Malformed);
        }
        let quotient = (1 << width | self.take(width)?) - 1;
        let low = self.take(k)?;
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
        fn what_is_put_is_taken(values in prop::collection::vec((any::<u64>(), 0_u32..=64, 0_u32..12), 0..50)) {
            let mut bits = BitWriter::default();
            let mut length = 0;
            for (value, width, k) in &values {
                bits.put(value & mask(*width), *width);
                bits.put_golomb(*value >> (width % 64), *k);
                length += width + golomb_bits(*value >> (width % 64), *k);
            }
            let bytes = bits.finish();
            prop_assert_eq!(bytes.len(), length.div_ceil(8) as usize);
            let mut bits = BitReader::new(&bytes);
            for (value, width, k) in values {
                prop_assert_eq!(bits.take(width).unwrap(), value & mask(width));
                prop_assert_eq!(bits.take_golomb(k).unwrap(), value >> (width % 64));
            }
            prop_assert!(bits.take(8).is_err());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, k in 0_u32..12) {
            let mut bits = BitReader::new(&bytes);
            while bits.take_golomb(k).is_ok() {}
        }
    }
}
