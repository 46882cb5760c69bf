use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: the range of RFC 3339.
const FIRST_MS: i64 = -62_167_219_200_000;
const LAST_MS: i64 = 253_402_300_799_999;
/// Days from 1 March of year 0 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// A point in time: milliseconds since the Unix epoch, UTC.
///
/// Its text form is RFC 3339 in UTC with exactly three fraction digits.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 date-time within the years 0000 to 9999 UTC.
#[derive(thiserror::Error, Copy, Clone, Debug, PartialEq, Eq)]
#[error("not an RFC 3339 date-time")]
pub struct TimestampError;

impl Timestamp {
    /// Creates a timestamp from milliseconds since the Unix epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Returns milliseconds since the Unix epoch.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// Parses an RFC 3339 date-time with any offset. Between date and time is `T`, `t` or one space. Digits beyond the
    /// millisecond are truncated. A leap second, at the end of a month in UTC, becomes the last millisecond before it.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimestampError> {
        Self::parse_usual(text.as_bytes()).map_or_else(|| Self::parse_any(text), Ok)
    }

    /// Parses a date-time of the usual form, in UTC with `T` and `Z`: each sample has one. Returns `None` if it may have another
    /// form.
    fn parse_usual(text: &[u8]) -> Option<Self> {
        let (moment, fraction) = text.strip_suffix(b"Z")?.split_first_chunk::<19>()?;
        let [y0, y1, y2, y3, b'-', n0, n1, b'-', d0, d1, b'T', h0, h1, b':', m0, m1, b':', s0, s1] = *moment else {
            return None;
        };
        // All digits are checked at the end, without a branch for each.
        let mut largest = 0;
        let mut number = |digits: &[u8]| {
            digits.iter().fold(0, |number, byte| {
                let digit = byte.wrapping_sub(b'0');
                largest = digit.max(largest);
                number * 10 + i64::from(digit)
            })
        };
        let (year, month, day) = (number(&[y0, y1, y2, y3]), number(&[n0, n1]), number(&[d0, d1]));
        let (hour, minute, second) = (number(&[h0, h1]), number(&[m0, m1]), number(&[s0, s1]));
        let ms = match fraction {
            [] => 0,
            [b'.', a, b, c] => number(&[*a, *b, *c]),
            [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
                number(digits);
                number(&[0, 1, 2].map(|n| digits.get(n).copied().unwrap_or(b'0')))
            }
            _ => return None,
        };
        if largest > 9 {
            return None;
        }
        // A leap day and a leap second are left to the general parser.
        let last_day = match month {
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if year == 0 || !(1..=last_day).contains(&day) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        // Days since 1 March of year 0, in which a leap day is the last day of its year.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
        let seconds = (days - EPOCH_DAYS) * 86_400 + hour * 3600 + minute * 60 + second;
        Some(Self(seconds * 1000 + ms))
    }

    fn parse_any(text: &str) -> Result<Self, TimestampError> {
        // The parser accepts any character there.
        if !matches!(text.as_bytes().get("2026-11-28".len()), Some(b'T' | b't' | b' ')) {
            return Err(TimestampError);
        }
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?;
        let ms = moment.unix_timestamp() * 1000 + i64::from(moment.millisecond());
        // The offset can move a valid local time out of the years that RFC 3339 can represent in UTC.
        if (FIRST_MS..=LAST_MS).contains(&ms) { Ok(Self(ms)) } else { Err(TimestampError) }
    }

    /// Returns the nearest time within the years 0000 to 9999, which RFC 3339 can represent.
    #[must_use]
    pub fn within_rfc3339(self) -> Self {
        Self(self.0.clamp(FIRST_MS, LAST_MS))
    }

    /// Adds `ms` milliseconds, saturating at the limits of `i64`.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Returns the milliseconds from `earlier` to this time, negative if `earlier` is later, saturating at the limits of
    /// `i64`.
    pub const fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 in UTC. Times outside the years 0000 to 9999 are written as the nearest time within them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.within_rfc3339().0;
        let moment = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            moment.year(),
            u8::from(moment.month()),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second(),
            ms.rem_euclid(1000),
        )
    }
}

