//! What a block may hold. Checked before anything of that size is allocated.

use crate::{DecodeError, EncodeError};

/// Bytes of a block.
pub const BYTES: usize = 4 * 1024 * 1024;
/// Events of a block.
pub const EVENTS: usize = 4096;
/// Samples of a block.
pub const SAMPLES: usize = 32_768;
/// Signals of a block.
pub const COLUMNS: usize = 2048;
/// Values of a block, over all its signals.
pub const VALUES: usize = 1 << 20;
/// Samples of a block times signals that not every sample has.
pub const CELLS: usize = 1 << 24;
/// Bytes of texts in a block's values, each time a value has one.
pub const TEXT_BYTES: usize = 8 * 1024 * 1024;
/// Entries of a list.
pub const LIST: usize = 256;
/// Bytes of one text or path.
pub const TEXT: usize = 4096;

/// What a value counts as in [`Block::unpacked_bytes`](crate::Block::unpacked_bytes), beside its text.
pub const VALUE_BYTES: usize = 16;

pub(crate) fn to_encode(count: usize, limit: usize, what: &'static str) -> Result<(), EncodeError> {
    if count > limit { Err(EncodeError::TooMany { what, limit }) } else { Ok(()) }
}

pub(crate) fn to_decode(count: u64, limit: usize, what: &'static str) -> Result<usize, DecodeError> {
    match usize::try_from(count) {
        Ok(count) if count <= limit => Ok(count),
        _ => Err(DecodeError::TooMany { what, limit }),
    }
}
