//! The motion of a vehicle along its route: it accelerates, cruises, brakes for corners and traffic lights, and waits.

use rand::RngExt;

use super::route::{Position, Route};

const ACCELERATION_MS2: f64 = 1.5;
const BRAKING_MS2: f64 = 2.0;
/// The probability that the traffic light at a corner is red.
const RED_LIGHT_PROBABILITY: f64 = 0.35;

/// A vehicle in motion.
#[derive(Clone, Debug)]
pub(super) struct Drive {
    route: Route,
    street: usize,
    /// The distance from the start of the street.
    along_m: f64,
    speed_ms: f64,
    acceleration_ms2: f64,
    /// The driver's speed as a factor of the speed limit.
    pace: f64,
    red_ahead: bool,
    waits_s: f64,
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Driving,
    /// The vehicle has completed the route and is back at its start.
    RoundCompleted,
}

impl Drive {
    pub(super) fn new(rng: &mut impl RngExt) -> Self {
        Self {
            route: Route::around_a_city(rng),
            street: 0,
            along_m: 0.0,
            speed_ms: 0.0,
            acceleration_ms2: 0.0,
            pace: rng.random_range(0.85..1.05),
            red_ahead: false,
            waits_s: 0.0,
        }
    }

    pub(super) fn position(&self) -> Position {
        self.route.position(self.street, self.along_m)
    }

    pub(super) fn speed_ms(&self) -> f64 {
        self.speed_ms
    }

    pub(super) fn acceleration_ms2(&self) -> f64 {
        self.acceleration_ms2
    }

    /// Moves the vehicle for a time of at most about one second. Returns the distance in metres.
    pub(super) fn step(&mut self, elapsed_s: f64, rng: &mut impl RngExt) -> (f64, Step) {
        if self.waits_s > 0.0 {
            self.waits_s -= elapsed_s;
            self.acceleration_ms2 = 0.0;
            return (0.0, Step::Driving);
        }
        let street = &self.route.streets[self.street];
        let is_last = self.street + 1 == self.route.streets.len();
        let remaining_m = street.length_m - self.along_m;
        let stops = self.red_ahead || is_last;
        let end_ms = if stops { 0.0 } else { street.corner_ms };
        let braking_ms = (end_ms * end_ms + 2.0 * BRAKING_MS2 * remaining_m.max(0.0)).sqrt();
        let cruising_ms = street.limit_ms * self.pace * rng.random_range(0.97..1.03);
        let before_ms = self.speed_ms;
        self.speed_ms = (before_ms + ACCELERATION_MS2 * elapsed_s)
            .min(cruising_ms)
            .min(braking_ms)
            // Limits the deceleration, regardless of the speed limit ahead.
            .max(before_ms - 2.0 * BRAKING_MS2 * elapsed_s);
        let moved_m = (self.speed_ms * elapsed_s).min(remaining_m);
        self.along_m += moved_m;
        let mut step = Step::Driving;
        // The speed while braking approaches zero, so the vehicle would never complete the last metre before a stop.
        if remaining_m - moved_m < 1.0 {
            if stops {
                self.speed_ms = 0.0;
            }
            if is_last {
                step = Step::RoundCompleted;
            } else if self.red_ahead {
                self.waits_s = rng.random_range(5.0..40.0);
            }
            self.street = (self.street + 1) % self.route.streets.len();
            self.along_m = 0.0;
            self.red_ahead = rng.random_bool(RED_LIGHT_PROBABILITY);
        }
        self.acceleration_ms2 = (self.speed_ms - before_ms) / elapsed_s;
        (moved_m, step)
    }
}
