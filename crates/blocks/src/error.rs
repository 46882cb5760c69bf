/// Why samples cannot be encoded as a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A limit of a block is exceeded.
    #[error("a block has at most {limit} {what}")]
    TooMany {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// An event has no samples.
    #[error("an event has no samples")]
    NoSamples,
}

/// Why bytes cannot be decoded as a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The first byte does not identify a block.
    #[error("not a block")]
    NotABlock,
    /// The version of the format is not supported.
    #[error("unsupported version {0} of the block format")]
    Version(u8),
    /// The checksum does not match: the bytes were changed.
    #[error("the checksum does not match")]
    Checksum,
    /// The bytes are truncated.
    #[error("the bytes are truncated")]
    TooShort,
    /// The bytes are not the output of a correct writer.
    #[error("malformed block")]
    Malformed,
    /// The block does not have the hashes of its event ids, and they were not given.
    #[error("the block has {events} events without the hashes of their ids, and {hashes} hashes were given")]
    Hashes {
        /// The number of events.
        events: usize,
        /// The number of hashes that were given.
        hashes: usize,
    },
    /// The catalogue of this crate does not have this signal number.
    #[error("signal {0} is not in the catalogue of this reader")]
    Signal(u64),
    /// A limit of a block is exceeded.
    #[error("a block has at most {limit} {what}")]
    TooMany {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}
