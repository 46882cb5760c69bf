//! Durations and times of the command line.

use std::str::FromStr;
use std::time::Duration;

use roadcast_domain::Timestamp;

use crate::wall_clock::now_ms;

/// Parses a duration with a unit, such as `90s`, `10m`, `1h` or `2d`; without a unit, seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = || "expected a duration such as 60s, 10m, 1h or 2d".to_owned();
    let units = [("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];
    let with_unit = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let (amount, seconds) = with_unit.unwrap_or((text, 1.0));
    let amount: f64 = amount.parse().map_err(|_| invalid())?;
    Duration::try_from_secs_f64(amount * seconds).map_err(|_| invalid())
}

/// A time: RFC 3339, or a duration before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PointInTime(pub(crate) Timestamp);

impl FromStr for PointInTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = Timestamp::parse_rfc3339(text) {
            return Ok(Self(time));
        }
        let expected = "expected a time such as 2026-11-21T08:00:00Z, or how long ago: 90s, 15m, 6h or 2d";
        let before = parse_duration(text).map_err(|_| expected.to_owned())?;
        let before_ms = i64::try_from(before.as_millis()).map_err(|_| expected.to_owned())?;
        Ok(Self(Timestamp::from_ms(now_ms()).plus_ms(before_ms.saturating_neg()).within_rfc3339()))
    }
}

impl std::fmt::Display for PointInTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse_duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(parse_duration("1.5m").unwrap(), Duration::from_secs(90));
        assert_eq!(parse_duration("2d").unwrap(), Duration::from_hours(48));
        assert_eq!(parse_duration("7").unwrap(), Duration::from_secs(7));
        for invalid in ["-1s", "", "s", "NaN", "1e30d"] {
            assert!(parse_duration(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn time_is_absolute_or_before_now() {
        assert_eq!("2026-11-21T08:00:00+01:00".parse::<PointInTime>().unwrap().to_string(), "2026-11-21T07:00:00.000Z");
        let hour = Timestamp::from_ms(now_ms()).ms_since("1h".parse::<PointInTime>().unwrap().0);
        assert!((hour - 3_600_000).abs() < 1_000, "{hour}");
        assert!("yesterday".parse::<PointInTime>().unwrap_err().contains("2026-11-21T08:00:00Z"));
        assert!("1e18d".parse::<PointInTime>().is_err());
    }
}
