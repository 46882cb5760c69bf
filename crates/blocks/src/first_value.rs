//! The first number of a sequence.

use crate::DecodeError;
use crate::bits::{BitReader, BitWriter, mask};
use crate::zigzag;

/// How the first number of a sequence is written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum FirstValue {
    /// Within bounds: in the width that the bounds require.
    Within { min: i64, width: u32 },
    /// Near zero, of either sign.
    Signed,
    /// Not negative.
    Unsigned,
}

impl FirstValue {
    /// Creates `Within` for inclusive bounds.
    pub(crate) fn within(min: i64, max: i64) -> Self {
        let span = max.abs_diff(min);
        Self::Within { min, width: 64 - span.leading_zeros() }
    }

    /// Returns whether `value` can be written.
    #[inline]
    pub(crate) fn can_write(self, value: i64) -> bool {
        match self {
            Self::Within { min, width } => value >= min && value.abs_diff(min) <= mask(width),
            Self::Signed => true,
            Self::Unsigned => value >= 0,
        }
    }

    /// Returns whether each of the values can be written.
    pub(crate) fn can_write_all(self, values: &[i64]) -> bool {
        // What can be written is a range.
        let range = |(min, max): (i64, i64), value: &i64| (min.min(*value), max.max(*value));
        let Some((first, rest)) = values.split_first() else { return true };
        let (min, max) = rest.iter().fold((*first, *first), range);
        self == Self::Signed || (self.can_write(min) && self.can_write(max))
    }

    pub(crate) fn write_first(self, bits: &mut BitWriter, value: i64) {
        debug_assert!(self.can_write(value));
        match self {
            Self::Within { min, width } => bits.write(value.abs_diff(min), width),
            Self::Signed => bits.write_golomb(zigzag::encode(value), FIRST_ORDER),
            Self::Unsigned => bits.write_golomb(value.cast_unsigned(), FIRST_ORDER),
        }
    }

    pub(crate) fn read_first(self, bits: &mut BitReader<'_>) -> Result<i64, DecodeError> {
        match self {
            Self::Within { min, width } => Ok(min.wrapping_add_unsigned(bits.read(width)?)),
            Self::Signed => Ok(zigzag::decode(bits.read_golomb(FIRST_ORDER)?)),
            Self::Unsigned => bits.read_golomb(FIRST_ORDER)?.try_into().map_err(|_| DecodeError::Malformed),
        }
    }
}

/// The Golomb order of first numbers: the typical number of bits of speeds, temperatures and engine speeds on their grids.
const FIRST_ORDER: u32 = 7;
