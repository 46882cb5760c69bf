//! Schedules.

use std::fmt;
use std::str::FromStr;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Serialize, Serializer};

use crate::limits;
use crate::parse::{Mistakes, Part};

/// When no alerts are raised. Alerts that were raised before are cleared at any time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// The time zone of the hours.
    pub time_zone: TimeZoneName,
    /// The hours in which no alerts are raised.
    pub quiet_hours: Vec<QuietHours>,
}

/// Hours of some days of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuietHours {
    /// The days on which they begin; every day if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Weekday>,
    /// When they begin.
    pub from: LocalTime,
    /// When they end, exclusive: on the next day if it is not after `from`.
    pub to: LocalTime,
}

/// A day of the week.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the names are self-explanatory
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A time of the day in minutes, written as `22:30`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime(u16);

/// The name of a time zone of the IANA database, such as `Europe/Berlin`, with its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZoneName {
    name: Box<str>,
    zone: TimeZone,
}

impl LocalTime {
    /// Returns the minutes since midnight.
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

impl FromStr for LocalTime {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let [h1, h0, b':', m1, m0] = *text.as_bytes() else { return Err(()) };
        if ![h1, h0, m1, m0].iter().all(u8::is_ascii_digit) {
            return Err(());
        }
        let number = |tens: u8, ones: u8| u16::from(tens - b'0') * 10 + u16::from(ones - b'0');
        let (hours, minutes) = (number(h1, h0), number(m1, m0));
        if hours < 24 && minutes < 60 { Ok(Self(hours * 60 + minutes)) } else { Err(()) }
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for LocalTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl TimeZoneName {
    /// Returns the time zone with this name, from the database that is compiled in.
    pub fn find(name: &str) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        // The database ignores case.
        let name = zone.iana_name().unwrap_or(name).into();
        Some(Self { name, zone })
    }

    /// The rules of the time zone.
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }
}

impl Serialize for TimeZoneName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl Schedule {
    pub(super) fn read(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let members = part.members(&["timeZone", "quietHours"], mistakes)?;
        let time_zone = members.required("timeZone", mistakes);
        let time_zone =
            time_zone.and_then(|part| part.parsed("a time zone, such as Europe/Berlin", TimeZoneName::find, mistakes));
        let quiet_hours = members.required("quietHours", mistakes);
        let quiet_hours = quiet_hours.and_then(|part| part.list_of(1, limits::QUIET_HOURS, mistakes, QuietHours::read));
        Some(Self { time_zone: time_zone?, quiet_hours: quiet_hours? })
    }
}

impl QuietHours {
    fn read(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        const DAYS: [(&str, Weekday); 7] = [
            ("mon", Weekday::Mon),
            ("tue", Weekday::Tue),
            ("wed", Weekday::Wed),
            ("thu", Weekday::Thu),
            ("fri", Weekday::Fri),
            ("sat", Weekday::Sat),
            ("sun", Weekday::Sun),
        ];
        let members = part.members(&["days", "from", "to"], mistakes)?;
        let days = members.or_default("days", mistakes, |part, mistakes| {
            part.list_of(1, DAYS.len(), mistakes, |part, mistakes| part.one_of(&DAYS, mistakes))
        });
        let [from, to] = ["from", "to"].map(|name| {
            let part = members.required(name, mistakes)?;
            part.parsed("a time of the day, such as 22:30", |text| text.parse().ok(), mistakes)
        });
        Some(Self { days: days?, from: from?, to: to? })
    }
}
