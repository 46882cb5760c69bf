//! Alert rules, as their owner writes them.
//!
//! The README of the crate describes their JSON, and `rule.schema.json` is its schema.

mod condition;
mod dtc_pattern;
mod geofence;
mod schedule;
mod scope;

#[cfg(test)]
mod tests;

use roadcast_domain::alert::Severity;
use roadcast_domain::strict_json::parse_strict_json;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits;
use crate::parse::{Mistake, Mistakes, Part};

pub(crate) use condition::SPEED;
pub use condition::{Bound, Condition, Direction, DtcTest, Equals, NoData, Rate, RateUnit, Test, Threshold};
pub use dtc_pattern::{DtcPattern, InvalidDtcPattern};
pub use geofence::{Coordinates, FenceEvent, Geofence, Shape};
pub use schedule::{LocalTime, QuietHours, Schedule, TimeZoneName, Weekday};
pub use scope::Scope;

/// An alert rule: when an alert is raised, about which vehicles, and how often at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Value")]
pub struct Rule {
    /// A text of the owner for its people.
    pub name: String,
    /// How urgent the alerts are.
    pub severity: Severity,
    /// The vehicles that the rule concerns; all vehicles of the owner by default.
    #[serde(skip_serializing_if = "Scope::is_all")]
    pub scope: Scope,
    /// An alert is raised when the condition begins to hold, and cleared when it no longer holds.
    pub condition: Condition,
    /// For how many seconds after an alert was raised no other one is raised about the same vehicle. A rule that is read has at least
    /// [`limits::MIN_COOLDOWN_S`].
    pub cooldown_s: u32,
    /// When no alerts are raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

/// A rule has mistakes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rule has {} mistakes, of which the first is: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
pub struct InvalidRule(pub Vec<Mistake>);

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde requires
pub(crate) fn is_zero(seconds: &u32) -> bool {
    *seconds == 0
}

impl Rule {
    /// Reads a rule from its text. Fails with every mistake, up to [`limits::MISTAKES`].
    pub fn parse(json: &str) -> Result<Self, InvalidRule> {
        let value = parse_strict_json(json, limits::RULE_VALUES)
            .map_err(|error| InvalidRule(vec![Mistake { pointer: error.pointer, detail: error.detail }]))?;
        Self::from_value(&value)
    }

    /// Reads a rule. Fails with every mistake, up to [`limits::MISTAKES`].
    pub fn from_value(value: &Value) -> Result<Self, InvalidRule> {
        let mut mistakes = Mistakes::default();
        let rule = Self::read(&Part::root(value), &mut mistakes);
        let mistakes = mistakes.into_list();
        rule.filter(|_| mistakes.is_empty()).ok_or(InvalidRule(mistakes))
    }

    fn read(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        const MEMBERS: [&str; 6] = ["name", "severity", "scope", "condition", "cooldownS", "schedule"];
        const SEVERITIES: [(&str, Severity); 3] =
            [("info", Severity::Info), ("warning", Severity::Warning), ("critical", Severity::Critical)];
        let members = part.members(&MEMBERS, mistakes)?;
        let name = members.required("name", mistakes).and_then(|part| part.text(limits::NAME_BYTES, mistakes));
        let severity = members.required("severity", mistakes).and_then(|part| part.one_of(&SEVERITIES, mistakes));
        let scope = members.or_default("scope", mistakes, Scope::read);
        let condition = members.required("condition", mistakes).and_then(|part| Condition::read_root(&part, mistakes));
        let cooldown_s = members.get("cooldownS").map_or(Some(limits::MIN_COOLDOWN_S), |part| {
            part.seconds(limits::MIN_COOLDOWN_S, limits::MAX_DURATION_S, mistakes)
        });
        let schedule = members.or_default("schedule", mistakes, |part, mistakes| Schedule::read(part, mistakes).map(Some));
        Some(Self {
            name: name?.to_owned(),
            severity: severity?,
            scope: scope?,
            condition: condition?,
            cooldown_s: cooldown_s?,
            schedule: schedule?,
        })
    }
}

impl TryFrom<Value> for Rule {
    type Error = InvalidRule;

    fn try_from(value: Value) -> Result<Self, InvalidRule> {
        Self::from_value(&value)
    }
}
