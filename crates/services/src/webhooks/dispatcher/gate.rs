//! Whether an endpoint may get an attempt now: its circuit, its rate limit, and its slots.

use roadcast_domain::Timestamp;
use roadcast_domain::webhook::{CircuitState, Endpoint, EndpointHealth};
use roadcast_ports::clock::{Clock as _, Randomness as _};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::{EndpointHealths as _, WebhookResponse};
use roadcast_ports::{PortError, PortErrorKind, error_chain};

use super::report::{TaskReport, WaitReason};
use super::{Dispatcher, MAX_MESSAGE_DELAY_MS};

/// The concurrent attempts to a slow endpoint.
const SLOW_SLOTS: u32 = 10;
/// How long a slot is taken if it is not returned, in milliseconds: longer than an attempt takes.
const SLOT_MS: i64 = 20_000;
/// How long a delivery waits for a slot, in milliseconds.
const SLOT_WAIT_MS: i64 = 30_000;
/// How often a change of the health is tried again after a concurrent one.
const HEALTH_ATTEMPTS: usize = 4;

/// Whether an endpoint may get an attempt.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Permitted(Permit),
    Refused { until: Timestamp, reason: WaitReason },
}

/// What an attempt was permitted with.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Permit {
    /// Whether the attempt decides about a half-open circuit.
    is_probe: bool,
    /// Whether the endpoint was healthy: a fast success then changes nothing.
    was_healthy: bool,
    slot: Option<u32>,
}

impl<Ports: PortSet> Dispatcher<Ports> {
    /// Returns whether the endpoint may get an attempt now. The choice of the attempt that decides about a half-open circuit comes
    /// last, because it keeps others from starting.
    pub(super) async fn admit(&self, endpoint: &Endpoint) -> Result<Admission, PortError> {
        let refused = |until, reason| Ok(Admission::Refused { until, reason });
        let health = self.health.get(&endpoint.endpoint_id).await?;
        let now = self.clock.now();
        let circuit = health.circuit(now);
        if let CircuitState::Open { until } = circuit {
            return refused(until, WaitReason::CircuitOpen);
        }
        if let Some(limit) = endpoint.rate_limit.filter(|limit| *limit > 0) {
            let second = Timestamp::from_ms(now.ms().div_euclid(1000) * 1000);
            let count = self.health.count_attempt(&endpoint.endpoint_id, second).await?;
            if count > limit {
                // What exceeds the limit is spread over the following seconds.
                let delay_ms = (i64::from((count - 1) / limit) * 1000).min(MAX_MESSAGE_DELAY_MS);
                return refused(second.plus_ms(delay_ms), WaitReason::RateLimit);
            }
        }
        let was_healthy = health.consecutive_failures == 0 && circuit == CircuitState::Closed;
        let mut permit = Permit { was_healthy, ..Permit::default() };
        if health.is_slow(now) {
            let taken = self.health.take_slot(&endpoint.endpoint_id, SLOW_SLOTS, now, now.plus_ms(SLOT_MS)).await?;
            if taken.is_none() {
                return refused(now.plus_ms(SLOT_WAIT_MS), WaitReason::SlowEndpoint);
            }
            permit.slot = taken;
        }
        if circuit == CircuitState::HalfOpen {
            match self.health.replace(&health.probing(now)).await {
                Ok(()) => permit.is_probe = true,
                Err(error) => {
                    self.return_slot(endpoint, permit).await;
                    return match error.kind() {
                        PortErrorKind::Conflict => refused(now.plus_ms(EndpointHealth::PROBE_MS), WaitReason::CircuitOpen),
                        _ => Err(error),
                    };
                }
            }
        }
        Ok(Admission::Permitted(permit))
    }

    /// Returns the slot of a permit. A slot that is not returned is free after its time.
    pub(super) async fn return_slot(&self, endpoint: &Endpoint, permit: Permit) {
        if let Some(slot) = permit.slot
            && let Err(error) = self.health.return_slot(&endpoint.endpoint_id, slot).await
        {
            tracing::warn!(error = error_chain(&error), "a slot of an endpoint was not returned");
        }
    }

    /// Stores what an attempt shows about the health, if it changes anything, and returns the health. `None` if it changes nothing,
    /// or if it could not be stored: the next attempt shows the same, so that is no failure of the task.
    pub(super) async fn update_health(
        &self,
        endpoint: &Endpoint,
        permit: Permit,
        response: &WebhookResponse,
        report: &mut TaskReport,
    ) -> Option<EndpointHealth> {
        let is_success = response.outcome == roadcast_domain::webhook::AttemptOutcome::Delivered;
        if is_success && permit.was_healthy && response.latency_ms <= EndpointHealth::SLOW_MS {
            return None;
        }
        for _ in 0..HEALTH_ATTEMPTS {
            let before = match self.health.get(&endpoint.endpoint_id).await {
                Ok(before) => before,
                Err(error) => {
                    tracing::warn!(error = error_chain(&error), "the health of an endpoint was not read");
                    return None;
                }
            };
            let now = self.clock.now();
            let after = if is_success {
                before.after_success(response.latency_ms, now)
            } else {
                before.after_failure(response.latency_ms, permit.is_probe, now, self.random())
            };
            if after == before {
                return Some(after);
            }
            match self.health.replace(&after).await {
                Ok(()) => {
                    report.has_closed_circuit |= before.open_until.is_some() && after.open_until.is_none();
                    report.has_opened_circuit |= after.openings > before.openings;
                    return Some(after);
                }
                Err(error) if error.kind() == PortErrorKind::Conflict => {}
                Err(error) => {
                    tracing::warn!(error = error_chain(&error), "the health of an endpoint was not stored");
                    return None;
                }
            }
        }
        None
    }

    /// Returns 64 random bits.
    pub(super) fn random(&self) -> u64 {
        u64::try_from(self.randomness.bits() & u128::from(u64::MAX)).unwrap_or(0)
    }
}
