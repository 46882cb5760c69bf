use crate::{SignalPath, Timestamp, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The coordinates of a position: latitude and longitude, in the order of their paths. They are one value: both are of the same
/// sample.
pub const POSITION: [&str; 2] = ["Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"];

/// The values of one sample by signal.
pub type Signals = BTreeMap<SignalPath, Value>;

/// One timestamped set of signals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The time of the observation, by the clock of the vehicle.
    pub at: Timestamp,
    /// The observed values.
    pub signals: Signals,
}

/// Removes latitude and longitude if both are exactly 0. Returns whether they were removed.
///
/// A receiver without a position fix reports 0, 0. A single coordinate can be 0, on the equator or the prime meridian, so
/// only the pair is removed.
pub fn reject_null_position(signals: &mut Signals) -> bool {
    let is_zero = |path: &str| signals.get(path).and_then(Value::as_number) == Some(0.0);
    let is_null = POSITION.into_iter().all(is_zero);
    if is_null {
        signals.retain(|path, _| !POSITION.contains(&path.as_str()));
    }
    is_null
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn sample(json: &str) -> Sample {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn samples_round_trip_through_json() {
        let json = r#"{"at":"2017-02-19T12:19:28.000Z","signals":{"Vehicle.Speed":45.4,"acme.x":true}}"#;
        assert_eq!(serde_json::to_string(&sample(json)).unwrap(), json);
    }

    #[test]
    fn position_of_zero_zero_is_removed() {
        let mut at_null = sample(
            r#"{"at":"2017-02-19T12:19:28Z","signals":{"Vehicle.CurrentLocation.Latitude":0,
                "Vehicle.CurrentLocation.Longitude":0.0,"Vehicle.Speed":3}}"#,
        )
        .signals;
        assert!(reject_null_position(&mut at_null));
        assert_eq!(at_null.keys().map(SignalPath::as_str).collect::<Vec<_>>(), ["Vehicle.Speed"]);
        assert!(!reject_null_position(&mut at_null));
    }

    #[test]
    fn position_with_one_zero_coordinate_is_valid() {
        let mut greenwich = sample(
            r#"{"at":"2017-02-19T12:19:28Z","signals":{"Vehicle.CurrentLocation.Latitude":51.477928,
                "Vehicle.CurrentLocation.Longitude":0}}"#,
        )
        .signals;
        assert!(!reject_null_position(&mut greenwich));
        assert_eq!(greenwich.len(), 2);
    }
}
