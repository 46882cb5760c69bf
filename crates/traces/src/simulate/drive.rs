//! How a vehicle moves along its route: it speeds up, cruises, brakes for corners and lights, waits, and rests.

use rand::RngExt;

use super::route::{Place, Route};

const SPEED_UP_MS2: f64 = 1.5;
const BRAKE_MS2: f64 = 2.0;
/// How often a corner has its light on red.
const RED_LIGHT: f64 = 0.35;

/// A vehicle in motion.
#[derive(Clone, Debug)]
pub(super) struct Drive {
    route: Route,
    street: usize,
    along_m: f64,
    speed_ms: f64,
    acceleration_ms2: f64,
    /// The driver's habit: the share of the limit that they drive at.
    pace: f64,
    red_ahead: bool,
    waits_s: f64,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    OnTheWay,
    /// The route is closed and the vehicle stands where it began.
    RoundDone,
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

    pub(super) fn place(&self) -> Place {
        self.route.place(self.street, self.along_m)
    }

    pub(super) fn speed_ms(&self) -> f64 {
        self.speed_ms
    }

    pub(super) fn acceleration_ms2(&self) -> f64 {
        self.acceleration_ms2
    }

    /// Moves on for a time of at most a second or so, and returns how many metres that was.
    pub(super) fn step(&mut self, elapsed_s: f64, rng: &mut impl RngExt) -> (f64, Step) {
        if self.waits_s > 0.0 {
            self.waits_s -= elapsed_s;
            self.acceleration_ms2 = 0.0;
            return (0.0, Step::OnTheWay);
        }
        let street = &self.route.streets[self.street];
        let is_last = self.street + 1 == self.route.streets.len();
        let left_m = street.length_m - self.along_m;
        let stops = self.red_ahead || is_last;
        let end_ms = if stops { 0.0 } else { street.corner_ms };
        let braking_ms = (end_ms * end_ms + 2.0 * BRAKE_MS2 * left_m.max(0.0)).sqrt();
        let cruising_ms = street.limit_ms * self.pace * rng.random_range(0.97..1.03);
        let before_ms = self.speed_ms;
        self.speed_ms = (before_ms + SPEED_UP_MS2 * elapsed_s)
            .min(cruising_ms)
            .min(braking_ms)
            // No driver brakes much harder than that, whatever the limit ahead.
            .max(before_ms - 2.0 * BRAKE_MS2 * elapsed_s);
        let moved_m = (self.speed_ms * elapsed_s).min(left_m);
        self.along_m += moved_m;
        let mut outcome = Step::OnTheWay;
        // The last metre before a stop would take for ever at the speed that braking leaves.
        if left_m - moved_m < 1.0 {
            if stops {
                self.speed_ms = 0.0;
            }
            if is_last {
                outcome = Step::RoundDone;
            } else if self.red_ahead {
                self.waits_s = rng.random_range(5.0..40.0);
            }
            self.street = (self.street + 1) % self.route.streets.len();
            self.along_m = 0.0;
            self.red_ahead = rng.random_bool(RED_LIGHT);
        }
        self.acceleration_ms2 = (self.speed_ms - before_ms) / elapsed_s;
        (moved_m, outcome)
    }
}
