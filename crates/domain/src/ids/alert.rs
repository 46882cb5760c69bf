//! Ids of alerts.

use roadcast_signals::Timestamp;
use sha2::{Digest, Sha256};

use super::ulid::ulid_type;
use super::{RuleId, VehicleId};

ulid_type!(
    /// The id of an alert: a ULID of the time at which it was raised and of a hash of the rule, its version and the vehicle. The
    /// same rule on the same history always raises alerts with the same ids.
    AlertId, "an alert id (a ULID of 26 symbols)"
);

impl AlertId {
    /// Returns the id of the alert that a version of a rule raised about a vehicle at this time. A rule raises at most one alert
    /// about a vehicle at one time.
    pub fn for_alert(rule_id: &RuleId, version: u64, vid: &VehicleId, raised_at: Timestamp) -> Self {
        let mut hash = Sha256::new();
        // Both ids have a fixed length, so that no two triples have the same concatenation.
        hash.update(rule_id.as_str().as_bytes());
        hash.update(version.to_be_bytes());
        hash.update(vid.as_str().as_bytes());
        let digest = hash.finalize();
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self::from_time_and_salt(raised_at, u128::from_be_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alert_id_depends_on_rule_version_vehicle_and_time() {
        let at = Timestamp::from_ms(1_500_000_000_000);
        let id = |rule, version, vehicle, at| {
            AlertId::for_alert(&RuleId::from_random_bits(rule), version, &VehicleId::from_random_bits(vehicle), at)
        };
        assert_eq!(id(1, 1, 1, at), id(1, 1, 1, at));
        assert_eq!(id(1, 1, 1, at).time(), at);
        for other in [id(2, 1, 1, at), id(1, 2, 1, at), id(1, 1, 2, at), id(1, 1, 1, at.plus_ms(1))] {
            assert_ne!(id(1, 1, 1, at), other);
        }
    }
}
