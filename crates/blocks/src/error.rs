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
}

/// Why bytes are no block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They do not begin as a block does.
    #[error("not a block")]
    NotABlock,
}
