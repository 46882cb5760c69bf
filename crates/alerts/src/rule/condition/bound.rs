//! Limits with hysteresis.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::parse::{Members, Mistakes};

/// A limit that a number passes, and the hysteresis that prevents it from passing back and forth.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Bound {
    /// The side on which the test holds.
    pub direction: Direction,
    /// The test begins to hold when the number is beyond the limit.
    pub limit: f64,
    /// The test ends to hold when the number is not beyond the limit reduced by this number, which is not negative.
    pub hysteresis: f64,
}

/// A side of a limit.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Greater than the limit.
    Above,
    /// Less than the limit.
    Below,
}

impl Bound {
    /// Returns whether the test holds for a number, given whether it did before.
    pub fn holds(&self, number: f64, held: bool) -> bool {
        let hysteresis = if held { self.hysteresis } else { 0.0 };
        match self.direction {
            Direction::Above => number > self.limit - hysteresis,
            Direction::Below => number < self.limit + hysteresis,
        }
    }

    /// The members of a limit.
    pub(super) const MEMBERS: [&'static str; 3] = ["above", "below", "hysteresis"];

    pub(super) fn read(members: &Members<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let limit = members.exactly_one(&["above", "below"], mistakes).and_then(|(index, part)| {
            let direction = if index == 0 { Direction::Above } else { Direction::Below };
            Some((direction, part.any_number(mistakes)?))
        });
        let hysteresis = members.or_default("hysteresis", mistakes, |part, mistakes| part.number(0.0, f64::MAX, mistakes));
        let (direction, limit) = limit?;
        Some(Self { direction, limit, hysteresis: hysteresis? })
    }
}

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        let name = match self.direction {
            Direction::Above => "above",
            Direction::Below => "below",
        };
        members.serialize_entry(name, &self.limit)?;
        if self.hysteresis > 0.0 {
            members.serialize_entry("hysteresis", &self.hysteresis)?;
        }
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hysteresis_applies_once_the_test_holds() {
        let above = Bound { direction: Direction::Above, limit: 120.0, hysteresis: 10.0 };
        let held = |bound: &Bound, numbers: &[f64]| {
            let step = |held: &mut bool, number: &f64| {
                *held = bound.holds(*number, *held);
                Some(*held)
            };
            numbers.iter().scan(false, step).collect::<Vec<bool>>()
        };
        assert_eq!(held(&above, &[120.0, 120.1, 111.0, 110.0, 119.0]), [false, true, true, false, false]);
        let below = Bound { direction: Direction::Below, limit: 20.0, hysteresis: 5.0 };
        assert_eq!(held(&below, &[20.0, 19.9, 24.9, 25.0]), [false, true, true, false]);
    }
}
