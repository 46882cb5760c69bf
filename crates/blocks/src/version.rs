//! The versions of the format.

use crate::DecodeError;

/// A version of the format, as in the lower half of the first byte.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Rice codes whose parameter adapts. Read, but no longer written.
    One = 1,
    /// Rice codes with one parameter, and signals that are predicted from others.
    Two = 2,
}

/// The upper half of the first byte, which identifies a block.
const MARKER: u8 = 0xB0;

impl Version {
    /// Returns the first byte of a block of this version.
    pub(crate) fn first_byte(self) -> u8 {
        MARKER | self as u8
    }

    /// Returns the version of the block with these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, DecodeError> {
        let first = *bytes.first().ok_or(DecodeError::NotABlock)?;
        match first ^ MARKER {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            other if other < 0x10 => Err(DecodeError::Version(other)),
            _ => Err(DecodeError::NotABlock),
        }
    }
}
