//! Attempts deliveries.
//!
//! A task names a delivery or a line. The delivery in the store, not the task, states what is to be done, so tasks may be
//! repeated, late and out of order. After an attempt, first the attempt is recorded, then the delivery is replaced under the
//! condition of its revision, so that of concurrent attempts one result counts, and then what follows is sent. If the function is
//! interrupted, the queue delivers the task again, and the state of the delivery determines which of these steps is next.

mod content;
mod disabling;
mod gate;
mod lines;
mod outcome;
mod report;
mod request;

use std::sync::Arc;

use roadcast_domain::Timestamp;
use roadcast_domain::trace::EventSampling;
use roadcast_domain::webhook::{
    AttemptOutcome, Delivery, DeliveryKey, DeliveryState, DisabledReason, DropReason, Endpoint, EndpointStatus,
    FailureReason,
};
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::{Deliveries as _, DeliveryTask, WaitingDeliveries as _, WaitingDelivery, WaitingLine};

pub use report::{MadeAttempt, TaskReport, TaskResult, WaitReason};

use super::tasks::{QueueKind, send_later};
use crate::cache::{CachedEndpoints, CachedEntitlements, OpenedTexts};
use content::Content;
use gate::{Admission, Permit};

/// The longest delay of a message, in milliseconds. Longer waits are in the store.
const MAX_MESSAGE_DELAY_MS: i64 = 900_000;
/// A task that arrives before its delivery is due is a repeated one. If the rest of the wait is longer than this, in milliseconds,
/// the delivery waits in the store, where any number of repeated tasks is one entry.
const REPEATED_TASK_DELAY_MS: i64 = 15_000;
/// How long deliveries wait while their endpoint is paused, in milliseconds, before it is checked again.
const PAUSED_MS: i64 = 5 * 60 * 1000;
/// The shortest and the longest wait for a suspended subscription to resume, in milliseconds. In between, a delivery waits as long
/// as it is old.
const HELD_MS: (i64, i64) = (60_000, 60 * 60 * 1000);

/// The shortest wait in a line without order, in milliseconds: longer than an addition to a line takes.
const LINE_WAIT_MS: i64 = 5_000;
/// Over how many milliseconds the deliveries that wait for the same time in a line without order are spread.
const LINE_SPREAD_MS: u64 = 5_000;

/// Attempts deliveries.
pub struct Dispatcher<Ports: PortSet> {
    /// The endpoints, at most 5 s old.
    pub endpoints: CachedEndpoints<Ports>,
    /// The endpoints as they are stored, to disable them and to find those that want a notice.
    pub stored_endpoints: Ports::Endpoints,
    /// The secrets and headers of endpoints.
    pub opened: OpenedTexts<Ports>,
    /// The entitlements, at most 5 s old.
    pub entitlements: CachedEntitlements<Ports>,
    /// The deliveries.
    pub deliveries: Ports::Deliveries,
    /// The attempts.
    pub attempts: Ports::Attempts,
    /// The health of endpoints.
    pub health: Ports::EndpointHealths,
    /// The deliveries that wait in the store.
    pub waiting: Ports::WaitingDeliveries,
    /// The queues of tasks.
    pub queue: Ports::DeliveryQueue,
    /// The queue of dead letters.
    pub failed: Ports::FailedDeliveries,
    /// The HTTP client.
    pub sender: Ports::WebhookSender,
    /// The clock.
    pub clock: Ports::Clock,
    /// The source of jitter.
    pub randomness: Ports::Randomness,
    /// Which events are traced.
    pub sampling: EventSampling,
}

/// What follows for a delivery.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Step {
    /// It is in a terminal state.
    Done(DeliveryState),
    /// It waits.
    Wait(Wait),
}

/// A wait of a delivery.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Wait {
    /// Until when.
    until: Timestamp,
    /// When its time ends.
    expires_at: Timestamp,
    /// For what.
    reason: WaitReason,
}

impl<Ports: PortSet> Dispatcher<Ports> {
    /// Processes a task that was received from `queue`. If it fails, the queue must deliver the task again.
    pub async fn handle(&self, task: &DeliveryTask, queue: QueueKind) -> Result<TaskReport, PortError> {
        let mut report = TaskReport::default();
        report.result = match (task, queue) {
            (DeliveryTask::Line { line }, QueueKind::Standard) if line.vid.is_some() => {
                // Messages of the ordered queue cannot be delayed one by one, so the task waited in this queue.
                super::tasks::send_all(&self.queue, vec![task.clone()]).await?;
                TaskResult::Forwarded
            }
            (DeliveryTask::Line { line }, _) if line.vid.is_some() => self.attempt_line(line, &mut report).await?,
            (DeliveryTask::Line { line }, _) => self.release_line(line).await?,
            (DeliveryTask::Attempt { fleet_id, key, vid }, _) => {
                let (fleet_id, endpoint_id) = (fleet_id.clone(), key.endpoint_id.clone());
                let line = WaitingLine { fleet_id, endpoint_id, vid: vid.clone() };
                if vid.is_some() {
                    self.attempt_in_order(key, &line, &mut report).await?
                } else {
                    self.attempt_alone(task, key, &line, &mut report).await?
                }
            }
        };
        Ok(report)
    }

