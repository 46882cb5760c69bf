//! Identifiers: each kind has its own type and is parsed at the edge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use self::base32::{ALPHABET, symbol_at};

mod alert;
mod base32;
mod dead_letter;
mod delivery;
mod eid;
mod positions;
mod ulid;

pub use alert::AlertId;
pub use dead_letter::DeadLetterId;
pub use delivery::DeliveryId;
pub use eid::Eid;
pub use positions::{ArrivalStamp, ChangeId};

/// Symbols after an id's prefix: 16 × 5 = 80 bits.
const SYMBOLS: usize = 16;

/// A text that is not an identifier of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {expected}")]
pub struct InvalidId {
    expected: &'static str,
}

/// Whether a byte is a symbol of an id: one of base32, in lower case.
fn is_symbol(byte: u8) -> bool {
    !byte.is_ascii_uppercase() && ALPHABET.contains(&byte.to_ascii_uppercase())
}

/// Returns the bytes of an id: its prefix and its symbols.
fn text_of<const BYTES: usize>(prefix: &str, symbol: impl Fn(usize) -> u8) -> [u8; BYTES] {
    std::array::from_fn(|index| match index.checked_sub(prefix.len()) {
        Some(index) => symbol(index),
        None => prefix.as_bytes().get(index).copied().unwrap_or_default(),
    })
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $expected:literal) => {
        $(#[$doc])*
        // The text itself and not a `String`: ids are compared and copied for every event.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $prefix.len() + SYMBOLS]);

        impl $name {
            /// Creates an id from 80 random bits. Ignores the higher bits.
            pub fn from_random_bits(bits: u128) -> Self {
                Self(text_of($prefix, |symbol| symbol_at(bits, SYMBOLS - 1 - symbol).to_ascii_lowercase() as u8))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                // Always ASCII.
                std::str::from_utf8(&self.0).unwrap_or_default()
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let symbols = text.strip_prefix($prefix).map(str::as_bytes);
                match symbols {
                    Some(symbols) if symbols.len() == SYMBOLS && symbols.iter().all(|symbol| is_symbol(*symbol)) => {
                        Ok(Self(text_of($prefix, |symbol| symbols.get(symbol).copied().unwrap_or_default())))
                    }
                    _ => Err(InvalidId { expected: $expected }),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.as_str()).finish()
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

random_id!(
    /// A vehicle's opaque id: `veh_` and 16 base32 symbols. Reveals nothing about the vehicle.
    VehicleId, "veh_", "a vehicle id (veh_ and 16 of 0-9 a-z without i, l, o, u)"
);
random_id!(
    /// A fleet's id: `flt_` and 16 base32 symbols.
    FleetId, "flt_", "a fleet id (flt_ and 16 of 0-9 a-z without i, l, o, u)"
);
random_id!(
    /// A subscription's id: `sub_` and 16 base32 symbols.
    SubscriptionId, "sub_", "a subscription id (sub_ and 16 of 0-9 a-z without i, l, o, u)"
);
random_id!(
    /// The id of a webhook endpoint: `end_` and 16 base32 symbols.
    EndpointId, "end_", "an endpoint id (end_ and 16 of 0-9 a-z without i, l, o, u)"
);

random_id!(
    /// The id of an erasure: `era_` and 16 base32 symbols.
    ErasureId, "era_", "an erasure id (era_ and 16 of 0-9 a-z without i, l, o, u)"
);

random_id!(
    /// The id of an alert rule: `rul_` and 16 base32 symbols.
    RuleId, "rul_", "a rule id (rul_ and 16 of 0-9 a-z without i, l, o, u)"
);

random_id!(
    /// The id of a back-test of alert rules: `bkt_` and 16 base32 symbols.
    BackTestId, "bkt_", "a back-test id (bkt_ and 16 of 0-9 a-z without i, l, o, u)"
);

/// A machine client's id, as the user pool assigned it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(String);

impl ClientId {
    /// Creates an id from the text of the user pool, without validation.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn id_with_another_prefix_or_alphabet_is_invalid() {
        for text in
            ["", "veh_", "flt_0123456789abcdef", "veh_0123456789abcdeu", "veh_0123456789ABCDEF", "veh_0123456789abcdef0"]
        {
            assert!(text.parse::<VehicleId>().is_err(), "{text}");
        }
        assert!("veh_0123456789abcdef".parse::<VehicleId>().is_ok());
    }

    proptest! {
        #[test]
        fn parser_does_not_panic_on_any_text(text: String) {
            let _ = text.parse::<VehicleId>();
        }

        #[test]
        fn every_random_id_parses(bits: u128) {
            let id = FleetId::from_random_bits(bits);
            prop_assert_eq!(id.as_str().parse::<FleetId>().unwrap(), id);
        }
    }
}
