//! Quiet hours, prepared for the evaluation.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use roadcast_signals::Timestamp;

use crate::rule::{QuietHours, Schedule, Weekday};

const MINUTE_MS: i64 = 60 * 1000;
/// The longest time in which quiet hours repeat, in minutes: a week, and a day for the changes of the clocks.
const PERIOD_MINUTES: i64 = 8 * 24 * 60;

/// The quiet hours of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Quiet {
    zone: TimeZone,
    hours: Vec<Hours>,
}

/// Some hours, in minutes of the day.
#[derive(Copy, Clone, Debug)]
struct Hours {
    /// The days on which they begin, as bits from Monday.
    days: u8,
    from: u16,
    to: u16,
}

impl Quiet {
    pub(crate) fn new(schedule: &Schedule) -> Self {
        let hours = schedule.quiet_hours.iter().map(Hours::new).collect();
        Self { zone: schedule.time_zone.zone().clone(), hours }
    }

    /// Whether a time is within the quiet hours.
    pub(crate) fn contains(&self, at: Timestamp) -> bool {
        self.local(at).is_some_and(|local| {
            let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
            let day = local.weekday().to_monday_zero_offset().unsigned_abs();
            self.hours.iter().any(|hours| hours.contain(day, minute))
        })
    }

    /// Returns the first time after `at` that is outside of the quiet hours, on a whole minute; `None` if there is none.
    pub(crate) fn end_after(&self, at: Timestamp) -> Option<Timestamp> {
        let minute = at.ms().div_euclid(MINUTE_MS);
        // The offsets of all time zones change on whole minutes.
        let minutes = (minute + 1..=minute + PERIOD_MINUTES).map(|minute| Timestamp::from_ms(minute * MINUTE_MS));
        minutes.into_iter().find(|at| !self.contains(*at))
    }

    fn local(&self, at: Timestamp) -> Option<DateTime> {
        jiff::Timestamp::from_millisecond(at.ms()).ok().map(|at| self.zone.to_datetime(at))
    }
}

impl Hours {
    fn new(hours: &QuietHours) -> Self {
        let bit = |day: &Weekday| match day {
            Weekday::Mon => 1,
            Weekday::Tue => 1 << 1,
            Weekday::Wed => 1 << 2,
            Weekday::Thu => 1 << 3,
            Weekday::Fri => 1 << 4,
            Weekday::Sat => 1 << 5,
            Weekday::Sun => 1 << 6,
        };
        let days = hours.days.iter().map(bit).fold(0, |days, bit| days | bit);
        Self { days: if days == 0 { u8::MAX } else { days }, from: hours.from.minutes(), to: hours.to.minutes() }
    }

    /// Whether they contain this minute of this day of the week, from Monday.
    fn contain(self, day: u8, minute: u16) -> bool {
        let begin_on = |day: u8| self.days & (1 << (day % 7)) != 0;
        if self.from < self.to {
            begin_on(day) && (self.from..self.to).contains(&minute)
        } else {
            (begin_on(day) && minute >= self.from) || (begin_on(day + 6) && minute < self.to)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rule::Rule;

    fn quiet(hours: &serde_json::Value) -> Quiet {
        let rule = json!({
            "name": "r", "severity": "info", "condition": {"milOn": {}},
            "schedule": {"timeZone": "Europe/Berlin", "quietHours": [hours]},
        });
        Quiet::new(&Rule::from_value(&rule).unwrap().schedule.unwrap())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn quiet_hours_over_midnight_belong_to_the_day_on_which_they_begin() {
        // 2026-11-27 is a Friday. Berlin is one hour ahead of UTC in winter.
        let friday = quiet(&json!({"days": ["fri"], "from": "22:00", "to": "06:00"}));
        for (time, expected) in [
            ("2026-11-27T20:59:59Z", false),
            ("2026-11-27T21:00:00Z", true),
            ("2026-11-28T04:59:59Z", true),
            ("2026-11-28T05:00:00Z", false),
            ("2026-11-27T04:00:00Z", false),
            ("2026-11-28T21:30:00Z", false),
        ] {
            assert_eq!(friday.contains(at(time)), expected, "{time}");
        }
        assert_eq!(friday.end_after(at("2026-11-27T23:00:30Z")), Some(at("2026-11-28T05:00:00Z")));
    }

    #[test]
    fn quiet_hours_follow_the_changes_of_the_clocks() {
        let night = quiet(&json!({"from": "22:00", "to": "06:00"}));
        // On 2026-03-29 the clocks of Berlin advance from 02:00 to 03:00.
        assert_eq!(night.end_after(at("2026-03-28T23:00:00Z")), Some(at("2026-03-29T04:00:00Z")));
        assert_eq!(night.end_after(at("2026-03-27T23:00:00Z")), Some(at("2026-03-28T05:00:00Z")));
    }

    #[test]
    fn quiet_hours_of_every_day_and_hour_never_end() {
        let always = quiet(&json!({"from": "08:00", "to": "08:00"}));
        assert!(always.contains(at("2026-11-27T07:00:00Z")) && always.contains(at("2026-11-27T12:00:00Z")));
        assert_eq!(always.end_after(at("2026-11-27T12:00:00Z")), None);
    }
}
