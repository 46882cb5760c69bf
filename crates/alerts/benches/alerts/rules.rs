//! Ten rules of different kinds.

use std::sync::Arc;

use roadcast_alerts::RuleVersion;
use roadcast_alerts::rule::Rule;
use roadcast_domain::alert::RuleOwner;
use roadcast_domain::ids::{RuleId, VehicleId};
use serde_json::{Value, json};

use crate::day::start;

const CHARGE: &str = "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current";

/// A ring around the city with this number of corners.
fn ring(corners: u32) -> Vec<Value> {
    let corner = |number: u32| {
        let angle = f64::from(number % corners) / f64::from(corners) * std::f64::consts::TAU;
        json!([13.4 + 0.07 * angle.cos(), 52.5 + 0.06 * angle.sin()])
    };
    (0..=corners).map(corner).collect()
}

/// Returns ten rules about one vehicle, or about all.
pub(crate) fn ten(vehicle: Option<&VehicleId>, set: u32) -> Vec<RuleVersion> {
    // Many rules with small areas fit into memory.
    let corners = if vehicle.is_some() { 10 } else { 100 };
    let line: Vec<Value> = ring(corners).into_iter().take(usize::try_from(corners).unwrap() * 4 / 5).collect();
    let conditions = [
        json!({"threshold": {"signal": "Vehicle.Speed", "above": 90, "hysteresis": 10}, "forS": 10}),
        json!({"threshold": {"signal": CHARGE, "below": 20, "hysteresis": 5}}),
        json!({"rate": {"signal": CHARGE, "below": -30, "per": "hour", "windowS": 600}}),
        json!({"harshBraking": {"aboveMps2": 3.5}}),
        json!({"geofence": {"event": "enter", "circle": {"center": [13.48, 52.5], "radiusM": 500}, "hysteresisM": 50}}),
        json!({"geofence": {"event": "leave", "polygon": [ring(corners)], "hysteresisM": 100}}),
        json!({"geofence": {"event": "dwell", "corridor": {"line": line, "widthM": 300}, "hysteresisM": 50}, "forS": 60}),
        json!({"noData": {"afterS": 300}}),
        json!({"dtc": {"patterns": ["P0[3]xx", "P04xx"], "statuses": ["active"]}}),
        json!({"all": [
            {"threshold": {"signal": "Vehicle.Powertrain.TractionBattery.Temperature.Average", "above": 30, "hysteresis": 1}},
            {"any": [
                {"threshold": {"signal": "Vehicle.Powertrain.ElectricMotor.Speed", "above": 6000}},
                {"threshold": {"signal": "Vehicle.Acceleration.Longitudinal", "above": 2.5}},
            ]},
        ], "forS": 5}),
    ];
    let version = |(index, condition): (usize, Value)| {
        let mut rule = json!({"name": "rule", "severity": "info", "condition": condition, "cooldownS": 60});
        if let Some(vehicle) = &vehicle {
            rule["scope"] = json!({"vehicles": [vehicle]});
        }
        RuleVersion {
            owner: RuleOwner::Operator,
            rule_id: RuleId::from_random_bits(u128::from(set) * 16 + index as u128),
            version: 1,
            active_from: start(),
            rule: Arc::new(Rule::from_value(&rule).unwrap()),
        }
    };
    conditions.into_iter().enumerate().map(version).collect()
}
