//! Zigzag mapping between signed and unsigned numbers: 0, −1, 1, −2 … become 0, 1, 2, 3 …

/// Maps numbers near zero, of either sign, to small unsigned numbers.
#[inline]
pub(crate) fn encode(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Reverses [`encode`].
#[inline]
pub(crate) fn decode(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}
