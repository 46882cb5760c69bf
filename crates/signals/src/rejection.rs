use serde::{Serialize, Serializer};

/// Why a signal was removed from its sample. `signalsRejected` counts by these codes.
#[derive(thiserror::Error, Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignalRejection {
    /// The name is not a dotted path of `[A-Za-z0-9_-]` segments of at most 256 bytes.
    #[error("the name of the signal is not a well-formed path")]
    BadPath,
    /// The JSON type does not match the datatype of the signal; also `null`, and a fraction for an integer signal.
    #[error("the value does not have the datatype of the signal")]
    WrongType,
    /// The number is outside the range of the signal or of its datatype.
    #[error("the value is outside the range of the signal")]
    OutOfRange,
    /// The text is not one of the allowed values of the signal.
    #[error("the value is not one of the allowed values of the signal")]
    NotAllowed,
    /// A text of more than 1024 bytes, or a list of more than 64 entries or more than 8 KiB of texts.
    #[error("the text or list is too long")]
    TooLong,
    /// An integer beyond ±2^53, which an IEEE 754 double cannot represent exactly: written without fraction and exponent, or
    /// in any notation for an integer signal.
    #[error("the integer is too large to be represented exactly")]
    NotExact,
    /// Latitude and longitude are both exactly 0: the receiver has no position fix.
    #[error("latitude and longitude are both 0: the receiver has no position fix")]
    NullPosition,
    /// The sample has the signal more than once.
    #[error("the sample has this signal more than once")]
    Duplicate,
    /// A text with a control character other than tab and line end, a noncharacter of Unicode, or half of a surrogate pair.
    #[error("the text has a control character other than tab and line end, or is not valid Unicode text")]
    BadText,
}

impl SignalRejection {
    /// All reasons, in the order of declaration.
    pub const ALL: [Self; 9] = [
        Self::BadPath,
        Self::WrongType,
        Self::OutOfRange,
        Self::NotAllowed,
        Self::TooLong,
        Self::NotExact,
        Self::NullPosition,
        Self::Duplicate,
        Self::BadText,
    ];

    /// Returns the stable `snake_case` code of the reason.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadPath => "bad_path",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::NotAllowed => "not_allowed",
            Self::TooLong => "too_long",
            Self::NotExact => "not_exact",
            Self::NullPosition => "null_position",
            Self::Duplicate => "duplicate",
            Self::BadText => "bad_text",
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
        assert_eq!(SignalRejection::BadText as usize + 1, SignalRejection::ALL.len());
    }
}