impl std::str::FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse_rfc3339(text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rfc3339Text;

        impl Visitor<'_> for Rfc3339Text {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 date-time")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                Timestamp::parse_rfc3339(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Rfc3339Text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expect: Option<&str>) {
        let read = Timestamp::parse_rfc3339(text).ok().map(|at| at.to_string());
        assert_eq!(read.as_deref(), expect, "{text}");
    }

    #[test]
    fn rfc_3339_is_written_in_utc_with_three_digits() {
        check("2017-02-19T12:19:28Z", Some("2017-02-19T12:19:28.000Z"));
        check("2017-03-21T00:00:31-05:00", Some("2017-03-21T05:00:31.000Z"));
        check("2017-02-19T12:19:28.5Z", Some("2017-02-19T12:19:28.500Z"));
        check("1969-12-31T23:59:59.999Z", Some("1969-12-31T23:59:59.999Z"));
        check("0000-01-01T00:00:00Z", Some("0000-01-01T00:00:00.000Z"));
        check("9999-12-31T23:59:59.999Z", Some("9999-12-31T23:59:59.999Z"));
    }

    #[test]
    fn date_and_time_are_separated_by_t_or_one_space() {
        for separator in ["T", "t", " "] {
            check(&format!("2026-11-28{separator}10:00:00Z"), Some("2026-11-28T10:00:00.000Z"));
        }
        for separator in ["_", "-", "  ", "\t", "\n", "\0", "\u{a0}", "TT", "T ", "1", "/", "+", "ä", ""] {
            check(&format!("2026-11-28{separator}10:00:00Z"), None);
        }
    }

    #[test]
    fn offset_is_z_or_signed_hours_and_minutes() {
        for (offset, utc) in [
            ("Z", "10:00"),
            ("z", "10:00"),
            ("+00:00", "10:00"),
            ("-00:00", "10:00"),
            ("+05:30", "04:30"),
            ("-09:59", "19:59"),
        ] {
            check(&format!("2026-11-28T10:00:00{offset}"), Some(&format!("2026-11-28T{utc}:00.000Z")));
        }
        for offset in
            ["", "+1:00", "+01", "+0100", "+01:60", "+24:00", "\u{2212}01:00", "UTC", " Z", "Z ", "ZZ", "+01:00:00"]
        {
            check(&format!("2026-11-28T10:00:00{offset}"), None);
        }
    }

    #[test]
    fn fields_are_complete_and_within_their_ranges() {
        for text in [
            "2026-11-28T24:00:00Z",
            "2026-11-28T10:60:00Z",
            "2026-11-28T10:00:61Z",
            "2026-11-28T10:00Z",
            "2026-11-28T1:00:00Z",
            "2026-11-28T10:00:00.Z",
            "2026-11-28T10:00:00,5Z",
            "2026-11-31T10:00:00Z",
            "2026-00-28T10:00:00Z",
            "26-11-28T10:00:00Z",
            "-2026-11-28T10:00:00Z",
            "+2026-11-28T10:00:00Z",
            "12026-11-28T10:00:00Z",
            "20261128T100000Z",
            "2026-W48-6T10:00:00Z",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn leap_second_is_the_last_millisecond_of_its_month() {
        check("2016-12-31T23:59:60Z", Some("2016-12-31T23:59:59.999Z"));
        check("2017-01-01T00:59:60.5+01:00", Some("2016-12-31T23:59:59.999Z"));
        check("2016-12-30T23:59:60Z", None);
        check("2016-12-31T23:58:60Z", None);
    }

    #[test]
    fn digits_below_the_millisecond_are_truncated() {
        check("2017-02-19T12:19:28.123999999Z", Some("2017-02-19T12:19:28.123Z"));
        check("1969-12-31T23:59:59.9999Z", Some("1969-12-31T23:59:59.999Z"));
    }

    #[test]
    fn invalid_dates_are_refused() {
        for text in [
            "",
            "02/00/2090",
            "2021-02-29T00:00:00Z",
            "2021-13-01T00:00:00Z",
            "2021-01-01",
            "2021-01-01T00:00:00",
            "2021-01-01T24:00:00Z",
            "1487506768",
            " 2021-01-01T00:00:00Z",
            "2021-01-01T00:00:00Zjunk",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn times_outside_the_years_in_utc_are_refused() {
        check("0000-01-01T00:00:00+01:00", None);
        check("9999-12-31T23:59:59-01:00", None);
    }

    #[test]
    fn extreme_times_are_clamped_when_written() {
        assert_eq!(Timestamp::from_ms(i64::MIN).to_string(), "0000-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_ms(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp::from_ms(i64::MAX);
        assert_eq!(end.plus_ms(1), end);
        assert_eq!(end.ms_since(Timestamp::from_ms(i64::MIN)), i64::MAX);
        assert_eq!(Timestamp::from_ms(5).ms_since(Timestamp::from_ms(8)), -3);
    }

    proptest! {
        #[test]
        fn no_other_separator_is_accepted(separator: char) {
            let is_read = Timestamp::parse_rfc3339(&format!("2026-11-28{separator}10:00:00Z")).is_ok();
            prop_assert_eq!(is_read, matches!(separator, 'T' | 't' | ' '));
        }

        #[test]
        fn usual_form_is_read_as_by_the_general_parser(
            ms in FIRST_MS..=LAST_MS, digits in "([.][0-9]{1,10})?", text in "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.][0-9]{0,4})?[Zz]?",
        ) {
            let written = Timestamp::from_ms(ms).to_string();
            for text in [format!("{}{digits}Z", &written[..19]), written, text] {
                if let Some(at) = Timestamp::parse_usual(text.as_bytes()) {
                    prop_assert_eq!(Timestamp::parse_any(&text), Ok(at), "{}", text);
                }
            }
        }

        #[test]
        fn times_round_trip_through_json(ms in FIRST_MS..=LAST_MS) {
            let at = Timestamp::from_ms(ms);
            let json = serde_json::to_string(&at).unwrap();
            prop_assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), at);
        }

        #[test]
        fn text_order_is_time_order(a in FIRST_MS..=LAST_MS, b in FIRST_MS..=LAST_MS) {
            let (x, y) = (Timestamp::from_ms(a), Timestamp::from_ms(b));
            prop_assert_eq!(x.to_string().cmp(&y.to_string()), x.cmp(&y));
        }

        #[test]
        fn arbitrary_input_never_panics(text in ".{0,40}", ms in any::<i64>()) {
            let _ = Timestamp::parse_rfc3339(&text);
            prop_assert_eq!(Timestamp::from_ms(ms).to_string().len(), 24);
        }
    }
}
