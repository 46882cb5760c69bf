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
/// Values in a block, over all signals. Each entry of a list counts as one more value.
pub const VALUES: usize = 1 << 20;
/// Number of samples times number of signals that not every sample has.
pub const CELLS: usize = 1 << 24;
/// Bytes of texts in values, counted for each value.
pub const TEXT_BYTES: usize = 8 * 1024 * 1024;
/// Entries of one list.
pub const LIST: usize = 256;
/// Bytes of one text or path.
pub const TEXT: usize = 4096;

/// Texts that are stored in a block: the distinct texts of each signal that has only texts, and every text of other signals
/// and of lists.
pub const TEXTS: usize = 1 << 17;
/// Bytes of memory that decoding a block takes at most, whatever its bytes: [`MAX_MEMORY`] explains the sum.
pub const MEMORY: usize = 64 * 1024 * 1024;

/// Bytes of memory that decoding a block and converting it to rows take at most. Only blocks that we have written can be that
/// large: a sender's block has at most 65,536 values, and a segment of the log is bounded in memory.
pub const ROWS_MEMORY: usize = 320 * 1024 * 1024;

/// What a value takes at most in columns: a value of a list or of a signal with several types.
const MAX_VALUE_MEMORY: usize = size_of::<roadcast_signals::Value>();
/// What the allocation of a text takes besides its bytes, and that of a list besides its entries. A list has at least one
/// entry, because an empty one needs no allocation.
const ALLOCATION: usize = 32;
const LIST_ALLOCATION: usize = 16;
/// The sum of what the limits allow: values and their lists, texts (each of their bytes is in the block), presences (a byte
/// per cell; references share theirs), times, events, and signals with their paths; then the numbers of one signal, before
/// they are converted.
const MAX_MEMORY: usize = VALUES * MAX_VALUE_MEMORY
    + VALUES / 2 * LIST_ALLOCATION
    + TEXTS * ALLOCATION
    + BYTES
    + CELLS
    + 2 * SAMPLES * size_of::<i64>()
    + EVENTS * 2 * size_of::<crate::BlockEvent>()
    + COLUMNS * (size_of::<roadcast_signals::Column>() + 256 + ALLOCATION)
    + 2 * SAMPLES * MAX_VALUE_MEMORY;
const _: () = assert!(MAX_MEMORY <= MEMORY);

/// The bytes that a value counts as in [`Block::unpacked_bytes`](crate::Block::unpacked_bytes), without its text.
pub const VALUE_BYTES: usize = 16;

/// Limits of one block, in addition to those of all blocks.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Maximum samples.
    pub samples: usize,
    /// Maximum values, entries of lists included.
    pub values: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { samples: SAMPLES, values: VALUES }
    }
}

/// Counts the values and texts of a block before they are decoded.
pub(crate) struct DecodedCounts {
    values: usize,
    texts: usize,
    max_values: usize,
}

impl DecodedCounts {
    pub(crate) fn new(max_values: usize) -> Self {
        Self { values: 0, texts: 0, max_values }
    }

    pub(crate) fn add_values(&mut self, count: usize) -> Result<(), DecodeError> {
        self.values = check_decoded(self.values.saturating_add(count) as u64, self.max_values, "values")?;
        Ok(())
    }

    pub(crate) fn add_texts(&mut self, count: usize) -> Result<(), DecodeError> {
        self.texts = check_decoded(self.texts.saturating_add(count) as u64, TEXTS, "texts")?;
        Ok(())
    }
}

pub(crate) fn check_encoded(count: usize, limit: usize, what: &'static str) -> Result<(), EncodeError> {
    if count > limit { Err(EncodeError::TooMany { what, limit }) } else { Ok(()) }
}

pub(crate) fn check_decoded(count: u64, limit: usize, what: &'static str) -> Result<usize, DecodeError> {
    match usize::try_from(count) {
        Ok(count) if count <= limit => Ok(count),
        _ => Err(DecodeError::TooMany { what, limit }),
    }
}
