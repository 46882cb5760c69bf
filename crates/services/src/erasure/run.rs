//! The steps of the workflow that erases vehicles. Each part of a step may be repeated, and the record states what is next.

use roadcast_domain::Timestamp;
use roadcast_domain::erasure::{Erasure, ErasureState, ErasureStep};
use roadcast_domain::ids::{ErasureId, FleetId};
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::erasure::{Erasures, VehicleErasure};
use roadcast_ports::fleets::Fleets;
use roadcast_ports::port_set::PortSet;
use serde::{Deserialize, Serialize};

use crate::ServiceError;
use crate::fleets::remove_vehicles;

/// How long an invocation continues with further parts, in milliseconds. The function has several times as long, for the last part.
const RUN_MS: i64 = 4 * 60 * 1000;
/// Fleets whose subscriptions are checked in one part.
const FLEETS_PER_PART: usize = 25;
/// The longest wait that the workflow is asked for, in seconds.
const MAX_WAIT_S: i64 = 60 * 60;

/// Executes the steps of the workflow.
pub struct ErasureRun<Ports: PortSet> {
    /// The records of erasures.
    pub erasures: Ports::Erasures,
    /// The registered vehicles.
    pub vehicles: Ports::Vehicles,
    /// What is erased from the stores.
    pub erasure: Ports::VehicleErasure,
    /// The fleets.
    pub fleets: Ports::Fleets,
    /// Their subscriptions.
    pub subscriptions: Ports::Subscriptions,
    /// The clock.
    pub clock: Ports::Clock,
    /// How long after the vehicles are hidden the second pass starts, in milliseconds: [`SECOND_PASS_AFTER_MS`] on AWS.
    ///
    /// [`SECOND_PASS_AFTER_MS`]: roadcast_domain::erasure::SECOND_PASS_AFTER_MS
    pub second_pass_after_ms: i64,
}

/// A task of the workflow, of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// What to do.
    pub step: TaskKind,
    /// The erasure.
    pub erasure_id: ErasureId,
    /// The number of the attempt, from 1. Each attempt is one run of the workflow.
    pub attempt: u32,
    /// The name of the error that failed the workflow, for [`TaskKind::HandleFailure`].
    #[serde(default)]
    pub error: Option<String>,
}

/// What a task does.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Continues the erasure for some minutes.
    Continue,
    /// Records in the erasure why the workflow failed. The next attempt continues from there.
    HandleFailure,
}

/// The result of a task.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// Whether the erasure is complete.
    pub done: bool,
    /// Seconds until the next task.
    pub wait_seconds: i64,
}

impl<Ports: PortSet> ErasureRun<Ports> {
    /// Executes a task. Fails with `Conflict` if a later attempt has started.
    pub async fn step(&self, task: &Task) -> Result<RunStatus, ServiceError> {
        let erasure = self.erasures.get(&task.erasure_id).await?.ok_or(ServiceError::NotFound)?;
        let is_current = erasure.attempt == task.attempt;
        match task.step {
            TaskKind::Continue if is_current => self.run(erasure).await,
            TaskKind::Continue => Err(ServiceError::Conflict("a later attempt runs the erasure")),
            TaskKind::HandleFailure => {
                if is_current && erasure.state == ErasureState::Running {
                    self.fail(erasure, task.error.as_deref()).await?;
                }
                Ok(RunStatus { done: true, wait_seconds: 0 })
            }
        }
    }

    /// Continues until the erasure is complete, has to wait, or the time of the invocation is over.
    async fn run(&self, mut erasure: Erasure) -> Result<RunStatus, ServiceError> {
        let started = self.clock.now();
        while erasure.state == ErasureState::Running {
            let now = self.clock.now();
            let wait_ms = if erasure.progress.starts_second_pass() {
                erasure.second_pass_at.map_or(0, |at| at.ms_since(now))
            } else {
                0
            };
            if wait_ms > 0 || now.ms_since(started) > RUN_MS {
                let wait_seconds = ((wait_ms + 999) / 1000).clamp(1, MAX_WAIT_S);
                return Ok(RunStatus { done: false, wait_seconds });
            }
            self.advance(&mut erasure).await?;
        }
        Ok(RunStatus { done: true, wait_seconds: 0 })
    }

    /// Executes one part of the current step, and stores the progress.
    async fn advance(&self, erasure: &mut Erasure) -> Result<(), PortError> {
        let next = match erasure.progress.step {
            ErasureStep::Hide => {
                self.hide(erasure).await?;
                None
            }
            ErasureStep::Subscriptions => self.remove_from_subscriptions(erasure).await?,
            ErasureStep::Erase(store) => {
                let part = self.erasure.erase(store, &erasure.scope(), erasure.progress.position.as_deref()).await?;
                erasure.stores.entry(store).or_default().add(part.counts);
                part.next
            }
        };
        let next = match next {
            Some(position) => Some(erasure.progress.at(position)),
            None => erasure.progress.next(),
        };
        match next {
            Some(progress) => erasure.progress = progress,
            None => complete(erasure, self.clock.now()),
        }
        self.save(erasure).await
    }

    /// Removes the vehicles from the subscriptions of some fleets, and returns the last one; `None` if no fleet follows.
    async fn remove_from_subscriptions(&self, erasure: &Erasure) -> Result<Option<String>, PortError> {
        let after: Option<FleetId> = erasure.progress.position.as_deref().and_then(|position| position.parse().ok());
        let fleets = self.fleets.list(after.as_ref(), FLEETS_PER_PART).await?;
        for fleet in &fleets {
            remove_vehicles(&self.subscriptions, &self.clock, &fleet.fleet_id, &erasure.scope()).await?;
        }
        Ok(fleets.last().map(|last| last.fleet_id.to_string()))
    }

    async fn fail(&self, erasure: Erasure, error: Option<&str>) -> Result<(), PortError> {
        // Only the error's name: its cause may contain internal details. The execution log contains the cause.
        let error = error.unwrap_or("unknown");
        let reason = Some(format!("the erasure failed after several attempts ({error}); restart it"));
        self.save(&mut Erasure { state: ErasureState::Failed, reason, ..erasure }).await
    }

    /// Stores the record as its next revision. Fails with `Conflict` if another attempt changed it.
    pub(super) async fn save(&self, erasure: &mut Erasure) -> Result<(), PortError> {
        erasure.updated_at = self.clock.now();
        self.erasures.replace(erasure).await?;
        erasure.revision += 1;
        Ok(())
    }
}

/// Marks an erasure as complete, and removes the names from its record.
fn complete(erasure: &mut Erasure, now: Timestamp) {
    erasure.state = ErasureState::Complete;
    erasure.names.clear();
    erasure.completed_at = Some(now);
}
