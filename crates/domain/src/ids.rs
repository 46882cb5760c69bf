//! Identifiers: each kind is a type of its own, parsed at the edge.

use std::fmt;
use std::str::FromStr;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Crockford's base32 alphabet: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Symbols after an id's prefix: 16 × 5 = 80 bits.
const SYMBOLS: usize = 16;

/// A text that is not an identifier of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {expected}")]
pub struct InvalidId {
    expected: &'static str,
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Makes the id from 80 random bits (the higher bits are ignored).
            pub fn from_random(bits: u128) -> Self {
                let mut text = String::with_capacity($prefix.len() + SYMBOLS);
                text.push_str($prefix);
                for symbol in (0..SYMBOLS).rev() {
                    text.push(symbol_at(bits, symbol).to_ascii_lowercase());
                }
                Self(text)
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let symbols = text.strip_prefix($prefix).map(str::as_bytes);
                match symbols {
                    Some(symbols)
                        if symbols.len() == SYMBOLS
                            && symbols.iter().all(|s| ALPHABET.contains(&s.to_ascii_uppercase()) && !s.is_ascii_uppercase()) =>
                    {
                        Ok(Self(text.to_owned()))
                    }
                    _ => Err(InvalidId { expected: $expected }),
                }
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
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

random_id!(
    /// A vehicle's opaque id: `veh_` and 16 base32 symbols. It says nothing of the vehicle.
    VehicleId, "veh_", "a vehicle id (veh_ and 16 of 0-9 a-z without i, l, o, u)"
);
random_id!(
    /// A fleet's id: `flt_` and 16 base32 symbols. A fleet is a customer, the tenant.
    FleetId, "flt_", "a fleet id (flt_ and 16 of 0-9 a-z without i, l, o, u)"
);
random_id!(
    /// A subscription's id: `sub_` and 16 base32 symbols.
    SubscriptionId, "sub_", "a subscription id (sub_ and 16 of 0-9 a-z without i, l, o, u)"
);

/// A machine client's id, as the user pool gave it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(String);

impl ClientId {
    /// Takes the user pool's text as it is.
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

/// An event's id in storage: a [ULID](https://github.com/ulid/spec) of 48 bits of event time in milliseconds and 80 bits of
/// hash of the vehicle, the CloudEvents `source` and `id`. The same event always gets the same one, and ids sort by event
/// time.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Eid(u128);

impl Eid {
    /// Symbols of an `eid` as text.
    pub const TEXT_LEN: usize = 26;
    /// The smallest one.
    pub const MIN: Self = Self(0);
    /// The largest one.
    pub const MAX: Self = Self(u128::MAX);
    const HASH_BITS: u32 = 80;
    const HASH_MASK: u128 = (1 << Self::HASH_BITS) - 1;

    /// The id of the event that `source` named `id` about `vid` and that happened at `time`.
    pub fn of(vid: &VehicleId, source: &str, id: &str, time: Timestamp) -> Self {
        let mut hash = Sha256::new();
        for part in [vid.as_str(), source, id] {
            // The length first, so that no two triples run together to the same text.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self::at(time).or_hash(u128::from_be_bytes(bytes))
    }

    /// The smallest id an event of that time can have: where a range by time begins.
    pub fn first_at(time: Timestamp) -> Self {
        Self::at(time)
    }

    /// A ULID for a stamp that is no event, such as a pointer's place in a feed.
    pub fn stamped(time: Timestamp, salt: u128) -> Self {
        Self::at(time).or_hash(salt)
    }

    /// The id of those bits, as [`bits`](Self::bits) gave them.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// Its 128 bits.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// The event's time.
    pub fn time(self) -> Timestamp {
        // 48 bits always fit.
        Timestamp::from_ms(i64::try_from(self.0 >> Self::HASH_BITS).unwrap_or(i64::MAX))
    }

    /// The 80 bits that are not time.
    pub fn hash(self) -> u128 {
        self.0 & Self::HASH_MASK
    }

    /// The next id in order, if there is one.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    fn at(time: Timestamp) -> Self {
        let ms = time.ms().clamp(0, (1 << 48) - 1);
        Self(u128::from(ms.unsigned_abs()) << Self::HASH_BITS)
    }

    fn or_hash(self, hash: u128) -> Self {
        Self(self.0 | (hash & Self::HASH_MASK))
    }
}

impl fmt::Display for Eid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..Self::TEXT_LEN).rev().try_for_each(|symbol| fmt::Write::write_char(f, symbol_at(self.0, symbol)))
    }
}

impl fmt::Debug for Eid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Eid({self})")
    }
}

impl FromStr for Eid {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        const INVALID: InvalidId = InvalidId { expected: "an event id (a ULID of 26 symbols)" };
        let symbols = text.as_bytes();
        // 26 symbols hold 130 bits: the first may not exceed 7.
        if symbols.len() != Self::TEXT_LEN || !symbols[0].is_ascii_digit() || symbols[0] > b'7' {
            return Err(INVALID);
        }
        symbols
            .iter()
            .try_fold(0_u128, |bits, symbol| {
                let value = ALPHABET.iter().position(|a| *a == symbol.to_ascii_uppercase())?;
                Some((bits << 5) | value as u128)
            })
            .map(Self)
            .ok_or(INVALID)
    }
}

impl TryFrom<String> for Eid {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<Eid> for String {
    fn from(eid: Eid) -> Self {
        eid.to_string()
    }
}

/// The base32 symbol of five bits, counted from the lowest.
fn symbol_at(bits: u128, symbol: usize) -> char {
    char::from(ALPHABET[(bits >> (5 * symbol) & 31) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_of_another_kind_or_alphabet_is_not_taken() {
        for text in
            ["", "veh_", "flt_0123456789abcdef", "veh_0123456789abcdeu", "veh_0123456789ABCDEF", "veh_0123456789abcdef0"]
        {
            assert!(text.parse::<VehicleId>().is_err(), "{text}");
        }
        assert!("veh_0123456789abcdef".parse::<VehicleId>().is_ok());
    }

    #[test]
    fn the_same_event_gets_the_same_eid_and_another_source_or_time_another() {
        let vid = VehicleId::from_random(1);
        let at = Timestamp::from_ms(1_500_000_000_000);
        let eid = Eid::of(&vid, "a", "b", at);
        assert_eq!(eid, Eid::of(&vid, "a", "b", at));
        assert_eq!(eid.time(), at);
        // Parts that run together must not collide.
        assert_ne!(Eid::of(&vid, "ab", "c", at), Eid::of(&vid, "a", "bc", at));
        let later = Eid::of(&vid, "a", "b", at.plus_ms(1));
        assert_eq!(later.hash(), eid.hash());
        assert!(later > eid);
    }

    proptest! {
        #[test]
        fn every_eid_survives_its_text_and_texts_sort_as_eids(a: u128, b: u128) {
            let (a, b) = (Eid(a), Eid(b));
            prop_assert_eq!(a.to_string().parse::<Eid>().unwrap(), a);
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text: String) {
            let _ = text.parse::<Eid>();
            let _ = text.parse::<VehicleId>();
        }

        #[test]
        fn every_random_id_parses(bits: u128) {
            let id = FleetId::from_random(bits);
            prop_assert_eq!(id.as_str().parse::<FleetId>().unwrap(), id);
        }
    }
}
