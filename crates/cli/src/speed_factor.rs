//! How fast recorded or simulated time runs.

use std::str::FromStr;

/// A multiple of real time, written `10x` or `10`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SpeedFactor(pub(crate) f64);

impl FromStr for SpeedFactor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim_start_matches('x').trim_end_matches('x').parse::<f64>();
        match number {
            Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(Self(factor)),
            _ => Err("expected a factor above 0, such as 10x".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn speed_factor_accepts_an_x_on_either_side() {
        assert_eq!("10x".parse::<SpeedFactor>().unwrap(), SpeedFactor(10.0));
        assert_eq!("x10".parse::<SpeedFactor>().unwrap(), SpeedFactor(10.0));
        assert!("0x".parse::<SpeedFactor>().is_err());
    }
}
