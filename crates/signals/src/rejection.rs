use serde::{Serialize, Serializer};

/// Why one signal was taken out of its sample. The codes are what `signalsRejected` counts by.
#[derive(thiserror::Error, Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignalRejection {
    /// The name is not a dotted path of `[A-Za-z0-9_-]` segments of at most 256 bytes.
    #[error("the signal's name is not a well-formed path")]
    BadPath,
    /// The value's JSON type is not the signal's datatype; also `null`, and a fraction for an integer signal.
    #[error("the value is not of the signal's datatype")]
    WrongType,
    /// The number lies outside the signal's range or outside its datatype's.
    #[error("the value lies outside the signal's range")]
    OutOfRange,
    /// The text is none of the values that the signal allows.
    #[error("the value is none of those the signal allows")]
    NotAllowed,
    /// A text over 1024 bytes, or a list of more than 64 entries.
    #[error("the text or list is too long")]
    TooLong,
    /// An integer beyond ±2^53, which an IEEE 754 double cannot hold exactly.
    #[error("the integer is too large to be kept exactly")]
    NotExact,
    /// Latitude and longitude are both exactly 0: a receiver without a fix.
    #[error("a position of 0, 0 is a receiver without a fix")]
    NullPosition,
}

impl SignalRejection {
    /// Every reason, in the order of their declaration.
    pub const ALL: [Self; 7] = [
        Self::BadPath,
        Self::WrongType,
        Self::OutOfRange,
        Self::NotAllowed,
        Self::TooLong,
        Self::NotExact,
        Self::NullPosition,
    ];

    /// The reason's stable `snake_case` code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadPath => "bad_path",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::NotAllowed => "not_allowed",
            Self::TooLong => "too_long",
            Self::NotExact => "not_exact",
            Self::NullPosition => "null_position",
        }
    }
}

impl Serialize for SignalRejection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::SignalRejection;

    #[test]
    fn all_lists_every_reason_once_in_order() {
        assert!(SignalRejection::ALL.is_sorted());
        for (position, reason) in SignalRejection::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, position);
        }
        assert_eq!(SignalRejection::NullPosition as usize + 1, SignalRejection::ALL.len());
    }
}
