//! Back-tests: a rule is evaluated on stored events, to show when it would have raised alerts.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::alert::{Alert, RuleOwner};
use crate::alert_rule::{fleet_of_owner, is_operator, operator};
use crate::ids::{BackTestId, RuleId, VehicleId};

/// A back-test: what is evaluated, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackTest {
    /// The id.
    pub back_test_id: BackTestId,
    /// The owner of the rule; as `fleetId`, which a back-test of the operator does not have.
    #[serde(rename = "fleetId", default = "operator", with = "fleet_of_owner", skip_serializing_if = "is_operator")]
    pub owner: RuleOwner,
    /// The rule.
    pub rule_id: RuleId,
    /// Its version.
    pub version: u64,
    /// What the rule says.
    pub definition: String,
    /// The vehicles, in the order in which they are evaluated.
    pub vehicles: Vec<VehicleId>,
    /// The earliest time of samples, inclusive.
    pub from: Timestamp,
    /// The latest time of samples, exclusive.
    pub until: Timestamp,
    /// How far the evaluation is.
    pub progress: BackTestProgress,
    /// Whether it is still evaluated.
    pub state: BackTestState,
    /// The number of changes of the stored record, by which concurrent evaluations are detected.
    pub revision: u64,
    /// When it was started.
    pub created_at: Timestamp,
    /// When the evaluation last made progress.
    pub updated_at: Timestamp,
}

/// Whether a back-test is evaluated.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BackTestState {
    /// It is evaluated, or waits for its turn.
    Running,
    /// All events were evaluated, or the limit of alerts was reached.
    Finished,
    /// The evaluation failed repeatedly.
    Failed,
}

/// How far a back-test is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackTestProgress {
    /// The number of vehicles that were evaluated completely.
    pub vehicles: usize,
    /// The evaluation of the next vehicle, if it was interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<InterruptedVehicle>,
    /// The names of the stored pages of alerts, in order. Another page was stored by an evaluation that another one overtook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<String>,
    /// The number of stored alerts.
    pub alerts: usize,
    /// The bytes of the stored alerts.
    pub bytes: usize,
    /// Whether the evaluation ended at the limit of alerts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_truncated: bool,
}

/// An interrupted evaluation of a vehicle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterruptedVehicle {
    /// The time before which all samples were evaluated.
    pub complete_before: Timestamp,
    /// The state of the evaluation, as JSON.
    pub state: String,
}

/// An alert that a rule would have raised or cleared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackTestAlert {
    /// The vehicle.
    pub vid: VehicleId,
    /// The message that would have been published.
    #[serde(flatten)]
    pub alert: Alert,
}

/// A task of the evaluation: to continue a back-test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackTestTask {
    /// The owner; as `fleetId`, which a back-test of the operator does not have.
    #[serde(rename = "fleetId", default = "operator", with = "fleet_of_owner", skip_serializing_if = "is_operator")]
    pub owner: RuleOwner,
    /// The back-test.
    pub back_test_id: BackTestId,
}

impl BackTest {
    /// Maximum stored back-tests of one owner.
    pub const MAX_PER_OWNER: usize = 20;
    /// Maximum vehicles of one back-test.
    pub const MAX_VEHICLES: usize = 1000;
    /// Maximum days from the first to the last sample.
    pub const MAX_RANGE_DAYS: i64 = 31;
    /// Maximum vehicles times days.
    pub const MAX_VEHICLE_DAYS: i64 = 1000;
    /// Maximum alerts that are stored. The evaluation ends with the vehicle that reaches it.
    pub const MAX_ALERTS: usize = 1000;
    /// Maximum bytes of the stored alerts, as JSON. The evaluation ends with the vehicle that reaches it.
    pub const MAX_ALERT_BYTES: usize = 1024 * 1024;
    /// Maximum bytes of the alerts of a stored page, as JSON.
    pub const MAX_PAGE_BYTES: usize = 256 * 1024;
    /// How long a back-test is stored after it was started, in days.
    pub const RETENTION_DAYS: i64 = 7;

    /// The task that continues it.
    pub fn task(&self) -> BackTestTask {
        BackTestTask { owner: self.owner.clone(), back_test_id: self.back_test_id.clone() }
    }

    /// When it expires.
    pub const fn expires_at(&self) -> Timestamp {
        self.created_at.plus_ms(Self::RETENTION_DAYS * 24 * 60 * 60 * 1000)
    }
}

impl BackTestAlert {
    /// The received time by which it is decided who may see the alert: that of its cause, or the time at which silence was stated.
    pub fn received(&self) -> Timestamp {
        self.alert.cause.map_or(self.alert.at, |cause| cause.received)
    }
}
