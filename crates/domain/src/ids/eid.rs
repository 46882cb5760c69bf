//! Event ids.

use roadcast_signals::Timestamp;
use sha2::{Digest, Sha256};

use super::VehicleId;
use super::ulid::ulid_type;

ulid_type!(
    /// The id of a stored event: a [ULID](https://github.com/ulid/spec) of 48 bits of event time in milliseconds and 80 bits
    /// of a hash of the vehicle id and of the CloudEvents `source` and `id`. The same event always gets the same id, and ids
    /// sort by event time.
    Eid, "an event id (a ULID of 26 symbols)"
);

impl Eid {
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
        Self::from_time_and_salt(time, u128::from_be_bytes(bytes))
    }

    /// Returns the 80 bits after the time.
    pub fn hash(self) -> u128 {
        self.0.salt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
