//! Ids of dead letters.

use std::fmt;
use std::str::FromStr;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use super::InvalidId;
use super::ulid::Ulid;

const PREFIX: &str = "dlt_";
const EXPECTED: &str = "a dead letter id (dlt_ and a ULID of 26 symbols in lower case)";
/// The bits of the hash, below the eight bits of the hop.
const HASH_BITS: u32 = 72;
const HASH_MASK: u128 = (1 << HASH_BITS) - 1;

/// The id of a dead letter: `dlt_` and a ULID of the time of the failure, the number of its hop and 72 bits of a hash of its
/// source. Ids sort by time.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeadLetterId(Ulid);

impl DeadLetterId {
    /// The largest id.
    pub const MAX: Self = Self(Ulid(u128::MAX));

    /// Creates an id. Ignores the bits of `hash` above the lowest 72.
    pub fn from_parts(failed_at: Timestamp, hop_number: u8, hash: u128) -> Self {
        Self(Ulid::new(failed_at, u128::from(hop_number) << HASH_BITS | (hash & HASH_MASK)))
    }

    /// Returns the smallest id of this time: the start of a range by time.
    pub fn lower_bound(failed_at: Timestamp) -> Self {
        Self::from_parts(failed_at, 0, 0)
    }

    /// Returns the time of the failure.
    pub fn failed_at(self) -> Timestamp {
        self.0.time()
    }

    /// Returns the number of the hop.
    pub fn hop_number(self) -> u8 {
        // The salt has 80 bits, so eight are left.
        u8::try_from(self.0.salt() >> HASH_BITS).unwrap_or(u8::MAX)
    }

    /// Returns the previous id in order; `None` before the smallest.
    pub fn previous(self) -> Option<Self> {
        self.0.0.checked_sub(1).map(|bits| Self(Ulid(bits)))
    }
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0.to_string().to_ascii_lowercase())
    }
}

impl fmt::Debug for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeadLetterId({self})")
    }
}

impl FromStr for DeadLetterId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let symbols = text.strip_prefix(PREFIX).filter(|symbols| !symbols.bytes().any(|symbol| symbol.is_ascii_uppercase()));
        symbols.and_then(Ulid::parse).map(Self).ok_or(InvalidId { expected: EXPECTED })
    }
}

impl TryFrom<String> for DeadLetterId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<DeadLetterId> for String {
    fn from(id: DeadLetterId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn dead_letter_id_keeps_its_parts_as_text(ms in 0_i64..1 << 48, hop: u8, hash: u128) {
            let id = DeadLetterId::from_parts(Timestamp::from_ms(ms), hop, hash);
            let parsed: DeadLetterId = id.to_string().parse().unwrap();
            prop_assert_eq!(parsed, id);
            prop_assert_eq!((parsed.failed_at().ms(), parsed.hop_number()), (ms, hop));
            prop_assert!(id.to_string().to_uppercase().parse::<DeadLetterId>().is_err());
        }

        #[test]
        fn dead_letter_id_parser_does_not_panic_on_any_text(text: String) {
            let _ = text.parse::<DeadLetterId>();
        }

        #[test]
        fn dead_letter_ids_sort_by_time_as_text(a in 0_i64..1 << 48, b in 0_i64..1 << 48, hops: (u8, u8)) {
            let ids = (DeadLetterId::from_parts(Timestamp::from_ms(a), hops.0, 1), DeadLetterId::from_parts(Timestamp::from_ms(b), hops.1, 2));
            prop_assert_eq!(ids.0.cmp(&ids.1), ids.0.to_string().cmp(&ids.1.to_string()));
        }
    }
}
