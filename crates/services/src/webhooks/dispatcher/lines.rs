//! Lines of waiting deliveries: those without order are released as tasks, those with order are attempted one after another.

use roadcast_domain::Timestamp;
use roadcast_domain::webhook::{CircuitState, DeliveryKey, EndpointHealth, EndpointStatus};
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::{
    Deliveries as _, DeliveryTask, EndpointHealths as _, LineContent, WaitingDeliveries as _, WaitingDelivery, WaitingLine,
};

use super::report::{TaskReport, TaskResult, WaitReason};
use super::{Dispatcher, PAUSED_MS, Step, Wait, whole_seconds};
use crate::webhooks::tasks::{attempt_in, send_all, send_later};

/// The deliveries that a task of a line releases.
const RELEASED: usize = 100;
/// The delay before the next deliveries of a slow endpoint are released, in seconds.
const SLOW_RELEASE_S: u32 = 30;
/// The deliveries that are read at a time from an ordered line.
const PAGE: usize = 10;
/// The time after which a task of an ordered line starts no further attempt, in milliseconds: with the last attempt, less than the
/// function has for a message.
const LINE_MS: i64 = 30_000;
/// The longest wait of an ordered line that is a message, in milliseconds. The scheduler finds longer ones to the minute.
const SHORT_WAIT_MS: i64 = 60_000;

/// How many deliveries of a line may be released.
enum Release {
    All {
        is_slow: bool,
    },
    /// The circuit is half-open: the result of one attempt decides about the others.
    One,
    None {
        until: Timestamp,
    },
}

impl<Ports: PortSet> Dispatcher<Ports> {
    /// Releases the deliveries of a line without order that are due, or whose time has ended.
    pub(super) async fn release_line(&self, line: &WaitingLine) -> Result<TaskResult, PortError> {
        let LineContent { revision, waiting } = self.waiting.first(line, RELEASED).await?;
        let now = self.clock.now();
        let is_full = waiting.len() == RELEASED;
        let release = self.release(line, now).await?;
        let most = match release {
            Release::All { .. } => usize::MAX,
            Release::One => 1,
            Release::None { .. } => 0,
        };
        let (mut released, mut rest): (Vec<WaitingDelivery>, Vec<WaitingDelivery>) = (Vec::new(), Vec::new());
        let mut due = 0;
        for delivery in waiting {
            let is_released = delivery.due_at <= now && due < most;
            due += usize::from(is_released);
            if is_released || delivery.expires_at <= now { released.push(delivery) } else { rest.push(delivery) }
        }
        let tasks = released.iter().map(|delivery| attempt_in(line, delivery.delivery_id)).collect();
        send_all(&self.queue, tasks).await?;
        if !released.is_empty() {
            self.waiting.remove(line, &released).await?;
        }
        let next = rest.first().map(|delivery| delivery.due_at);
        let due_at = match release {
            Release::None { until } if !rest.is_empty() || is_full => Some(until),
            Release::One if !rest.is_empty() || is_full => Some(now.plus_ms(EndpointHealth::PROBE_MS)),
            // What follows this page is not known.
            Release::All { .. } if is_full => Some(next.unwrap_or(now)),
            _ => next,
        };
        self.waiting.reschedule(line, due_at, revision).await?;
        if let Release::All { is_slow } = release
            && is_full
            && rest.is_empty()
        {
            let delay_s = if is_slow { SLOW_RELEASE_S } else { 0 };
            send_later(&self.queue, DeliveryTask::Line { line: line.clone() }, delay_s).await?;
        }
        Ok(TaskResult::Released { tasks: released.len() })
    }

    async fn release(&self, line: &WaitingLine, now: Timestamp) -> Result<Release, PortError> {
        let endpoint = self.endpoints.get(&line.fleet_id, &line.endpoint_id).await?;
        match endpoint.as_ref().map(|endpoint| &endpoint.status) {
            Some(EndpointStatus::Active) => {}
            Some(EndpointStatus::Paused) => return Ok(Release::None { until: now.plus_ms(PAUSED_MS) }),
            // They end without an attempt.
            Some(EndpointStatus::Disabled { .. }) | None => return Ok(Release::All { is_slow: false }),
        }
        let health = self.health.get(&line.endpoint_id).await?;
        Ok(match health.circuit(now) {
            CircuitState::Closed => Release::All { is_slow: health.is_slow(now) },
            CircuitState::HalfOpen => Release::One,
            CircuitState::Open { until } => Release::None { until },
        })
    }

