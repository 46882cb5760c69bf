//! A back-test as its owner requests it.

use std::collections::BTreeSet;

use roadcast_alerts::limits::RULE_VALUES;
use roadcast_alerts::rule::Rule;
use roadcast_domain::Timestamp;
use roadcast_domain::back_test::BackTest;
use roadcast_domain::ids::{RuleId, VehicleId};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::strict_json::parse_strict_json;
use serde_json::Value;

use crate::alerts::rules::RuleSettings;
use crate::{InvalidField, ServiceError};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The days before its end that a back-test without `from` evaluates.
const DEFAULT_RANGE_DAYS: i64 = 7;
const MEMBERS: [&str; 5] = ["rule", "ruleId", "vehicles", "from", "until"];

/// A request to start a back-test.
#[derive(Clone, Debug, PartialEq)]
pub struct BackTestRequest {
    /// What is tested.
    pub rule: TestedRule,
    /// The vehicles; those that the scope of the rule names by default, or else all that the fleet may see.
    pub vehicles: Option<BTreeSet<VehicleId>>,
    /// The earliest time of samples, inclusive; seven days before the end by default.
    pub from: Option<Timestamp>,
    /// The latest time of samples, exclusive; now by default.
    pub until: Option<Timestamp>,
}

/// The rule of a back-test.
#[derive(Clone, Debug, PartialEq)]
pub enum TestedRule {
    /// A rule that is not stored.
    New(Box<Rule>),
    /// A stored rule, whether it is enabled or not.
    Stored(RuleId),
}

impl BackTestRequest {
    /// Reads the body of a request. Fails with every mistake.
    pub fn parse(json: &str) -> Result<Self, ServiceError> {
        let value = parse_strict_json(json, RULE_VALUES + BackTest::MAX_VEHICLES)
            .map_err(|error| ServiceError::Invalid(vec![InvalidField::new(error.pointer, error.detail)]))?;
        let Value::Object(mut members) = value else {
            return Err(ServiceError::invalid(JsonPointer::ROOT, "must be an object"));
        };
        let mut invalid: Vec<InvalidField> = members
            .keys()
            .filter(|name| !MEMBERS.contains(&name.as_str()))
            .map(|name| InvalidField::new([name.as_str()], format!("is not one of: {}", MEMBERS.join(", "))))
            .collect();
        let mut report = |error: ServiceError| match error {
            ServiceError::Invalid(fields) => invalid.extend(fields),
            other => invalid.push(InvalidField::new(JsonPointer::ROOT, other.to_string())),
        };
        let rule = tested_rule(members.remove("rule"), members.remove("ruleId")).map_err(&mut report);
        let vehicles = members.remove("vehicles").map(|value| vehicles(&value)).transpose().map_err(&mut report);
        let mut time =
            |name: &str| members.remove(name).map(|value| timestamp(name, &value)).transpose().map_err(&mut report);
        let (from, until) = (time("from"), time("until"));
        match (rule, vehicles, from, until) {
            (Ok(rule), Ok(vehicles), Ok(from), Ok(until)) if invalid.is_empty() => Ok(Self { rule, vehicles, from, until }),
            _ => Err(ServiceError::Invalid(invalid)),
        }
    }

    /// Returns the first and the last time. Fails with `Invalid` if they are not in order, too far apart, or in the future.
    pub(super) fn time_range(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), ServiceError> {
        let until = self.until.unwrap_or(now);
        let from = self.from.unwrap_or(until.plus_ms(-DEFAULT_RANGE_DAYS * DAY_MS));
        if until > now {
            return Err(ServiceError::invalid(["until"], "must not be in the future"));
        }
        if from >= until {
            return Err(ServiceError::invalid(["from"], "must be before until"));
        }
        if until.ms_since(from) > BackTest::MAX_RANGE_DAYS * DAY_MS {
            let detail = format!("must be at most {} days before until", BackTest::MAX_RANGE_DAYS);
            return Err(ServiceError::invalid(["from"], detail));
        }
        Ok((from, until))
    }
}

/// Fails with `Invalid` if a back-test of that many vehicles exceeds the limits.
pub(super) fn check_budget(vehicles: usize, from: Timestamp, until: Timestamp) -> Result<(), ServiceError> {
    if vehicles > BackTest::MAX_VEHICLES {
        let detail = format!("must be at most {} vehicles; name them", BackTest::MAX_VEHICLES);
        return Err(ServiceError::invalid(["vehicles"], detail));
    }
    let vehicle_ms = i64::try_from(vehicles).unwrap_or(i64::MAX).saturating_mul(until.ms_since(from));
    if vehicle_ms > BackTest::MAX_VEHICLE_DAYS * DAY_MS {
        let detail = format!(
            "{vehicles} vehicles for this time are {} vehicle-days, more than {}; name fewer vehicles, or a shorter time",
            vehicle_ms.div_euclid(DAY_MS) + 1,
            BackTest::MAX_VEHICLE_DAYS
        );
        return Err(ServiceError::invalid(["vehicles"], detail));
    }
    Ok(())
}

