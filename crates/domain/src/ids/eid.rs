//! Event ids.

use std::fmt;
use std::str::FromStr;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::base32::{ALPHABET, symbol_at};
use super::{InvalidId, VehicleId};

/// The id of a stored event: a [ULID](https://github.com/ulid/spec) of 48 bits of event time in milliseconds and 80 bits
/// of a hash of the vehicle id and of the CloudEvents `source` and `id`. The same event always gets the same id, and ids
/// sort by event time.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Eid(u128);

impl Eid {
    /// Length of an eid as text, in characters.
    pub const TEXT_LEN: usize = 26;
    /// The smallest eid.
    pub const MIN: Self = Self(0);
    /// The largest eid.
    pub const MAX: Self = Self(u128::MAX);
    const HASH_BITS: u32 = 80;
    const HASH_MASK: u128 = (1 << Self::HASH_BITS) - 1;

    /// Returns the eid of the event that `source` sent about `vid` with this `id`, and that happened at `time`.
    pub fn for_event(vid: &VehicleId, source: &str, id: &str, time: Timestamp) -> Self {
        let mut hash = Sha256::new();
        for part in [vid.as_str(), source, id] {
            // The length prefix prevents that two triples have the same concatenation.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self::at(time).or_hash(u128::from_be_bytes(bytes))
    }

    /// Returns the smallest eid of an event at `time`: the start of a range by time.
    pub fn lower_bound(time: Timestamp) -> Self {
        Self::at(time)
    }

    /// Returns a ULID that does not identify an event, such as the position of a pointer in a feed.
    pub fn from_time_and_salt(time: Timestamp, salt: u128) -> Self {
        Self::at(time).or_hash(salt)
    }

    /// Creates an eid from the result of [`bits`](Self::bits).
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// Returns all 128 bits.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// Returns the event time.
    pub fn time(self) -> Timestamp {
        // 48 bits always fit.
        Timestamp::from_ms(i64::try_from(self.0 >> Self::HASH_BITS).unwrap_or(i64::MAX))
    }

    /// Returns the 80 bits after the time.
    pub fn hash(self) -> u128 {
        self.0 & Self::HASH_MASK
    }

    /// Returns the next eid in order; `None` after [`MAX`](Self::MAX).
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn same_event_gets_the_same_eid() {
        let vid = VehicleId::from_random_bits(1);
        let at = Timestamp::from_ms(1_500_000_000_000);
        let eid = Eid::for_event(&vid, "a", "b", at);
        assert_eq!(eid, Eid::for_event(&vid, "a", "b", at));
        assert_eq!(eid.time(), at);
        // Equal concatenations must not collide.
        assert_ne!(Eid::for_event(&vid, "ab", "c", at), Eid::for_event(&vid, "a", "bc", at));
        let later = Eid::for_event(&vid, "a", "b", at.plus_ms(1));
        assert_eq!(later.hash(), eid.hash());
        assert!(later > eid);
    }

    proptest! {
        #[test]
        fn eid_round_trips_as_text_and_texts_sort_as_eids(a: u128, b: u128) {
            let (a, b) = (Eid(a), Eid(b));
            prop_assert_eq!(a.to_string().parse::<Eid>().unwrap(), a);
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn parser_does_not_panic_on_any_text(text: String) {
            let _ = text.parse::<Eid>();
        }
    }
}
