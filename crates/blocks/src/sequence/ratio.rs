//! Numbers that are proportional to those of an earlier signal.

use crate::bits::BitReader;
use crate::{DecodeError, rice, zigzag};

/// The ratio of two sequences: the sums of their preceding numbers. All arithmetic is of unsigned numbers of 64 bits and wraps,
/// so that writer and reader agree on any numbers.
#[derive(Copy, Clone, Default)]
pub(super) struct Ratio {
    of_reference: u64,
    of_values: u64,
}

impl Ratio {
    /// Predicts a number from that of the reference, or as the previous one while the reference is zero.
    #[inline]
    pub(super) fn predict(self, reference: i64, previous: i64) -> i64 {
        let product = self.of_values.wrapping_mul(reference.cast_unsigned());
        let rounded = product.wrapping_add(self.of_reference >> 1);
        rounded.checked_div(self.of_reference).map_or(previous, u64::cast_signed)
    }

    #[inline]
    pub(super) fn add(&mut self, reference: i64, value: i64) {
        self.of_reference = self.of_reference.wrapping_add(reference.cast_unsigned());
        self.of_values = self.of_values.wrapping_add(value.cast_unsigned());
    }
}

/// Reads the numbers after the first: `rest`. `reference` has one more.
pub(super) fn read(bits: &mut BitReader<'_>, head: i64, rest: &mut [i64], reference: &[i64]) -> Result<(), DecodeError> {
    let k = rice::read_parameter(bits)?;
    let mut references = reference.iter().copied();
    let (mut value, mut ratio) = (head, Ratio::default());
    ratio.add(references.next().unwrap_or_default(), head);
    rice::read_each(bits, k, rest, |code| {
        let reference = references.next().unwrap_or_default();
        value = ratio.predict(reference, value).wrapping_add(zigzag::decode(code));
        ratio.add(reference, value);
        value
    })
}
