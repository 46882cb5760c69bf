//! What the evaluation keeps of a vehicle.

use std::collections::VecDeque;

use roadcast_domain::diagnostic::TroubleCode;
use roadcast_signals::{Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::program::{CompiledRule, NodeTest, VehicleRules};

/// The state of all rules of a vehicle after all its samples up to a time. It depends on these samples alone. Its size is bounded by
/// the rules, whatever the number of samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    /// The time of the last sample; `None` before the first one.
    pub(crate) time: Option<Timestamp>,
    /// By the index of the rule.
    pub(crate) rules: Vec<RuleState>,
    /// The last value of each signal, by its index.
    pub(crate) values: Vec<Option<LastValue>>,
    pub(crate) diagnostic: Option<LastDiagnostic>,
}

/// The state of one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuleState {
    /// By the index of the condition.
    pub(crate) nodes: Vec<NodeState>,
    /// When the present alert was raised.
    pub(crate) raised_at: Option<Timestamp>,
    /// When the last alert was raised.
    pub(crate) last_raised_at: Option<Timestamp>,
}

/// The state of one condition. `None` is unknown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeState {
    /// The result of the test.
    pub(crate) result: Option<bool>,
    /// Since when the test has held, if it must have held for some time.
    pub(crate) since: Option<Timestamp>,
    /// Whether the condition holds: the test, for as long as it must have held.
    pub(crate) holds: Option<bool>,
    pub(crate) memory: Memory,
}

/// What a test needs of earlier samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Memory {
    /// Nothing.
    Empty,
    /// Earlier numbers: at most one per [`RATE_STEPS`]th of the time of a rate.
    Numbers(VecDeque<(Timestamp, f64)>),
    /// The last speed in km/h.
    Speed(Option<(Timestamp, f64)>),
    /// Whether the last position was inside, and whether ever one was inside and outside.
    Position { inside: bool, was_inside: bool, was_outside: bool },
    /// When data was last received.
    Data(Option<Timestamp>),
}

/// How many numbers are kept for a rate at most, without the oldest one.
pub(crate) const RATE_STEPS: i64 = 16;

/// Estimated bytes of a value outside of its place, such as a text.
const VALUE_BYTES: usize = 32;

/// The last value of a signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LastValue {
    pub(crate) at: Timestamp,
    pub(crate) value: Value,
}

/// The last diagnostic event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LastDiagnostic {
    pub(crate) at: Timestamp,
    pub(crate) mil: Option<bool>,
    pub(crate) dtcs: Vec<TroubleCode>,
}

impl State {
    /// Returns the state before the first sample.
    pub(crate) fn new(rules: &VehicleRules) -> Self {
        Self {
            time: None,
            rules: rules.rules().iter().map(|bound| RuleState::new(&bound.rule)).collect(),
            values: vec![None; rules.signals().len()],
            diagnostic: None,
        }
    }
}

impl State {
    /// Returns about how many bytes it takes in memory. Numbers that are kept for a rate are not counted one by one.
    pub(crate) fn memory_bytes(&self) -> usize {
        let nodes: usize = self.rules.iter().map(|rule| rule.nodes.len() * size_of::<NodeState>()).sum();
        let values = self.values.len() * (size_of::<Option<LastValue>>() + VALUE_BYTES);
        size_of::<Self>() + self.rules.len() * size_of::<RuleState>() + nodes + values
    }
}

impl RuleState {
    fn new(rule: &CompiledRule) -> Self {
        let node = |test: &NodeTest| NodeState { result: None, since: None, holds: None, memory: Memory::new(test) };
        let nodes = rule.nodes.iter().map(|condition| node(&condition.test)).collect();
        Self { nodes, raised_at: None, last_raised_at: None }
    }

    /// Whether the condition of the rule holds.
    pub(crate) fn holds(&self) -> Option<bool> {
        self.nodes.last().and_then(|node| node.holds)
    }
}

impl Memory {
    fn new(test: &NodeTest) -> Self {
        match test {
            NodeTest::Rate { .. } => Self::Numbers(VecDeque::new()),
            NodeTest::Harsh { .. } => Self::Speed(None),
            NodeTest::Geofence { .. } => Self::Position { inside: false, was_inside: false, was_outside: false },
            NodeTest::NoData { .. } => Self::Data(None),
            _ => Self::Empty,
        }
    }
}
