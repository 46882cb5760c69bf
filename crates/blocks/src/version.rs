//! The versions of the format, and whether a block has the hashes of its event ids.

use crate::DecodeError;

/// A version of the format, as in the lower half of the first byte.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Rice codes whose parameter adapts. Read, but no longer written.
    One = 1,
    /// Rice codes with one parameter, and signals that are predicted from others.
    Two = 2,
}

/// Whether a block has the hashes of its event ids.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hashes {
    /// Each id is complete.
    Written,
    /// Each id has its time only. The reader knows the hashes.
    Omitted,
}

/// The upper half of the first byte, which identifies a block.
const MARKER: u8 = 0xB0;
/// Added to the version of a block without hashes.
const OMITTED: u8 = 8;

impl Version {
    /// Returns the first byte of a block of this version.
    pub(crate) fn first_byte(self, hashes: Hashes) -> u8 {
        MARKER | self as u8 | if hashes == Hashes::Omitted { OMITTED } else { 0 }
    }

    /// Returns the version of the block with these bytes, and whether it has hashes.
    pub(crate) fn of(bytes: &[u8]) -> Result<(Self, Hashes), DecodeError> {
        let first = *bytes.first().ok_or(DecodeError::NotABlock)?;
        match first ^ MARKER {
            1 => Ok((Self::One, Hashes::Written)),
            2 => Ok((Self::Two, Hashes::Written)),
            10 => Ok((Self::Two, Hashes::Omitted)),
            other if other < 0x10 => Err(DecodeError::Version(other)),
            _ => Err(DecodeError::NotABlock),
        }
    }
}