    /// Attempts a delivery that has no order.
    async fn attempt_alone(
        &self,
        task: &DeliveryTask,
        key: &DeliveryKey,
        line: &WaitingLine,
        report: &mut TaskReport,
    ) -> Result<TaskResult, PortError> {
        let Some(delivery) = self.deliveries.get(key).await? else { return Ok(TaskResult::Absent) };
        match self.step(delivery, report).await? {
            Step::Done(state) => {
                if report.has_closed_circuit {
                    send_later(&self.queue, DeliveryTask::Line { line: line.clone() }, 0).await?;
                }
                Ok(TaskResult::Finished(state))
            }
            Step::Wait(wait) => {
                let rest_ms = wait.until.ms_since(self.clock.now()).max(0);
                let longest_ms = match wait.reason {
                    WaitReason::Retry | WaitReason::RateLimit => MAX_MESSAGE_DELAY_MS,
                    WaitReason::NotDue => REPEATED_TASK_DELAY_MS,
                    _ => 0,
                };
                if rest_ms > longest_ms || longest_ms == 0 {
                    self.wait_in_line(line, key, wait).await?;
                } else {
                    send_later(&self.queue, task.clone(), whole_seconds(rest_ms)).await?;
                }
                Ok(TaskResult::Waiting(wait.reason))
            }
        }
    }

    /// Adds a delivery to its line.
    ///
    /// Without order, it is due some seconds from now at the earliest, at a time that is not one of an earlier addition: the
    /// release of a line removes what it read by the time when it was due, so an addition that repeats an earlier time could be
    /// removed with it.
    async fn wait_in_line(&self, line: &WaitingLine, key: &DeliveryKey, wait: Wait) -> Result<(), PortError> {
        let expires_at = wait.expires_at;
        let due_at = if line.vid.is_some() {
            wait.until.min(expires_at)
        } else {
            let spread_ms = i64::try_from(self.random() % LINE_SPREAD_MS).unwrap_or(0);
            wait.until.min(expires_at).max(self.clock.now().plus_ms(LINE_WAIT_MS)).plus_ms(spread_ms)
        };
        let waiting = WaitingDelivery { delivery_id: key.delivery_id, due_at, expires_at };
        self.waiting.add(line, &waiting).await
    }

    /// Attempts a delivery, unless it must wait or ends without an attempt.
    async fn step(&self, delivery: Delivery, report: &mut TaskReport) -> Result<Step, PortError> {
        if delivery.state.is_terminal() {
            self.repeat_end(&delivery).await?;
            return Ok(Step::Done(delivery.state));
        }
        let now = self.clock.now();
        let Some(endpoint) = self.endpoints.get(&delivery.fleet_id, &delivery.key.endpoint_id).await? else {
            return self.end(delivery.dropped(DropReason::EndpointDeleted, now)).await;
        };
        let expires_at = delivery.expires_at(&endpoint.retry_schedule);
        let wait = |until, reason| Ok(Step::Wait(Wait { until, expires_at, reason }));
        if now >= expires_at {
            return self.end(delivery.failed(FailureReason::Expired, now)).await;
        }
        match endpoint.status {
            EndpointStatus::Active => {}
            EndpointStatus::Paused => return wait(now.plus_ms(PAUSED_MS), WaitReason::Paused),
            EndpointStatus::Disabled { reason, at } => {
                self.repeat_notices(&endpoint, reason, at, now).await?;
                return self.end(delivery.failed(FailureReason::EndpointDisabled, now)).await;
            }
        }
        if let Some(due_at) = delivery.next_attempt_at.filter(|at| now < *at) {
            return wait(due_at, WaitReason::NotDue);
        }
        // Once before the endpoint's limits are touched, and once more if that took time.
        let mut content = self.content(&delivery, &endpoint).await?;
        let mut permit = Permit::default();
        if matches!(content, Content::Body { .. }) {
            permit = match self.admit(&endpoint).await? {
                Admission::Permitted(permit) => permit,
                Admission::Refused { until, reason } => return wait(until, reason),
            };
            if self.clock.now() != now {
                content = self.content(&delivery, &endpoint).await?;
            }
        }
        let step = match content {
            Content::Body { json } => self.attempt(delivery, &endpoint, permit, json, report).await,
            Content::Held => {
                let now = self.clock.now();
                let age_ms = now.ms_since(delivery.created_at).clamp(HELD_MS.0, HELD_MS.1);
                wait(now.plus_ms(age_ms), WaitReason::Suspended)
            }
            Content::Dropped(reason) => self.end(delivery.dropped(reason, self.clock.now())).await,
            Content::TooLarge => self.end(delivery.failed(FailureReason::TooLarge, self.clock.now())).await,
        };
        self.return_slot(&endpoint, permit).await;
        step
    }

    /// Posts the request, and stores what follows from the response.
    async fn attempt(
        &self,
        delivery: Delivery,
        endpoint: &Arc<Endpoint>,
        permit: Permit,
        json: String,
        report: &mut TaskReport,
    ) -> Result<Step, PortError> {
        let started = self.clock.now();
        let trace = self.trace_of(&delivery);
        let request = self.request(&delivery, endpoint, json, trace, started).await?;
        let response = roadcast_ports::webhooks::WebhookSender::post(&self.sender, &request).await;
        drop(request);
        let after = self.store_outcome(&delivery, endpoint, (trace, started), &response, report).await?;
        let health = self.update_health(endpoint, permit, &response, report).await;
        if response.outcome == AttemptOutcome::Gone {
            self.disable(endpoint, DisabledReason::Gone, report).await?;
        } else if health.is_some_and(|health| health.must_be_disabled(self.clock.now())) {
            self.disable(endpoint, DisabledReason::Failing, report).await?;
        }
        if after.state.is_terminal() {
            self.send_dead_letter(&after).await?;
            return Ok(Step::Done(after.state));
        }
        let until = after.next_attempt_at.unwrap_or(started);
        let expires_at = after.expires_at(&endpoint.retry_schedule);
        Ok(Step::Wait(Wait { until, expires_at, reason: WaitReason::Retry }))
    }
}

/// Returns the seconds after which a wait of milliseconds is over.
fn whole_seconds(ms: i64) -> u32 {
    u32::try_from((ms.max(0) + 999) / 1000).unwrap_or(u32::MAX)
}
