//! Reads conditions.

use std::collections::BTreeSet;

use roadcast_domain::diagnostic::DtcStatus;
use roadcast_signals::{Catalogue, Datatype, SignalDef, Value};

use super::{Bound, Condition, DtcTest, Equals, Harsh, NoData, Rate, RateUnit, Test, Threshold};
use crate::limits;
use crate::parse::{Members, Mistakes, Part};
use crate::rule::Geofence;

/// The members of a condition that are tests.
const TESTS: [&str; 12] = [
    "threshold",
    "equals",
    "rate",
    "harshBraking",
    "harshAcceleration",
    "dtc",
    "milOn",
    "geofence",
    "noData",
    "all",
    "any",
    "not",
];

/// The conditions that a rule may still have.
struct Remaining {
    conditions: usize,
}

impl Condition {
    /// Reads the condition of a rule.
    pub(in crate::rule) fn read_root(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut remaining = Remaining { conditions: limits::CONDITIONS_PER_RULE };
        let condition = Self::read(part, limits::CONDITION_DEPTH, &mut remaining, mistakes)?;
        let mut paths = BTreeSet::new();
        condition.add_signals(&mut paths);
        if paths.len() > limits::SIGNALS_PER_RULE {
            let detail = format!("a rule may read {} signals; this one reads {}", limits::SIGNALS_PER_RULE, paths.len());
            return part.mistake(detail, mistakes);
        }
        Some(condition)
    }

    fn read(part: &Part<'_>, depth: usize, remaining: &mut Remaining, mistakes: &mut Mistakes) -> Option<Self> {
        let Some(depth) = depth.checked_sub(1) else {
            return part.mistake(format!("conditions may be nested {} deep", limits::CONDITION_DEPTH), mistakes);
        };
        let Some(conditions) = remaining.conditions.checked_sub(1) else {
            return part.mistake(format!("a rule may have {} conditions", limits::CONDITIONS_PER_RULE), mistakes);
        };
        remaining.conditions = conditions;
        let members = part.members(&[&TESTS[..], &["forS"]].concat(), mistakes)?;
        let for_s = members.or_default("forS", mistakes, |part, mistakes| part.seconds(0, limits::MAX_DURATION_S, mistakes));
        let (test, part) = members.exactly_one(&TESTS, mistakes)?;
        let mut conditions = |part: &Part<'_>, mistakes: &mut Mistakes| {
            part.list_of(1, limits::CONDITIONS_PER_RULE, mistakes, |part, mistakes| {
                Self::read(part, depth, remaining, mistakes)
            })
        };
        let test = match *TESTS.get(test)? {
            "threshold" => Threshold::read(&part, mistakes).map(Test::Threshold),
            "equals" => Equals::read(&part, mistakes).map(Test::Equals),
            "rate" => Rate::read(&part, mistakes).map(Test::Rate),
            "harshBraking" => Harsh::read(&part, mistakes).map(Test::HarshBraking),
            "harshAcceleration" => Harsh::read(&part, mistakes).map(Test::HarshAcceleration),
            "dtc" => DtcTest::read(&part, mistakes).map(Test::Dtc),
            "milOn" => part.members(&[], mistakes).map(|_| Test::MilOn {}),
            "geofence" => Geofence::read(&part, mistakes).map(Test::Geofence),
            "noData" => NoData::read(&part, mistakes).map(Test::NoData),
            "all" => conditions(&part, mistakes).map(Test::All),
            "any" => conditions(&part, mistakes).map(Test::Any),
            _ => Self::read(&part, depth, remaining, mistakes).map(|inner| Test::Not(Box::new(inner))),
        };
        Some(Self { test: test?, for_s: for_s? })
    }
}

fn signal(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<&'static SignalDef> {
    part.parsed("the path of a signal of the catalogue", |path| Catalogue::get().by_path(path), mistakes)
}

