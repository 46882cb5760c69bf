//! Transitions of alerts.

use roadcast_domain::alert::{Alert, AlertChange, AlertDiagnostic, AlertRule, AlertSignal, Cause, TransitionKind};
use roadcast_domain::ids::{AlertId, RuleId, VehicleId};
use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::program::RuleVersion;

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

impl Transition {
    /// Returns its identity.
    pub fn key(&self) -> TransitionKey {
        let Self { at, kind, raised_at, version, .. } = *self;
        TransitionKey { at, rule_id: self.rule_id.clone(), version, kind, raised_at }
    }

    /// Returns the transition that a message states or withdraws.
    pub(crate) fn of_alert(alert: &Alert) -> Self {
        Self {
            rule_id: alert.rule.rule_id.clone(),
            version: alert.rule.version,
            kind: alert.transition_kind(),
            at: alert.at,
            raised_at: alert.raised_at,
            cause: alert.cause,
            signals: alert.signals.clone(),
            diagnostic: alert.diagnostic.clone(),
        }
    }

    /// Returns the id of the alert.
    pub fn alert_id(&self, vid: &VehicleId) -> AlertId {
        AlertId::for_alert(&self.rule_id, self.version, vid, self.raised_at)
    }

    /// Returns the message about it, by the version of the rule.
    pub(crate) fn into_alert(self, vid: &VehicleId, version: &RuleVersion, revision: u32, late: bool) -> Alert {
        let is_withdrawn = revision.is_multiple_of(2);
        Alert {
            alert_id: self.alert_id(vid),
            change: match self.kind {
                _ if is_withdrawn => AlertChange::Withdrawn,
                TransitionKind::Raised => AlertChange::Raised,
                TransitionKind::Cleared => AlertChange::Cleared,
            },
            withdraws: is_withdrawn.then_some(self.kind),
            rule: AlertRule {
                fleet_id: version.owner.fleet_id().cloned(),
                rule_id: self.rule_id,
                version: self.version,
                name: version.rule.name.clone(),
                severity: version.rule.severity,
            },
            at: self.at,
            raised_at: self.raised_at,
            revision,
            late: late || is_withdrawn,
            cause: self.cause,
            signals: self.signals,
            diagnostic: self.diagnostic,
        }
    }
}
