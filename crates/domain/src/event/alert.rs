//! The data of events of the type `roadcast.alert.v1`.

use std::collections::BTreeMap;

use roadcast_signals::{SignalPath, Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::diagnostic::TroubleCode;
use crate::entitlement::Coverage;
use crate::event::{Body, Event, EventType, Origin, StoredEvent};
use crate::ids::{AlertId, Eid, FleetId, RuleId, VehicleId};

/// The `source` from which the ids of alert events are computed. No fleet gets it.
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

impl AlertChange {
    /// Returns the code, as in JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Cleared => "cleared",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// The rule of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertRule {
    /// The fleet that owns the rule; absent if the operator does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet_id: Option<FleetId>,
    /// The rule.
    pub rule_id: RuleId,
    /// Its version.
    pub version: u64,
    /// Its name.
    pub name: String,
    /// Its severity.
    pub severity: Severity,
}

/// Who owns an alert rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleOwner {
    /// A fleet: the rule concerns the vehicles that it may see, and no other fleet sees its alerts.
    Fleet(FleetId),
    /// The operator of Roadcast: the rule concerns all vehicles, and every fleet sees its alerts that is entitled to what they
    /// were computed from.
    Operator,
}

impl RuleOwner {
    /// The fleet; `None` for the operator.
    pub const fn fleet_id(&self) -> Option<&FleetId> {
        match self {
            Self::Fleet(fleet_id) => Some(fleet_id),
            Self::Operator => None,
        }
    }
}

/// How urgent an alert is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// For information.
    Info,
    /// Needs attention.
    Warning,
    /// Needs attention at once.
    Critical,
}

impl Severity {
    /// Returns the code, as in JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
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
    /// The trouble codes that the rule names, at most 16.
    pub dtcs: Vec<TroubleCode>,
}

impl Alert {
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
        Eid::for_event(vid, SOURCE, &self.message_id(), self.at)
    }

    /// Returns when the alert counts as received: when its cause was. An alert that time alone caused, at its time. So who may
    /// see it does not depend on when it was evaluated.
    pub fn received(&self) -> Timestamp {
        self.cause.map_or(self.at, |cause| cause.received)
    }

    /// Returns how the event about it is identified in the event log.
    pub fn origin(&self) -> Origin {
        Origin { source: SOURCE.to_owned(), id: self.message_id(), extensions: BTreeMap::new() }
    }

    /// Returns the event about it, as the event log stores it.
    pub fn into_event(self, vid: VehicleId) -> StoredEvent {
        let (eid, received, origin) = (self.eid(&vid), self.received(), self.origin());
        StoredEvent { event: Event { eid, vid, received, body: Body::Alert(Box::new(self)) }, origin }
    }

    /// The alert, what is stated about it, and how often.
    fn message_id(&self) -> String {
        let kind = match self.transition_kind() {
            TransitionKind::Raised => "raised",
            TransitionKind::Cleared => "cleared",
        };
        format!("{}/{kind}/{}", self.alert_id, self.revision)
    }

    /// Whether a fleet may see the alerts of the rule: it owns the rule, or the operator does.
    pub fn is_addressed_to(&self, fleet_id: &FleetId) -> bool {
        self.rule.fleet_id.as_ref().is_none_or(|owner| owner == fleet_id)
    }

    /// Whether all that the alert was computed from is covered, and alerts are.
    pub fn is_covered(&self, coverage: &Coverage<'_>) -> bool {
        coverage.contains_event_type(&EventType::Alert)
            && self.signals.iter().all(|signal| coverage.contains_signal(signal.path.as_str()))
            && (self.diagnostic.is_none() || coverage.contains_event_type(&EventType::Diagnostic))
    }
}