/// Reads the member `signal` of a test of numbers.
fn number_signal(members: &Members<'_>, mistakes: &mut Mistakes) -> Option<&'static SignalDef> {
    let part = members.required("signal", mistakes)?;
    let signal = signal(&part, mistakes)?;
    let is_number = signal.datatype.is_numeric() && !signal.is_array;
    if is_number { Some(signal) } else { part.mistake("must be a signal with numbers", mistakes) }
}

impl Threshold {
    fn read(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let members = part.members(&[&["signal"], &Bound::MEMBERS[..]].concat(), mistakes)?;
        let signal = number_signal(&members, mistakes);
        let bound = Bound::read(&members, mistakes);
        Some(Self { signal: signal?, bound: bound? })
    }
}

impl Equals {
    fn read(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let members = part.members(&["signal", "value"], mistakes)?;
        let def = members.required("signal", mistakes).and_then(|part| {
            let def = signal(&part, mistakes)?;
            if def.is_array { part.mistake("must not be a signal with lists", mistakes) } else { Some(def) }
        });
        let value = members.required("value", mistakes);
        let (def, part) = (def?, value?);
        let value = match def.datatype {
            Datatype::Boolean => {
                part.value.as_bool().map(Value::Bool).or_else(|| part.mistake("must be a boolean", mistakes))
            }
            Datatype::String => part.text(limits::TEXT_BYTES, mistakes).map(Value::from).filter(|_| {
                let is_allowed = def.allowed.is_empty() || def.allowed.iter().any(|text| part.value == text);
                is_allowed || part.mistake::<()>("the signal cannot have this value", mistakes).is_some()
            }),
            _ => part.any_number(mistakes).and_then(Value::number),
        };
        Some(Self { signal: def, value: value? })
    }
}

impl Rate {
    fn read(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        const UNITS: [(&str, RateUnit); 3] =
            [("second", RateUnit::Second), ("minute", RateUnit::Minute), ("hour", RateUnit::Hour)];
        let members = part.members(&[&["signal", "per", "windowS"], &Bound::MEMBERS[..]].concat(), mistakes)?;
        let signal = number_signal(&members, mistakes);
        let bound = Bound::read(&members, mistakes);
        let per = members.required("per", mistakes).and_then(|part| part.one_of(&UNITS, mistakes));
        let window_s = members.required("windowS", mistakes);
        let window_s = window_s.and_then(|part| part.seconds(1, limits::MAX_RATE_WINDOW_S, mistakes));
        Some(Self { signal: signal?, bound: bound?, per: per?, window_s: window_s? })
    }
}

impl Harsh {
    fn read(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let members = part.members(&["aboveMps2"], mistakes)?;
        let limit = members.required("aboveMps2", mistakes)?;
        Some(Self { above_mps2: limit.number(0.1, 100.0, mistakes)? })
    }
}

impl DtcTest {
    fn read(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        const STATUSES: [(&str, DtcStatus); 3] =
            [("active", DtcStatus::Active), ("pending", DtcStatus::Pending), ("permanent", DtcStatus::Permanent)];
        let members = part.members(&["patterns", "statuses"], mistakes)?;
        let patterns = members.required("patterns", mistakes).and_then(|part| {
            part.list_of(1, limits::DTC_PATTERNS, mistakes, |part, mistakes| {
                part.parsed("five places of a trouble code, as in P0[3]xx", |text| text.parse().ok(), mistakes)
            })
        });
        let statuses = members.or_default("statuses", mistakes, |part, mistakes| {
            part.list_of(1, STATUSES.len(), mistakes, |part, mistakes| part.one_of(&STATUSES, mistakes))
        });
        Some(Self { patterns: patterns?, statuses: statuses? })
    }
}

impl NoData {
    fn read(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let members = part.members(&["afterS", "signals"], mistakes)?;
        let after_s = members.required("afterS", mistakes);
        let after_s = after_s.and_then(|part| part.seconds(1, limits::MAX_DURATION_S, mistakes));
        let signals = members.or_default("signals", mistakes, |part, mistakes| {
            part.list_of(1, limits::CONDITIONS_PER_RULE, mistakes, signal)
        });
        Some(Self { after_s: after_s?, signals: signals? })
    }
}
