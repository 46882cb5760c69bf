//! Conversion between times as text and milliseconds since 1970.

use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

const MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const SECONDS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// Returns milliseconds since 1970, or `None` if the text is not an RFC 3339 date-time.
pub(crate) fn parse_ms(text: &str) -> Option<i64> {
    let at = parse(text)?;
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

/// Formats the instant with milliseconds, `2023-01-01T00:00:00.500Z`. Returns `None` outside the years 0 to 9999.
pub(crate) fn format_ms(at_ms: i64) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ms) * 1_000_000).ok()?;
    (at.year() >= 0).then(|| at.format(MILLIS).ok()).flatten()
}

/// Converts an RFC 3339 text with an offset to UTC. Whole seconds get no fraction.
pub(crate) fn to_utc(text: &str) -> Option<String> {
    let at = parse(text)?.checked_to_offset(UtcOffset::UTC)?;
    if at.year() < 0 {
        return None;
    }
    let layout = if at.nanosecond() == 0 { SECONDS } else { MILLIS };
    at.format(layout).ok()
}

/// Parses an RFC 3339 date-time. Between date and time is `T`, `t` or one space, as in the times that Roadcast accepts.
fn parse(text: &str) -> Option<OffsetDateTime> {
    // The parser accepts any character there.
    let separated = matches!(text.as_bytes().get("2026-11-28".len()), Some(b'T' | b't' | b' '));
    separated.then(|| OffsetDateTime::parse(text, &Rfc3339).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_is_converted_to_utc() {
        assert_eq!(to_utc("2015-03-07T10:03:34-06:00").as_deref(), Some("2015-03-07T16:03:34Z"));
    }

    #[test]
    fn date_and_time_are_separated_by_t_or_one_space() {
        for text in ["2015-03-07T10:03:34Z", "2015-03-07t10:03:34z", "2015-03-07 10:03:34Z"] {
            assert_eq!(to_utc(text).as_deref(), Some("2015-03-07T10:03:34Z"));
        }
        for text in ["2015-03-07_10:03:34Z", "2015-03-07  10:03:34Z", "2015-03-0710:03:34Z"] {
            assert_eq!((to_utc(text), parse_ms(text)), (None, None), "{text}");
        }
    }

    #[test]
    fn years_outside_rfc_3339_are_not_dates() {
        assert_eq!(to_utc("0000-01-01T00:00:00+01:00"), None);
        assert_eq!(format_ms(i64::MAX), None);
        assert_eq!(format_ms(i64::MIN), None);
    }

    #[test]
    fn milliseconds_round_trip() {
        for at_ms in [0, -1, 1_487_225_438_123, 4_102_444_799_999] {
            assert_eq!(format_ms(at_ms).and_then(|text| parse_ms(&text)), Some(at_ms));
        }
    }
}
