//! The state of the engine or the battery during a drive.

use rand::RngExt;
use serde_json::{Map, Value};

pub(super) const ENGINE_SPEED: &str = "Vehicle.OBD.EngineSpeed";
pub(super) const ENGINE_LOAD: &str = "Vehicle.OBD.EngineLoad";
pub(super) const THROTTLE: &str = "Vehicle.OBD.ThrottlePosition";
pub(super) const COOLANT: &str = "Vehicle.OBD.CoolantTemperature";
pub(super) const FUEL_RATE: &str = "Vehicle.OBD.FuelRate";
pub(super) const FUEL_LEVEL: &str = "Vehicle.Powertrain.FuelSystem.RelativeLevel";
pub(super) const CHARGE: &str = "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current";
pub(super) const BATTERY_POWER: &str = "Vehicle.Powertrain.TractionBattery.CurrentPower";
pub(super) const BATTERY_TEMPERATURE: &str = "Vehicle.Powertrain.TractionBattery.Temperature.Average";
pub(super) const BATTERY_RANGE: &str = "Vehicle.Powertrain.TractionBattery.Range";

const TANK_L: f64 = 50.0;
const BATTERY_KWH: f64 = 52.0;
const MASS_KG: f64 = 1_600.0;
/// For each gear: the maximum speed in km/h, and the engine speed in rpm per km/h.
const GEARS: [(f64, f64); 6] =
    [(15.0, 125.0), (30.0, 75.0), (50.0, 50.0), (70.0, 38.0), (95.0, 30.0), (f64::INFINITY, 25.0)];
const IDLE_RPM: f64 = 780.0;

/// An engine with its tank, or a motor with its battery.
#[derive(Clone, Debug)]
pub(super) enum Powertrain {
    Combustion {
        rpm: f64,
        load_percent: f64,
        coolant_c: f64,
        fuel_l_h: f64,
        tank_l: f64,
    },
    Electric {
        charge_kwh: f64,
        /// The power into the battery: negative while driving.
        power_w: f64,
        battery_c: f64,
    },
}

impl Powertrain {
    pub(super) fn new(is_electric: bool, air_c: f64, rng: &mut impl RngExt) -> Self {
        if is_electric {
            Self::Electric { charge_kwh: BATTERY_KWH * rng.random_range(0.4..0.95), power_w: 0.0, battery_c: air_c + 4.0 }
        } else {
            Self::Combustion {
                rpm: IDLE_RPM,
                load_percent: 20.0,
                coolant_c: air_c,
                fuel_l_h: 0.0,
                tank_l: TANK_L * rng.random_range(0.3..1.0),
            }
        }
    }

    pub(super) fn step(&mut self, speed_ms: f64, acceleration_ms2: f64, elapsed_s: f64) {
        let hours = elapsed_s / 3600.0;
        // Acceleration, rolling resistance and air drag of a mid-size car.
        let force_n = MASS_KG * acceleration_ms2
            + if speed_ms > 0.0 { 0.011 * MASS_KG * 9.81 } else { 0.0 }
            + 0.4 * speed_ms * speed_ms;
        let wheel_w = force_n * speed_ms;
        match self {
            Self::Combustion { rpm, load_percent, coolant_c, fuel_l_h, tank_l } => {
                let speed_kmh = speed_ms * 3.6;
                let rpm_per_kmh = GEARS.iter().find(|(max_kmh, _)| speed_kmh < *max_kmh).map_or(25.0, |(_, ratio)| *ratio);
                *rpm = (speed_kmh * rpm_per_kmh).max(IDLE_RPM);
                *load_percent = (18.0 + wheel_w / 800.0).clamp(4.0, 98.0);
                *coolant_c += (90.0 - *coolant_c) * elapsed_s / 240.0;
                *fuel_l_h = (0.7 + wheel_w.max(0.0) / 3_000.0).min(40.0);
                *tank_l = (*tank_l - *fuel_l_h * hours).max(0.0);
            }
            Self::Electric { charge_kwh, power_w, battery_c } => {
                // Losses of driving, and higher losses of regenerative braking.
                let motor_w = if wheel_w > 0.0 { wheel_w / 0.9 } else { wheel_w * 0.6 };
                *power_w = -(motor_w + 450.0);
                *charge_kwh = (*charge_kwh + *power_w / 1000.0 * hours).clamp(0.0, BATTERY_KWH);
                *battery_c += (31.0 - *battery_c) * elapsed_s / 1_800.0;
            }
        }
    }

    /// Refuels or charges at the end of a round, if the level is low.
    pub(super) fn replenish(&mut self) {
        match self {
            Self::Combustion { tank_l, .. } if *tank_l < 0.15 * TANK_L => *tank_l = TANK_L,
            Self::Electric { charge_kwh, .. } if *charge_kwh < 0.25 * BATTERY_KWH => {
                *charge_kwh = 0.8 * BATTERY_KWH;
            }
            Self::Combustion { .. } | Self::Electric { .. } => {}
        }
    }

    pub(super) fn insert_signals(&self, signals: &mut Map<String, Value>) {
        let mut put = |path: &str, value: Value| signals.insert(path.to_owned(), value);
        match *self {
            Self::Combustion { rpm, load_percent, coolant_c, fuel_l_h, tank_l } => {
                put(ENGINE_SPEED, whole(rpm));
                put(ENGINE_LOAD, rounded(load_percent, 10.0));
                put(THROTTLE, rounded(load_percent * 0.7, 10.0));
                put(COOLANT, rounded(coolant_c, 10.0));
                put(FUEL_RATE, rounded(fuel_l_h, 100.0));
                put(FUEL_LEVEL, whole(tank_l / TANK_L * 100.0));
            }
            Self::Electric { charge_kwh, power_w, battery_c } => {
                put(CHARGE, rounded(charge_kwh / BATTERY_KWH * 100.0, 100.0));
                put(BATTERY_POWER, whole(power_w));
                put(BATTERY_TEMPERATURE, rounded(battery_c, 10.0));
                // 16 kWh per 100 km.
                put(BATTERY_RANGE, whole(charge_kwh / 16.0 * 100_000.0));
            }
        }
    }
}

/// Rounds a number to a grid of `steps` steps per unit: a vehicle sends no more digits than it measures.
pub(super) fn rounded(number: f64, steps: f64) -> Value {
    Value::from((number * steps).round() / steps)
}

/// Rounds a number to an integer.
#[allow(clippy::cast_possible_truncation)] // no value is near the limits of i64
pub(super) fn whole(number: f64) -> Value {
    Value::from(number.round() as i64)
}
