//! Keys of `vehicles`, `vehicleEvents` and `vehicleState`: the partition key is `vid`.

use roadcast_domain::ids::VehicleId;

use super::{EID, Key, KeyRange, VID};

impl Key {
    /// A vehicle, in `vehicles`.
    pub fn vehicle(vid: &VehicleId) -> Self {
        Self { partition: (VID, vid.to_string()), sort: None }
    }

    /// An event or a segment of events, in `vehicleEvents`. `key` begins with the `eid` of the (first) event.
    pub fn event_item(vid: &VehicleId, key: String) -> Self {
        Self { partition: (VID, vid.to_string()), sort: Some((EID, key)) }
    }

    /// The state of a vehicle, in `vehicleState`.
    pub fn state(vid: &VehicleId) -> Self {
        Self { partition: (VID, vid.to_string()), sort: None }
    }
}

impl KeyRange {
    /// The items of a vehicle's event log from one sort key to another.
    pub fn events(vid: &VehicleId, from: &str, to: &str) -> Self {
        Self {
            partition: (VID, vid.to_string()),
            sort: EID,
            from: from.to_owned(),
            to: to.to_owned(),
            consistent: true,
            descending: false,
        }
    }
}
