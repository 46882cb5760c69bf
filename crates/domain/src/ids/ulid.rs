//! The base of the ids that sort by time.

use std::fmt;

use roadcast_signals::Timestamp;

use super::base32::{ALPHABET, symbol_at};

/// Length of a ULID as text, in characters.
pub(super) const TEXT_LEN: usize = 26;
const SALT_BITS: u32 = 80;
const SALT_MASK: u128 = (1 << SALT_BITS) - 1;

/// A [ULID](https://github.com/ulid/spec): 48 bits of time in milliseconds, and 80 bits that distinguish the ULIDs of one
/// millisecond.
///
/// The crate `ulid` writes the same text, but accepts texts of more than 128 bits (`8000…`) and drops their highest bits:
/// two texts would be one id.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ulid(pub(super) u128);

impl Ulid {
    pub(super) fn new(time: Timestamp, salt: u128) -> Self {
        let ms = time.ms().clamp(0, (1 << 48) - 1);
        Self(u128::from(ms.unsigned_abs()) << SALT_BITS | (salt & SALT_MASK))
    }

    pub(super) fn time(self) -> Timestamp {
        // 48 bits always fit.
        Timestamp::from_ms(i64::try_from(self.0 >> SALT_BITS).unwrap_or(i64::MAX))
    }

    pub(super) fn salt(self) -> u128 {
        self.0 & SALT_MASK
    }

    /// Returns `None` if the text is not a ULID.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let symbols = text.as_bytes();
        // 26 symbols hold 130 bits: the first may not exceed 7.
        if symbols.len() != TEXT_LEN || !(b'0'..=b'7').contains(&symbols[0]) {
            return None;
        }
        let bits = symbols.iter().try_fold(0_u128, |bits, symbol| {
            let value = ALPHABET.iter().position(|a| *a == symbol.to_ascii_uppercase())?;
            Some((bits << 5) | value as u128)
        });
        bits.map(Self)
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..TEXT_LEN).rev().try_for_each(|symbol| fmt::Write::write_char(f, symbol_at(self.0, symbol)))
    }
}

/// Defines a type of ULIDs, so that one kind of id is not taken for another.
macro_rules! ulid_type {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name($crate::ids::ulid::Ulid);

        impl $name {
            /// Length as text, in characters.
            pub const TEXT_LEN: usize = $crate::ids::ulid::TEXT_LEN;
            /// The smallest one.
            pub const MIN: Self = Self::from_bits(0);
            /// The largest one.
            pub const MAX: Self = Self::from_bits(u128::MAX);

            /// Returns the smallest one of this time: the start of a range by time.
            pub fn lower_bound(time: roadcast_signals::Timestamp) -> Self {
                Self::from_time_and_salt(time, 0)
            }

            /// Returns the one of this time and these 80 bits. Ignores the higher bits of `salt`.
            pub fn from_time_and_salt(time: roadcast_signals::Timestamp, salt: u128) -> Self {
                Self($crate::ids::ulid::Ulid::new(time, salt))
            }

            /// Creates one from the result of [`bits`](Self::bits).
            pub const fn from_bits(bits: u128) -> Self {
                Self($crate::ids::ulid::Ulid(bits))
            }

            /// Returns all 128 bits.
            pub const fn bits(self) -> u128 {
                self.0.0
            }

            /// Returns the time.
            pub fn time(self) -> roadcast_signals::Timestamp {
                self.0.time()
            }

            /// Returns the next one in order; `None` after [`MAX`](Self::MAX).
            pub fn next(self) -> Option<Self> {
                self.bits().checked_add(1).map(Self::from_bits)
            }

            /// Returns the previous one in order; `None` before [`MIN`](Self::MIN).
            pub fn previous(self) -> Option<Self> {
                self.bits().checked_sub(1).map(Self::from_bits)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::ids::ulid::Ulid::parse(text).map(Self).ok_or($crate::ids::InvalidId { expected: $expected })
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::ids::InvalidId;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

pub(super) use ulid_type;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parser_accepts_lower_case_and_refuses_other_symbols() {
        let max = "7ZZZZZZZZZZZZZZZZZZZZZZZZZ";
        assert_eq!(Ulid::parse(max).map(|ulid| ulid.0), Some(u128::MAX));
        assert_eq!(Ulid::parse(&max.to_ascii_lowercase()).map(|ulid| ulid.0), Some(u128::MAX));
        for text in ["", "7ZZZZZZZZZZZZZZZZZZZZZZZZ", "7ZZZZZZZZZZZZZZZZZZZZZZZZZZ", "80000000000000000000000000"] {
            assert!(Ulid::parse(text).is_none(), "{text}");
        }
        for symbol in ['I', 'L', 'O', 'U', 'i', 'l', 'o', 'u', '-'] {
            assert!(Ulid::parse(&format!("0000000000000000000000000{symbol}")).is_none(), "{symbol}");
        }
    }

    proptest! {
        #[test]
        fn ulid_round_trips_as_text_and_texts_sort_as_ulids(a: u128, b: u128) {
            let (a, b) = (Ulid(a), Ulid(b));
            prop_assert!(Ulid::parse(&a.to_string()) == Some(a));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn parser_does_not_panic_on_any_text(text: String) {
            let _ = Ulid::parse(&text);
        }
    }
}