    /// Attempts a delivery of an ordered endpoint, unless earlier ones of its vehicle wait.
    pub(super) async fn attempt_in_order(
        &self,
        key: &DeliveryKey,
        line: &WaitingLine,
        report: &mut TaskReport,
    ) -> Result<TaskResult, PortError> {
        let Some(delivery) = self.deliveries.get(key).await? else { return Ok(TaskResult::Absent) };
        if delivery.state.is_terminal() {
            self.repeat_end(&delivery).await?;
            return Ok(TaskResult::Finished(delivery.state));
        }
        let LineContent { waiting, .. } = self.waiting.first(line, 1).await?;
        if let Some(head) = waiting.first() {
            if head.delivery_id != key.delivery_id {
                let endpoint = self.endpoints.get(&line.fleet_id, &line.endpoint_id).await?;
                let expires_at =
                    endpoint.map_or(delivery.created_at, |endpoint| delivery.expires_at(&endpoint.retry_schedule));
                let wait = Wait { until: head.due_at, expires_at, reason: WaitReason::EarlierDelivery };
                self.wait_in_line(line, key, wait).await?;
            }
            return Ok(TaskResult::Waiting(WaitReason::EarlierDelivery));
        }
        match self.step(delivery, report).await? {
            Step::Done(state) => Ok(TaskResult::Finished(state)),
            Step::Wait(wait) => {
                self.wait_in_line(line, key, wait).await?;
                self.wake_soon(line, wait).await?;
                Ok(TaskResult::Waiting(wait.reason))
            }
        }
    }

    /// Attempts the deliveries of an ordered line by their ids, until one must wait.
    pub(super) async fn attempt_line(&self, line: &WaitingLine, report: &mut TaskReport) -> Result<TaskResult, PortError> {
        let started = self.clock.now();
        let mut finished = 0;
        loop {
            let LineContent { revision, waiting } = self.waiting.first(line, PAGE).await?;
            if waiting.is_empty() {
                self.waiting.reschedule(line, None, revision).await?;
                return Ok(TaskResult::Line { finished });
            }
            for head in waiting {
                let now = self.clock.now();
                if now.ms_since(started) >= LINE_MS {
                    send_all(&self.queue, vec![DeliveryTask::Line { line: line.clone() }]).await?;
                    return Ok(TaskResult::Line { finished });
                }
                if now < head.due_at && now < head.expires_at {
                    self.waiting.reschedule(line, Some(head.due_at), revision).await?;
                    return Ok(TaskResult::Line { finished });
                }
                let key = DeliveryKey { endpoint_id: line.endpoint_id.clone(), delivery_id: head.delivery_id };
                let step = match self.deliveries.get(&key).await? {
                    None => None,
                    Some(delivery) => Some(self.step(delivery, report).await?),
                };
                if let Some(Step::Wait(wait)) = step {
                    self.wait_in_line(line, &key, wait).await?;
                    self.reschedule_at_head(line).await?;
                    self.wake_soon(line, wait).await?;
                    return Ok(TaskResult::Line { finished });
                }
                self.waiting.remove(line, &[head]).await?;
                finished += 1;
            }
        }
    }

    /// States that a line is due when its first delivery is. The addition of a delivery only ever makes it due earlier.
    async fn reschedule_at_head(&self, line: &WaitingLine) -> Result<(), PortError> {
        let LineContent { revision, waiting } = self.waiting.first(line, 1).await?;
        match waiting.first() {
            Some(head) => self.waiting.reschedule(line, Some(head.due_at), revision).await,
            None => Ok(()),
        }
    }

    /// Sends the task of an ordered line through the queue whose messages can be delayed, if its wait is short.
    async fn wake_soon(&self, line: &WaitingLine, wait: Wait) -> Result<(), PortError> {
        let rest_ms = wait.until.ms_since(self.clock.now());
        if rest_ms > SHORT_WAIT_MS {
            return Ok(());
        }
        send_later(&self.queue, DeliveryTask::Line { line: line.clone() }, whole_seconds(rest_ms)).await
    }
}
