//! Transitions of alerts.

use roadcast_domain::diagnostic::TroubleCode;
use roadcast_domain::ids::{AlertId, Eid, RuleId, VehicleId};
use roadcast_signals::{SignalPath, Timestamp, Value};
use serde::{Deserialize, Serialize};

/// An alert is raised or cleared. The same rules on the same samples always have the same transitions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// The rule.
    pub rule_id: RuleId,
    /// Its version.
    pub version: u64,
    /// What happens.
    pub kind: TransitionKind,
    /// When, by the time of the vehicle.
    pub at: Timestamp,
    /// When the alert was raised.
    pub raised_at: Timestamp,
    /// The event that caused it; absent if time alone did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// All signals that the rule reads, with their last values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<AlertSignal>,
    /// The last diagnostic event, if the rule tests it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostic: Option<AlertDiagnostic>,
}

/// What happens to an alert.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TransitionKind {
    /// It is raised.
    Raised,
    /// It is cleared.
    Cleared,
}

/// The identity of a transition of a vehicle. What it was computed from does not belong to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransitionKey {
    /// When it happens.
    pub at: Timestamp,
    /// The rule.
    pub rule_id: RuleId,
    /// Its version.
    pub version: u64,
    /// What happens.
    pub kind: TransitionKind,
    /// When the alert was raised.
    pub raised_at: Timestamp,
}

/// The event that caused a transition.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The event.
    pub eid: Eid,
    /// When it was received.
    pub received: Timestamp,
}

/// A signal that an alert was computed from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertSignal {
    /// The signal.
    pub path: SignalPath,
    /// The value; absent if no sample had the signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The time of the sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// The diagnostic event that an alert was computed from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertDiagnostic {
    /// When it was read; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Whether the malfunction indicator lamp was on; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mil: Option<bool>,
    /// The trouble codes that the rule names, at most [`CODES_PER_ALERT`](crate::limits::CODES_PER_ALERT).
    pub dtcs: Vec<TroubleCode>,
}

impl Transition {
    /// Returns its identity.
    pub fn key(&self) -> TransitionKey {
        let Self { at, kind, raised_at, version, .. } = *self;
        TransitionKey { at, rule_id: self.rule_id.clone(), version, kind, raised_at }
    }

    /// Returns the id of the alert.
    pub fn alert_id(&self, vid: &VehicleId) -> AlertId {
        AlertId::for_alert(&self.rule_id, self.version, vid, self.raised_at)
    }
}
