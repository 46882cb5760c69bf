use std::fmt;

/// The largest grid index. Up to 2^51, an index round-trips through `f64`: both roundings together move it by less than half
/// a step.
const MAX_INDEX: f64 = 2_251_799_813_685_248.0;

/// Powers of ten that are exact as `f64`, by number of decimals.
const SCALES: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// The grid to which a signal is rounded: integer multiples of 10^-decimals in the unit of the signal.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resolution {
    decimals: u8,
}

impl Resolution {
    /// Creates a grid of 10^-`decimals`. Returns `None` for more than 9 decimals.
    pub const fn from_decimals(decimals: u8) -> Option<Self> {
        if (decimals as usize) < SCALES.len() { Some(Self { decimals }) } else { None }
    }

    /// Returns the number of decimals of a value on the grid.
    pub const fn decimals(self) -> u8 {
        self.decimals
    }

    /// Returns the index of the grid point nearest to `v`, halves away from zero. Returns `None` if `v` is outside the range
    /// of the grid: more than 2^51 steps from zero, or not finite.
    #[allow(clippy::cast_possible_truncation)] // an integer of at most ±2^51
    pub fn grid(self, v: f64) -> Option<i64> {
        let index = (v * self.scale()).round();
        (index.abs() <= MAX_INDEX).then_some(index as i64)
    }

    /// Returns the value of grid point `k`: the double nearest to k / 10^decimals, never -0.0. It is exact to the last bit
    /// for every index that [`grid`](Self::grid) returns.
    #[allow(clippy::cast_precision_loss)] // an index is at most 2^51
    pub fn value(self, k: i64) -> f64 {
        // Both operands are exact, so that IEEE 754 division rounds correctly; multiplication by 10^-d would not.
        k as f64 / self.scale()
    }

    /// Returns the index of the grid point that equals `v` bit for bit, or `None` if there is none.
    pub fn exact_grid(self, v: f64) -> Option<i64> {
        self.grid(v).filter(|k| self.value(*k).to_bits() == v.to_bits())
    }

    /// Returns the grid point nearest to `v`, or `v` itself if it is outside the range of the grid.
    pub fn round(self, v: f64) -> f64 {
        self.grid(v).map_or(v, |k| self.value(k))
    }

    fn scale(self) -> f64 {
        SCALES.get(usize::from(self.decimals)).copied().unwrap_or(1.0)
    }
}

impl fmt::Display for Resolution {
    /// Writes the step: `1`, `0.1`, `0.000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.*}", usize::from(self.decimals), self.value(1))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]

    use super::*;
    use proptest::prelude::*;

    const MAX: i64 = 1 << 51;

    fn resolution(decimals: u8) -> Resolution {
        Resolution::from_decimals(decimals).unwrap()
    }

    #[test]
    fn resolution_is_written_as_its_step() {
        let steps = [0, 1, 2, 9].map(|decimals| resolution(decimals).to_string());
        assert_eq!(steps, ["1", "0.1", "0.01", "0.000000001"]);
        assert_eq!(Resolution::from_decimals(10), None);
    }

    #[test]
    fn rounds_to_nearest_with_halves_away_from_zero() {
        assert_eq!(resolution(1).round(45.360_465_109_348_3), 45.4);
        assert_eq!(resolution(0).round(2.5), 3.0);
        assert_eq!(resolution(0).round(-2.5), -3.0);
        assert_eq!(resolution(6).round(7.460_849_252_134_524), 7.460_849);
    }

    #[test]
    fn rounding_never_returns_negative_zero() {
        for tiny in [-0.0, -1e-300, -0.04] {
            assert_eq!(resolution(1).round(tiny).to_bits(), 0.0_f64.to_bits());
        }
    }

    #[test]
    fn values_outside_the_grid_range_are_unchanged() {
        let coarse = resolution(0);
        let edge = coarse.value(MAX);
        assert_eq!(coarse.grid(edge), Some(MAX));
        assert_eq!(coarse.grid(edge + 1.0), None);
        assert_eq!(coarse.round(edge + 0.75), edge + 0.75_f64.round());
        assert_eq!(coarse.round(1e300), 1e300);
        assert_eq!(coarse.grid(f64::NAN), None);
        assert_eq!(coarse.grid(f64::INFINITY), None);
    }

    proptest! {
        #[test]
        fn every_index_round_trips_through_its_value(k in -MAX..=MAX, decimals in 0_u8..10) {
            let value = resolution(decimals).value(k);
            prop_assert_eq!(resolution(decimals).grid(value), Some(k));
        }

        #[test]
        fn value_equals_the_parsed_decimal_text(k in -MAX..=MAX, decimals in 0_u8..10) {
            let value = resolution(decimals).value(k);
            let text: f64 = format!("{k}e-{decimals}").parse().unwrap();
            prop_assert_eq!(value.to_bits(), text.to_bits());
        }

        #[test]
        fn rounding_is_idempotent(v in any::<f64>(), decimals in 0_u8..10) {
            let once = resolution(decimals).round(v);
            prop_assert_eq!(resolution(decimals).round(once).to_bits(), once.to_bits());
        }

        #[test]
        fn rounding_changes_a_value_by_at_most_half_a_step(v in -1e6..1e6_f64, decimals in 0_u8..7) {
            let step = resolution(decimals).value(1);
            prop_assert!((resolution(decimals).round(v) - v).abs() <= step * 0.500_001);
        }
    }
}
