//! Rules, compiled for the evaluation.

mod compile;
mod rule_set;
mod vehicle_rules;

use std::sync::Arc;

use roadcast_domain::alert::RuleOwner;
use roadcast_domain::ids::RuleId;
use roadcast_signals::{SignalDef, Timestamp};

use crate::fence::Fence;
use crate::quiet::Quiet;
use crate::rule::{Bound, DtcTest, FenceEvent, Rule};

pub use rule_set::RuleSet;
pub(crate) use vehicle_rules::BoundRule;
pub use vehicle_rules::VehicleRules;

/// A version of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleVersion {
    /// Who owns it.
    pub owner: RuleOwner,
    /// The rule.
    pub rule_id: RuleId,
    /// The version, from 1.
    pub version: u64,
    /// The time from which it raises alerts: when it was created or enabled, or the start of a back-test. Samples from before are
    /// evaluated, but raise nothing.
    pub active_from: Timestamp,
    /// The rule.
    pub rule: Arc<Rule>,
}

/// A rule, compiled for the evaluation.
#[derive(Debug)]
pub(crate) struct CompiledRule {
    pub(crate) version: RuleVersion,
    /// The conditions. Each follows those that it consists of; the last one is that of the rule.
    pub(crate) nodes: Vec<Node>,
    /// What the conditions read.
    pub(crate) inputs: Vec<Input>,
    pub(crate) reads_diagnostics: bool,
    /// Whether a condition depends on time alone, so that the rule is also evaluated between samples.
    pub(crate) is_timed: bool,
    /// Whether every sample counts for it, whatever its signals.
    pub(crate) reads_any_sample: bool,
    pub(crate) cooldown_ms: i64,
    pub(crate) quiet: Option<Quiet>,
}

/// A condition.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) test: NodeTest,
    /// For how long the test must have held.
    pub(crate) for_ms: i64,
}

/// A test. Inputs are named by their index in the rule, conditions by theirs.
#[derive(Debug)]
pub(crate) enum NodeTest {
    Threshold {
        input: usize,
        bound: Bound,
    },
    Equals {
        input: usize,
        number: f64,
    },
    Rate {
        input: usize,
        bound: Bound,
        unit_ms: f64,
        window_ms: i64,
    },
    /// `sign` is 1 for acceleration and -1 for braking.
    Harsh {
        input: usize,
        sign: f64,
        limit_mps2: f64,
    },
    Dtc(DtcTest),
    MilOn,
    Geofence {
        latitude: usize,
        longitude: usize,
        fence: Box<Fence>,
        event: FenceEvent,
    },
    /// Without inputs, every row is data.
    NoData {
        inputs: Vec<usize>,
        after_ms: i64,
    },
    All(Vec<usize>),
    Any(Vec<usize>),
    Not(usize),
}

/// What a condition reads from each sample, as a number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input {
    pub(crate) signal: &'static SignalDef,
    pub(crate) reading: Reading,
}

/// How a value is read as a number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reading {
    /// The number.
    Number,
    /// 1 for true, 0 for false.
    Bool,
    /// 1 if it is this text, 0 for another one.
    Text(Box<str>),
    /// 1 for any value.
    Presence,
}

impl CompiledRule {
    /// Returns whether an alert may be raised at a time, given when the last one was.
    pub(crate) fn may_raise(&self, at: Timestamp, last_raised_at: Option<Timestamp>) -> bool {
        at >= self.version.active_from
            && last_raised_at.is_none_or(|last| at.ms_since(last) >= self.cooldown_ms)
            && self.quiet.as_ref().is_none_or(|quiet| !quiet.contains(at))
    }

    /// Returns the first time at or after `at` when an alert may be raised; `None` if there is none.
    pub(crate) fn may_raise_from(&self, at: Timestamp, last_raised_at: Option<Timestamp>) -> Option<Timestamp> {
        let cooled = last_raised_at.map_or(at, |last| last.plus_ms(self.cooldown_ms));
        let at = at.max(self.version.active_from).max(cooled);
        match &self.quiet {
            Some(quiet) if quiet.contains(at) => quiet.end_after(at),
            _ => Some(at),
        }
    }
}
