//! What is requested of a restore, and the hours of the archive that it takes.

use std::fmt;
use std::str::FromStr;

use roadcast_domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::stream::RestoreScope;

/// The maximum number of hours of the archive that one run restores: 31 days and the day before. The input and the result of
/// a state of the workflow have at most 256 KiB.
pub const MAX_HOURS: usize = 768;
const HOUR_MS: i64 = 60 * 60 * 1000;
/// How long the stream keeps a record, in hours: a batch contains records that arrived within this time.
const STREAM_HOURS: i64 = 24;
/// The difference of the clocks of the stream and of the archive, which states full seconds, in milliseconds.
pub(super) const CLOCK_SKEW_MS: i64 = 60 * 1000;

/// What is restored: the records that arrived in a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreRequest {
    /// The start of the time, inclusive.
    pub from: Timestamp,
    /// The end of the time, exclusive.
    pub to: Timestamp,
    /// What of these records is restored, and where.
    #[serde(flatten)]
    pub scope: RestoreScope,
}

/// Why nothing can be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// The time is empty.
    #[error("the start of the time must be before its end")]
    EmptyTime,
    /// The time is too long.
    #[error("one run restores at most 31 days; split the time")]
    TooLong,
    /// There is no target.
    #[error("nothing is to be restored: state events, state or arrivals")]
    NoTarget,
}

impl RestoreRequest {
    /// Returns the hours of the archive in which batches with records of the time can start. The stream keeps a record for a
    /// day, so that a batch may start up to a day before its last record.
    pub fn hours(&self) -> Result<Vec<ArchiveHour>, InvalidRequest> {
        if self.scope.targets.is_empty() {
            return Err(InvalidRequest::NoTarget);
        }
        if self.from >= self.to {
            return Err(InvalidRequest::EmptyTime);
        }
        let first = self.from.ms().div_euclid(HOUR_MS).saturating_sub(STREAM_HOURS);
        let last = self.to.plus_ms(-1).ms().div_euclid(HOUR_MS);
        let count = usize::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(usize::MAX);
        if count > MAX_HOURS {
            return Err(InvalidRequest::TooLong);
        }
        Ok((first..=last).map(|hour| ArchiveHour(Timestamp::from_ms(hour * HOUR_MS))).collect())
    }

    /// Whether the record that arrived then is restored.
    pub(super) fn includes(&self, arrived_at: Timestamp) -> bool {
        (self.from..self.to).contains(&arrived_at)
    }

    /// Whether a batch that was written then can have records of the time.
    pub(super) fn may_include(&self, written_at: Timestamp) -> bool {
        written_at.plus_ms(CLOCK_SKEW_MS) >= self.from
    }
}

/// An hour of the archive, such as `2026-11-03T09`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArchiveHour(Timestamp);

/// The text is not an hour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an hour such as 2026-11-03T09")]
pub struct InvalidHour;

impl ArchiveHour {
    /// Returns the start of the hour.
    pub const fn start(self) -> Timestamp {
        self.0
    }
}

impl FromStr for ArchiveHour {
    type Err = InvalidHour;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hour = Timestamp::parse_rfc3339(&format!("{text}:00:00Z")).map(Self).map_err(|_| InvalidHour)?;
        if hour.to_string() == text { Ok(hour) } else { Err(InvalidHour) }
    }
}

impl TryFrom<String> for ArchiveHour {
    type Error = InvalidHour;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ArchiveHour> for String {
    fn from(hour: ArchiveHour) -> Self {
        hour.to_string()
    }
}

impl fmt::Display for ArchiveHour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        formatter.write_str(text.get(.."yyyy-mm-ddThh".len()).unwrap_or(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::RestoreTarget;

    fn request(from: &str, to: &str) -> RestoreRequest {
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
        let scope = RestoreScope { vehicles: [].into(), targets: RestoreTarget::ALL.into() };
        RestoreRequest { from: at(from), to: at(to), scope }
    }

    #[test]
    fn hours_start_a_day_before_the_time_and_end_with_it() {
        let hours = request("2026-11-03T09:59:59.999Z", "2026-11-03T11:00:00Z").hours().unwrap();
        let texts: Vec<String> = hours.iter().map(ToString::to_string).collect();
        assert_eq!((texts.len(), texts[0].as_str(), texts[25].as_str()), (26, "2026-11-02T09", "2026-11-03T10"));
        assert!(hours.is_sorted());
        let json = serde_json::to_string(&hours[0]).unwrap();
        assert_eq!((json.as_str(), serde_json::from_str(&json).ok()), (r#""2026-11-02T09""#, Some(hours[0])));
        for invalid in ["", "2026-11-02", "2026-11-02T09:00", "2026-11-02T9", "2026-13-02T09", "2026-11-02t09"] {
            assert_eq!(invalid.parse::<ArchiveHour>(), Err(InvalidHour), "{invalid}");
        }
    }

    #[test]
    fn run_has_a_time_of_at_most_31_days_and_a_target() {
        assert_eq!(request("2026-11-01T00:00:00Z", "2026-12-02T00:00:00Z").hours().unwrap().len(), MAX_HOURS);
        assert_eq!(request("2026-11-01T00:00:00Z", "2026-12-02T00:00:00.001Z").hours(), Err(InvalidRequest::TooLong));
        assert_eq!(request("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z").hours(), Err(InvalidRequest::EmptyTime));
        let mut without_target = request("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z");
        without_target.scope.targets.clear();
        assert_eq!(without_target.hours(), Err(InvalidRequest::NoTarget));
        let endless = RestoreRequest {
            from: Timestamp::from_ms(i64::MIN),
            to: Timestamp::from_ms(i64::MAX),
            ..request("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z")
        };
        assert_eq!(endless.hours(), Err(InvalidRequest::TooLong));
    }
}
