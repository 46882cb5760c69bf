//! The data of events of the type `roadcast.alert.v1`.

use roadcast_domain::entitlement::Coverage;
use roadcast_domain::event::EventType;
use roadcast_domain::ids::{AlertId, Eid, RuleId, VehicleId};
use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::program::RuleVersion;
use crate::rule::Severity;
use crate::transition::{AlertDiagnostic, AlertSignal, Cause, Transition, TransitionKind};

/// The `source` from which the ids of alert events are computed. It is in no event.
const SOURCE: &str = "urn:roadcast:alerts";

/// The data of an event `roadcast.alert.v1`: an alert was raised or cleared, or late data showed that it was not.
///
/// Consumers that show the present alerts keep, for each `alertId` and each of raised and cleared with its `at`, the message with the
/// largest `revision`; if that is `withdrawn`, it did not happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// The alert. The same for all messages about it.
    pub alert_id: AlertId,
    /// What this message states.
    pub change: AlertChange,
    /// What is withdrawn; absent unless the change is `withdrawn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdraws: Option<TransitionKind>,
    /// The rule that raised it.
    pub rule: AlertRule,
    /// When the alert was raised or cleared, by the time of the vehicle.
    pub at: Timestamp,
    /// When the alert was raised.
    pub raised_at: Timestamp,
    /// How often this transition was stated or withdrawn, from 1: odd if it is stated, even if it is withdrawn.
    pub revision: u32,
    /// Whether data caused the message that arrived after newer data, or after its absence was stated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// The event that caused the transition; absent if time alone did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// All signals that the rule reads, with their last values at that time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<AlertSignal>,
    /// The last diagnostic event at that time, if the rule reads diagnostic events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostic: Option<AlertDiagnostic>,
}

/// What a message about an alert states.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AlertChange {
    /// The alert was raised.
    Raised,
    /// The alert was cleared.
    Cleared,
    /// An earlier message is withdrawn: with all data, the alert was not raised or not cleared at that time.
    Withdrawn,
}

/// The rule of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertRule {
    /// The rule.
    pub rule_id: RuleId,
    /// Its version.
    pub version: u64,
    /// Its name.
    pub name: String,
    /// Its severity.
    pub severity: Severity,
}

impl Alert {
    /// Returns the message about a transition of a vehicle.
    pub(crate) fn new(vid: &VehicleId, version: &RuleVersion, transition: Transition, revision: u32, late: bool) -> Self {
        let is_withdrawn = revision.is_multiple_of(2);
        Self {
            alert_id: transition.alert_id(vid),
            change: match transition.kind {
                _ if is_withdrawn => AlertChange::Withdrawn,
                TransitionKind::Raised => AlertChange::Raised,
                TransitionKind::Cleared => AlertChange::Cleared,
            },
            withdraws: is_withdrawn.then_some(transition.kind),
            rule: AlertRule {
                rule_id: transition.rule_id,
                version: transition.version,
                name: version.rule.name.clone(),
                severity: version.rule.severity,
            },
            at: transition.at,
            raised_at: transition.raised_at,
            revision,
            late: late || is_withdrawn,
            cause: transition.cause,
            signals: transition.signals,
            diagnostic: transition.diagnostic,
        }
    }

    /// Returns what the message states, or what it withdraws.
    pub fn transition_kind(&self) -> TransitionKind {
        match (self.change, self.withdraws) {
            (_, Some(kind)) => kind,
            (AlertChange::Cleared, None) => TransitionKind::Cleared,
            (AlertChange::Raised | AlertChange::Withdrawn, None) => TransitionKind::Raised,
        }
    }

    /// Returns the id of the event. A message that is computed again has the same one.
    pub fn eid(&self, vid: &VehicleId) -> Eid {
        let kind = match self.transition_kind() {
            TransitionKind::Raised => "raised",
            TransitionKind::Cleared => "cleared",
        };
        Eid::for_event(vid, SOURCE, &format!("{}/{kind}/{}", self.alert_id, self.revision), self.at)
    }

    /// Whether all that the alert was computed from is covered, and alerts are.
    pub fn is_covered(&self, coverage: &Coverage<'_>) -> bool {
        coverage.contains_event_type(&EventType::Alert)
            && self.signals.iter().all(|signal| coverage.contains_signal(signal.path.as_str()))
            && (self.diagnostic.is_none() || coverage.contains_event_type(&EventType::Diagnostic))
    }
}
