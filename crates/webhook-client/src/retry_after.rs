//! The header `Retry-After` (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roadcast_signals::Timestamp;

/// The greatest delay that a receiver can request, in seconds: a day. A longer one is reduced to it, because deliveries end
/// after some days.
pub const MAX_RETRY_AFTER_S: u32 = 24 * 60 * 60;

/// Returns the delay in seconds that a value of `Retry-After` requests; `None` if it is neither a number nor a date.
///
/// A date is compared with the clock of this machine. A date in the past requests no delay.
pub(crate) fn retry_after_s(value: &str, now: Timestamp) -> Option<u32> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that is too large for the type is longer than a day.
        return Some(value.parse().map_or(MAX_RETRY_AFTER_S, |seconds: u32| seconds.min(MAX_RETRY_AFTER_S)));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    let now = u64::try_from(now.ms()).ok().and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms)))?;
    Some(seconds_until(at, now))
}

/// Returns the seconds from `now` to `at`, rounded up.
fn seconds_until(at: SystemTime, now: SystemTime) -> u32 {
    let Ok(delay) = at.duration_since(now) else { return 0 };
    let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
    u32::try_from(seconds).map_or(MAX_RETRY_AFTER_S, |seconds| seconds.min(MAX_RETRY_AFTER_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a value at 1994-11-06T08:49:00.500Z, close to the examples of RFC 9110.
    fn check(value: &str, expected: Option<u32>) {
        let now = Timestamp::parse_rfc3339("1994-11-06T08:49:00.500Z").unwrap();
        assert_eq!(retry_after_s(value, now), expected, "{value}");
    }

    #[test]
    fn seconds_are_read_up_to_a_day() {
        check("0", Some(0));
        check(" 120 ", Some(120));
        check("86400", Some(86_400));
        check("86401", Some(MAX_RETRY_AFTER_S));
        check("99999999999999999999999999", Some(MAX_RETRY_AFTER_S));
    }

    #[test]
    fn date_is_read_in_all_forms_of_http() {
        for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            check(date, Some(37));
        }
        check("Sun, 06 Nov 1994 08:49:00 GMT", Some(0));
        check("Sat, 05 Nov 1994 08:49:37 GMT", Some(0));
        check("Tue, 08 Nov 1994 08:49:37 GMT", Some(MAX_RETRY_AFTER_S));
        check("Fri, 31 Dec 9999 23:59:59 GMT", Some(MAX_RETRY_AFTER_S));
    }

    #[test]
    fn other_value_is_ignored() {
        for value in ["", "-1", "+1", "1.5", "soon", "1994-11-06T08:49:37Z", "Sun, 32 Nov 1994 08:49:37 GMT"] {
            check(value, None);
        }
    }
}