fn tested_rule(rule: Option<Value>, rule_id: Option<Value>) -> Result<TestedRule, ServiceError> {
    match (rule, rule_id) {
        (Some(rule), None) => {
            let settings = RuleSettings::from_value(rule, &["rule"].into())?;
            Ok(TestedRule::New(Box::new(settings.rule)))
        }
        (None, Some(rule_id)) => {
            let rule_id = rule_id.as_str().and_then(|text| text.parse().ok());
            let expected = "must be a rule id (rul_ and 16 of 0-9 a-z without i, l, o, u)";
            rule_id.map(TestedRule::Stored).ok_or_else(|| ServiceError::invalid(["ruleId"], expected))
        }
        _ => Err(ServiceError::invalid(JsonPointer::ROOT, "must have exactly one of: rule, ruleId")),
    }
}

fn vehicles(value: &Value) -> Result<BTreeSet<VehicleId>, ServiceError> {
    let pointer = JsonPointer::from(["vehicles"]);
    let list = value.as_array().filter(|list| (1..=BackTest::MAX_VEHICLES).contains(&list.len()));
    let Some(list) = list else {
        let detail = format!("must be a list of 1 to {} vehicle ids", BackTest::MAX_VEHICLES);
        return Err(ServiceError::invalid(pointer, detail));
    };
    let (mut vehicles, mut invalid) = (BTreeSet::new(), Vec::new());
    for (index, value) in list.iter().enumerate() {
        if let Some(vid) = value.as_str().and_then(|text| text.parse().ok()) {
            vehicles.insert(vid);
        } else {
            let expected = "must be a vehicle id (veh_ and 16 of 0-9 a-z without i, l, o, u)";
            invalid.push(InvalidField::new(pointer.index(index), expected));
        }
    }
    if invalid.is_empty() { Ok(vehicles) } else { Err(ServiceError::Invalid(invalid)) }
}

fn timestamp(name: &str, value: &Value) -> Result<Timestamp, ServiceError> {
    let time = value.as_str().and_then(|text| Timestamp::parse_rfc3339(text).ok());
    time.ok_or_else(|| ServiceError::invalid([name], "must be a time, such as 2026-11-27T08:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(body: &str) -> Vec<String> {
        let Err(ServiceError::Invalid(fields)) = BackTestRequest::parse(body) else { panic!("{body} is accepted") };
        fields.into_iter().map(|field| field.pointer.to_string()).collect()
    }

    #[test]
    fn every_mistake_is_reported() {
        let body = r#"{"rule": {"name": "x", "severity": "loud", "condition": {"milOn": {}}},
            "vehicles": ["veh_0000000000000000", "x"], "from": 3, "until": "today", "extra": 1}"#;
        assert_eq!(pointers(body), ["/extra", "/rule/severity", "/vehicles/1", "/from", "/until"]);
        assert_eq!(pointers(r#"{"rule": {}, "ruleId": "rul_0000000000000000"}"#), [""]);
        assert_eq!(pointers(r#"{"ruleId": "x", "vehicles": []}"#), ["/ruleId", "/vehicles"]);
    }

    #[test]
    fn budget_is_vehicles_times_time() {
        let days = |days: i64| (Timestamp::from_ms(0), Timestamp::from_ms(days * DAY_MS));
        let check = |vehicles, (from, until): (_, _)| check_budget(vehicles, from, until).is_ok();
        assert!(check(1000, days(1)) && check(100, days(10)));
        assert!(!check(1001, days(1)) && !check(101, days(10)));
    }

    #[test]
    fn time_range_is_a_week_up_to_now_by_default() {
        let now = Timestamp::from_ms(100 * DAY_MS);
        let request = |from: Option<i64>, until: Option<i64>| BackTestRequest {
            rule: TestedRule::Stored(RuleId::from_random_bits(1)),
            vehicles: None,
            from: from.map(|day| Timestamp::from_ms(day * DAY_MS)),
            until: until.map(|day| Timestamp::from_ms(day * DAY_MS)),
        };
        let range = |from, until| {
            request(from, until).time_range(now).ok().map(|(from, until)| (from.ms() / DAY_MS, until.ms() / DAY_MS))
        };
        assert_eq!(range(None, None), Some((93, 100)));
        assert_eq!(range(Some(69), None), Some((69, 100)));
        assert_eq!([range(Some(68), None), range(None, Some(101)), range(Some(50), Some(50))], [None; 3]);
    }
}
