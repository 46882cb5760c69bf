//! Drives of real vehicles, and conditions of rules that concern them. The tests of the evaluator in `services` use it, too.

use roadcast_signals::{POSITION, Sample, Value};
use serde_json::json;

/// Maximum time between samples of an event.
pub(crate) const EVENT_SPAN_MS: i64 = 5 * 60 * 1000;
const SAMPLES_PER_EVENT: usize = 10;
pub(crate) const METRES_PER_DEGREE: f64 = 111_195.0;
/// A trip of a bus across its city.
const TRIP: &str = "1400625";

/// Groups the samples of a vehicle, which it sorts by time, into events.
pub(crate) fn events_of(samples: &[Sample]) -> Vec<Vec<Sample>> {
    let mut samples = samples.to_vec();
    samples.sort_by_key(|sample| sample.at);
    let mut groups: Vec<Vec<Sample>> = Vec::new();
    for sample in samples {
        match groups.last_mut() {
            Some(group) if group.len() < SAMPLES_PER_EVENT && sample.at.ms_since(group[0].at) <= EVENT_SPAN_MS => {
                group.push(sample);
            }
            _ => groups.push(vec![sample]),
        }
    }
    groups
}

/// Conditions on the trips of enviroCar.
pub(crate) fn trip_conditions() -> Vec<serde_json::Value> {
    vec![
        json!({"threshold": {"signal": "Vehicle.Speed", "above": 100, "hysteresis": 10}, "forS": 20}),
        json!({"harshBraking": {"aboveMps2": 2}}),
        json!({"noData": {"afterS": 60}}),
        json!({"all": [
            {"threshold": {"signal": "Vehicle.OBD.EngineSpeed", "above": 2500}},
            {"threshold": {"signal": "Vehicle.Speed", "below": 50}},
        ]}),
    ]
}

/// Conditions on the charge of a Twizy.
pub(crate) fn charge_conditions() -> Vec<serde_json::Value> {
    let charge = "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current";
    vec![
        json!({"threshold": {"signal": charge, "below": 40, "hysteresis": 5}}),
        json!({"threshold": {"signal": charge, "below": 20}, "forS": 60}),
        json!({"rate": {"signal": charge, "below": -60, "hysteresis": 10, "per": "hour", "windowS": 300}}),
        json!({"harshAcceleration": {"aboveMps2": 2}}),
    ]
}

/// Conditions on where the buses of CapMetro are.
pub(crate) fn geofence_conditions() -> Vec<serde_json::Value> {
    let center = [-97.7431, 30.2672];
    let line = json!([[-97.7431, 30.26], [-97.738, 30.285], [-97.72, 30.32]]);
    let ring = json!([[-97.76, 30.25], [-97.72, 30.25], [-97.72, 30.29], [-97.76, 30.29], [-97.76, 30.25]]);
    vec![
        json!({"geofence": {"event": "enter", "circle": {"center": center, "radiusM": 1000}, "hysteresisM": 50}}),
        json!({"geofence": {"event": "leave", "polygon": [ring], "hysteresisM": 50}}),
        json!({"geofence": {"event": "dwell", "corridor": {"line": line, "widthM": 300}}, "forS": 300}),
        json!({"noData": {"afterS": 600}}),
    ]
}

/// Returns longitude and latitude.
pub(crate) fn position(sample: &Sample) -> [f64; 2] {
    let [latitude, longitude] = POSITION.map(|path| sample.signals[path].as_number().unwrap());
    [longitude, latitude]
}

pub(crate) fn distance_m([x, y]: [f64; 2], [other_x, other_y]: [f64; 2]) -> f64 {
    ((x - other_x) * y.to_radians().cos()).hypot(y - other_y) * METRES_PER_DEGREE
}

/// Returns a trip of a bus, and ten fences that it enters, in the order of its line.
pub(crate) fn trip_with_fences(buses: &[Vec<Sample>]) -> (Vec<Sample>, Vec<serde_json::Value>) {
    let is_of_trip = |sample: &&Sample| sample.signals.get("Vehicle.Transit.TripId") == Some(&Value::from(TRIP));
    let mut trip: Vec<Sample> = buses.iter().flatten().filter(is_of_trip).cloned().collect();
    trip.sort_by_key(|sample| sample.at);
    let mut centers: Vec<[f64; 2]> = Vec::new();
    for sample in trip.iter().skip(1) {
        let here = position(sample);
        // Far enough from the start that the bus is outside before it enters.
        let is_apart = centers.iter().chain([&position(&trip[0])]).all(|other| distance_m(here, *other) > 800.0);
        if is_apart && centers.len() < 10 {
            centers.push(here);
        }
    }
    assert_eq!(centers.len(), 10);
    let fence = |center: [f64; 2]| {
        let circle = json!({"center": center, "radiusM": 150});
        json!({"geofence": {"event": "enter", "circle": circle, "hysteresisM": 50}})
    };
    (trip, centers.into_iter().map(fence).collect())
}
