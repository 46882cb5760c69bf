//! Keys of erasures, in `reference`.
//!
//! | `pk` | `sk` | item |
//! |---|---|---|
//! | `erasures` | `<erasureId>` | an erasure |
//! | `erased#<HMAC of the name>` | `vehicle` | that a name was that of an erased vehicle; the key of the HMAC is derived from the secret of the stack; expires |

use roadcast_domain::ids::{ErasureId, VehicleId};
use roadcast_domain::secret::{KeyPurpose, Secret};
use roadcast_domain::subject::VehicleName;

use super::{Key, KeyRange, PK, SK};

const ALL_ERASURES: &str = "erasures";
/// Sorts after every character that occurs in ids.
const AFTER_ANY_ID: char = '~';

impl Key {
    /// An erasure.
    pub fn erasure(erasure_id: &ErasureId) -> Self {
        Self { partition: (PK, ALL_ERASURES.to_owned()), sort: Some((SK, erasure_id.to_string())) }
    }

    /// What is kept of a name of an erased vehicle. Also of an external id, which is personal data, it is a digest only.
    pub fn erased_name(name: &VehicleName, secret: &Secret) -> Self {
        let digest = secret.key(KeyPurpose::ErasedNames).mac(name.to_subject_text().as_bytes());
        Self { partition: (PK, format!("erased#{}", hex::encode(digest))), sort: Some((SK, "vehicle".to_owned())) }
    }

    /// Returns the copy, in the partition of the fleet, of a grant or an epoch in the partition of the vehicle; `None` if the sort
    /// key is of another kind.
    pub fn fleet_copy(vid: &VehicleId, sort_key: &str) -> Option<Self> {
        let of_fleet = sort_key.strip_prefix("grant#")?;
        let (fleet_id, subscription) = of_fleet.split_once('#').map_or((of_fleet, None), |(fleet, id)| (fleet, Some(id)));
        let fleet_id = fleet_id.parse().ok()?;
        match subscription {
            None => Some(Self::epoch_by_fleet(&fleet_id, vid)),
            Some(id) => Some(Self::grant_by_fleet(&fleet_id, vid, &id.parse().ok()?)),
        }
    }
}

impl KeyRange {
    /// The erasures after `after`.
    pub fn erasures(after: Option<&ErasureId>) -> Self {
        let from = after.map_or_else(|| "era_".to_owned(), |after| format!("{after}{AFTER_ANY_ID}"));
        let to = format!("era_{AFTER_ANY_ID}");
        let partition = (PK, ALL_ERASURES.to_owned());
        Self { partition, sort: SK, from, to, consistent: true, descending: false }
    }
}

#[cfg(test)]
mod tests {
    use roadcast_domain::ids::{FleetId, SubscriptionId};

    use super::*;

    #[test]
    fn copies_of_grants_and_epochs_are_found() {
        let (vid, fleet_id) = (VehicleId::from_random_bits(1), FleetId::from_random_bits(2));
        let subscription = SubscriptionId::from_random_bits(3);
        let sort = |key: &Key| key.sort.clone().map(|(_, value)| value).unwrap_or_default();
        let grant = sort(&Key::grant_by_vehicle(&vid, &fleet_id, &subscription));
        assert_eq!(Key::fleet_copy(&vid, &grant), Some(Key::grant_by_fleet(&fleet_id, &vid, &subscription)));
        let epoch = sort(&Key::epoch_by_vehicle(&vid, &fleet_id));
        assert_eq!(Key::fleet_copy(&vid, &epoch), Some(Key::epoch_by_fleet(&fleet_id, &vid)));
        assert_eq!(Key::fleet_copy(&vid, "other"), None);
    }

    #[test]
    fn digest_of_an_external_id_does_not_contain_it() {
        let name = VehicleName::try_from("bus:2619".to_owned()).unwrap();
        let key = |byte| Key::erased_name(&name, &Secret::new([byte; 32]).unwrap());
        assert!(key(1) == key(1) && key(1) != key(2) && !key(1).partition_value().contains("2619"));
    }
}
