//! JSON representations of vehicles and their state.

use std::collections::BTreeMap;

use roadcast_domain::Timestamp;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::state::VehicleState;
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use serde::Serialize;
use serde_json::{Value, json};

/// The JSON representation of a vehicle.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VehicleView<'a> {
    vid: &'a VehicleId,
    #[serde(flatten)]
    details: &'a VehicleDetails,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retired_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> From<&'a Vehicle> for VehicleView<'a> {
    fn from(vehicle: &'a Vehicle) -> Self {
        Self {
            vid: &vehicle.vid,
            details: &vehicle.details,
            warnings: vehicle.details.warnings(),
            retired_at: vehicle.retired_at,
            created_at: vehicle.created_at,
            updated_at: vehicle.updated_at,
        }
    }
}

/// The JSON representation of last-known values, each with its age.
#[derive(Serialize)]
pub(crate) struct StateView<'a> {
    vid: &'a VehicleId,
    signals: BTreeMap<&'a str, Value>,
}

impl<'a> StateView<'a> {
    pub(crate) fn of(vid: &'a VehicleId, state: &'a VehicleState, now: Timestamp) -> Self {
        let signals = state.signals.iter().map(|(path, last)| {
            let mut signal = json!({
                "value": last.value,
                "at": last.at,
                "receivedAt": last.received,
                // A vehicle clock that is ahead must not give a negative age.
                "ageSeconds": now.ms_since(last.at).max(0) / 1000,
            });
            if let Some(unit) = path.def().and_then(|def| def.unit) {
                signal["unit"] = json!(unit);
            }
            (path.as_str(), signal)
        });
        Self { vid, signals: signals.collect() }
    }
}
