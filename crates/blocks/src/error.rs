/// Why samples cannot become a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// More than a block may hold.
    #[error("a block holds at most {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it may hold.
        limit: usize,
    },
    /// An event without samples.
    #[error("an event without samples")]
    NoSamples,
}

/// Why bytes are no block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They do not begin as a block does.
    #[error("not a block")]
    NotABlock,
    /// A later version of the format.
    #[error("version {0} of the format is not known here")]
    Version(u8),
    /// Changed on the way: the checksum says so.
    #[error("the checksum does not fit")]
    Checksum,
    /// Cut off.
    #[error("the bytes end early")]
    TooShort,
    /// They say what no writer says.
    #[error("malformed")]
    Malformed,
    /// A signal that the catalogue here does not have yet.
    #[error("signal {0} is not in the catalogue here")]
    Signal(u64),
    /// More than a block may hold.
    #[error("a block holds at most {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it may hold.
        limit: usize,
    },
}
