//! What belongs to the vehicles of an erasure.

use std::collections::BTreeSet;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::VehicleId;
use crate::subject::{Subject, VehicleName};

/// A name under which data of an erased vehicle was received, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErasedName {
    /// The name.
    pub name: VehicleName,
    /// From when on it was the name of the vehicle.
    pub since: Timestamp,
    /// When another vehicle took it, or the vehicle was hidden.
    pub until: Timestamp,
}

/// Decides what belongs to the vehicles of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureScope {
    vehicles: BTreeSet<VehicleId>,
    names: Vec<ErasedName>,
    since: Timestamp,
}

impl ErasureScope {
    /// The data of these vehicles, received under their ids and these names since a time.
    pub fn new(vehicles: impl IntoIterator<Item = VehicleId>, names: Vec<ErasedName>, since: Timestamp) -> Self {
        Self { vehicles: vehicles.into_iter().collect(), names, since }
    }

    /// Returns the vehicles.
    pub const fn vehicles(&self) -> &BTreeSet<VehicleId> {
        &self.vehicles
    }

    /// Returns the time before which nothing was received that belongs to them.
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// Whether this is one of the vehicles.
    pub fn contains(&self, vid: &VehicleId) -> bool {
        self.vehicles.contains(vid)
    }

    /// Whether an event with this subject or partition key, which was received at this time, belongs to one of the vehicles.
    pub fn owns(&self, subject: &str, received: Timestamp) -> bool {
        let name = match Subject::parse(subject) {
            Some(Subject::Vid(vid)) => return self.contains(&vid),
            Some(Subject::Vin(vin)) => VehicleName::Vin(vin),
            Some(Subject::External(id)) => VehicleName::External(id),
            None => return false,
        };
        self.names.iter().any(|erased| erased.since <= received && received < erased.until && erased.name == name)
    }

    /// Whether a text contains the id of one of the vehicles.
    pub fn mentions_id(&self, text: &str) -> bool {
        self.vehicles.iter().any(|vid| text.contains(vid.as_str()))
    }

    /// Whether a text contains the id of one of the vehicles, or one of their names at the time when it was received, if that is
    /// known: for texts whose structure is not known. An external id counts only with its scheme, because its value can be a
    /// common word.
    pub fn is_mentioned(&self, text: &str, received: Option<Timestamp>) -> bool {
        let had_name = |erased: &&ErasedName| received.is_none_or(|at| erased.since <= at && at < erased.until);
        self.mentions_id(text)
            || self.names.iter().filter(had_name).any(|erased| match &erased.name {
                VehicleName::Vin(vin) => text.contains(vin.as_str()),
                VehicleName::External(_) => text.contains(&erased.name.to_subject_text()),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn name_counts_only_while_the_vehicle_had_it() {
        let [erased, other] = [1, 2].map(VehicleId::from_random_bits);
        let name = |text: &str| VehicleName::try_from(text.to_owned()).unwrap();
        let named = |text: &str| ErasedName { name: name(text), since: at(10), until: at(20) };
        let erased_names = vec![named("vin:WVWZZZ3CZEE140287"), named("bus:26")];
        let scope = ErasureScope::new([erased.clone()], erased_names, at(0));
        for (subject, received, is_owned) in [
            (erased.as_str(), 5, true),
            (other.as_str(), 15, false),
            ("vin:wvwzzz3czee140287", 10, true),
            ("vin:WVWZZZ3CZEE140287", 9, false),
            ("bus:26", 19, true),
            ("bus:26", 20, false),
            ("bus:261", 15, false),
            ("", 15, false),
        ] {
            assert_eq!(scope.owns(subject, at(received)), is_owned, "{subject} {received}");
        }
        assert!(scope.is_mentioned(r#"{"subject":"bus:26"}"#, Some(at(15))) && !scope.is_mentioned("bus 26", None));
        assert!(scope.is_mentioned("xWVWZZZ3CZEE140287x", None) && !scope.is_mentioned("WVWZZZ3CZEE140287", Some(at(25))));
        assert!(scope.is_mentioned(&format!("a {erased} b"), Some(at(99))) && !scope.is_mentioned(other.as_str(), None));
    }
}
