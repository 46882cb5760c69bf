//! Notices of the operator's alerts: what a mail, an SMS or a request to an incident tool states about an alert of a rule of the operator.
//!
//! A notice has no signal values and no trouble codes: they may be personal data, such as a position, and an erasure of the
//! vehicle does not reach mailboxes and incident tools.

mod texts;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::alert::{Alert, AlertChange, Severity, TransitionKind};
use crate::event::{Body, Event};
use crate::ids::{AlertId, Eid, RuleId, VehicleId};

pub use texts::{MAX_SMS_CHARS, MAX_SUBJECT_CHARS};

/// A notice of an alert of the operator: the alert was raised, cleared or withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertNotice {
    /// The id of the event `roadcast.alert.v1`. A notice that is sent again has the same one.
    pub notice_id: Eid,
    /// The stage of the deployment.
    pub stage: String,
    /// The alert. The same for all notices of it.
    pub alert_id: AlertId,
    /// What happened.
    pub change: AlertChange,
    /// What is withdrawn; absent unless the change is `withdrawn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdraws: Option<TransitionKind>,
    /// How urgent it is.
    pub severity: Severity,
    /// The rule.
    pub rule_id: RuleId,
    /// Its version.
    pub rule_version: u64,
    /// Its name.
    pub rule_name: String,
    /// The vehicle.
    pub vid: VehicleId,
    /// When it happened, by the clock of the vehicle.
    pub at: Timestamp,
    /// When the alert was raised, by the clock of the vehicle.
    pub raised_at: Timestamp,
    /// Whether data caused it that arrived after newer data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// One line about it.
    pub summary: String,
}

impl AlertNotice {
    /// Returns the notice of an event. `None` if it is not an alert of the operator.
    pub fn of_event(event: &Event, stage: &str) -> Option<Self> {
        match &event.body {
            Body::Alert(alert) if alert.rule.fleet_id.is_none() => Some(Self::of_alert(event, alert, stage)),
            _ => None,
        }
    }

    fn of_alert(event: &Event, alert: &Alert, stage: &str) -> Self {
        let notice = Self {
            notice_id: event.eid,
            stage: stage.to_owned(),
            alert_id: alert.alert_id,
            change: alert.change,
            withdraws: alert.withdraws,
            severity: alert.rule.severity,
            rule_id: alert.rule.rule_id.clone(),
            rule_version: alert.rule.version,
            rule_name: alert.rule.name.clone(),
            vid: event.vid.clone(),
            at: alert.at,
            raised_at: alert.raised_at,
            late: alert.late,
            summary: String::new(),
        };
        Self { summary: notice.subject(), ..notice }
    }
}
