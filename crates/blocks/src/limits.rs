//! The limits of a block. They are checked before memory is allocated.

use crate::{DecodeError, EncodeError};

/// Bytes of a block.
pub const BYTES: usize = 4 * 1024 * 1024;
/// Events in a block.
pub const EVENTS: usize = 4096;
/// Samples in a block.
pub const SAMPLES: usize = 32_768;
/// Signals in a block.
pub const COLUMNS: usize = 2048;
/// Values in a block, over all signals.
pub const VALUES: usize = 1 << 20;
/// Number of samples times number of signals that not every sample has.
pub const CELLS: usize = 1 << 24;
/// Bytes of texts in values, counted for each value.
pub const TEXT_BYTES: usize = 8 * 1024 * 1024;
/// Entries of one list.
pub const LIST: usize = 256;
/// Bytes of one text or path.
pub const TEXT: usize = 4096;

/// The bytes that a value counts as in [`Block::unpacked_bytes`](crate::Block::unpacked_bytes), without its text.
pub const VALUE_BYTES: usize = 16;

pub(crate) fn check_encoded(count: usize, limit: usize, what: &'static str) -> Result<(), EncodeError> {
    if count > limit { Err(EncodeError::TooMany { what, limit }) } else { Ok(()) }
}

pub(crate) fn check_decoded(count: u64, limit: usize, what: &'static str) -> Result<usize, DecodeError> {
    match usize::try_from(count) {
        Ok(count) if count <= limit => Ok(count),
        _ => Err(DecodeError::TooMany { what, limit }),
    }
}
