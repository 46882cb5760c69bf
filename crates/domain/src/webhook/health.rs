//! The health of an endpoint: its circuit breaker, and whether it is slow.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use super::schedule::with_jitter;
use crate::ids::EndpointId;

/// What the latest attempts to an endpoint show. Stored only when it changes: a healthy endpoint costs no write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointHealth {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// Failed attempts since the last success.
    pub consecutive_failures: u32,
    /// When the first of them failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// Until when the circuit is open: no attempt is made, deliveries wait. Then one attempt decides whether it closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_until: Option<Timestamp>,
    /// How many times in a row the circuit was opened.
    #[serde(default)]
    pub openings: u32,
    /// Until when the endpoint counts as slow, which limits its concurrent attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_until: Option<Timestamp>,
    /// Incremented by each stored change; 0 if nothing is stored.
    pub revision: u64,
}

impl EndpointHealth {
    /// How long every attempt must fail before the endpoint is disabled, in milliseconds: five days.
    pub const DISABLE_AFTER_MS: i64 = 5 * 24 * 60 * 60 * 1000;

    /// Failed attempts in a row after which the circuit opens.
    pub const OPEN_AFTER: u32 = 5;
    /// How long the circuit is open first, in milliseconds. The time doubles with each further opening in a row.
    pub const FIRST_OPENING_MS: i64 = 30_000;
    /// How long the circuit is open at most, in milliseconds, without jitter.
    pub const MAX_OPENING_MS: i64 = 15 * 60 * 1000;
    /// How long the attempt that decides keeps others from starting, in milliseconds: longer than an attempt takes. If its
    /// function is interrupted, another attempt decides after this time.
    pub const PROBE_MS: i64 = 20_000;
    /// The latency of an attempt, in milliseconds, above which the endpoint counts as slow.
    pub const SLOW_MS: u32 = 1000;
    /// How long it then counts as slow, in milliseconds.
    pub const SLOW_FOR_MS: i64 = 60_000;

    /// Returns the health of an endpoint of which nothing is known.
    pub const fn healthy(endpoint_id: EndpointId) -> Self {
        Self {
            endpoint_id,
            consecutive_failures: 0,
            failing_since: None,
            open_until: None,
            openings: 0,
            slow_until: None,
            revision: 0,
        }
    }

    /// Returns the state of the circuit at `now`.
    pub fn circuit(&self, now: Timestamp) -> CircuitState {
        match self.open_until {
            None => CircuitState::Closed,
            Some(until) if now < until => CircuitState::Open { until },
            Some(_) => CircuitState::HalfOpen,
        }
    }

    /// Whether the number of concurrent attempts is limited at `now`.
    pub fn is_slow(&self, now: Timestamp) -> bool {
        self.slow_until.is_some_and(|until| now < until)
    }

    /// Whether every attempt failed for so long that the endpoint must be disabled.
    pub fn must_be_disabled(&self, now: Timestamp) -> bool {
        self.failing_since.is_some_and(|since| now.ms_since(since) >= Self::DISABLE_AFTER_MS)
    }

    /// Returns the health after an attempt was chosen that decides about a half-open circuit. Stored under the condition of the
    /// revision, it chooses one attempt.
    #[must_use]
    pub fn probing(&self, now: Timestamp) -> Self {
        Self { open_until: Some(now.plus_ms(Self::PROBE_MS)), ..self.clone() }
    }

    /// Returns the health after a successful attempt.
    #[must_use]
    pub fn after_success(&self, latency_ms: u32, now: Timestamp) -> Self {
        let closed = Self { consecutive_failures: 0, failing_since: None, open_until: None, openings: 0, ..self.clone() };
        closed.with_latency(latency_ms, now)
    }

    /// Returns the health after a failed attempt. `is_probe` states whether the attempt decides about a half-open circuit;
    /// `random` are the bits of the jitter.
    #[must_use]
    pub fn after_failure(&self, latency_ms: u32, is_probe: bool, now: Timestamp, random: u64) -> Self {
        let mut after = self.with_latency(latency_ms, now);
        after.consecutive_failures = self.consecutive_failures.saturating_add(1);
        after.failing_since = self.failing_since.or(Some(now));
        // Attempts that were in progress when the circuit opened do not extend it.
        let is_open = matches!(self.circuit(now), CircuitState::Open { .. });
        if is_probe || (after.consecutive_failures >= Self::OPEN_AFTER && !is_open) {
            after.openings = self.openings.saturating_add(1);
            let doublings = after.openings.saturating_sub(1).min(10);
            let opening_ms = (Self::FIRST_OPENING_MS << doublings).min(Self::MAX_OPENING_MS);
            after.open_until = Some(now.plus_ms(with_jitter(opening_ms, random)));
        }
        after
    }

    /// Extends the time as slow endpoint only when half of it is over, so that a slow endpoint does not cost a write for each
    /// attempt.
    fn with_latency(&self, latency_ms: u32, now: Timestamp) -> Self {
        let is_recent = self.slow_until.is_some_and(|until| until.ms_since(now) > Self::SLOW_FOR_MS / 2);
        let is_slow = latency_ms > Self::SLOW_MS;
        let slow_until = if is_slow && !is_recent { Some(now.plus_ms(Self::SLOW_FOR_MS)) } else { self.slow_until };
        Self { slow_until, ..self.clone() }
    }
}

/// The state of the circuit breaker of an endpoint.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// Attempts are made.
    Closed,
    /// No attempt is made.
    Open {
        /// Until when.
        until: Timestamp,
    },
    /// One attempt decides whether the circuit closes.
    HalfOpen,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: Timestamp = Timestamp::from_ms(1_714_564_800_000);

    fn healthy() -> EndpointHealth {
        EndpointHealth::healthy(EndpointId::from_random_bits(1))
    }

    fn after_failures(count: u32) -> EndpointHealth {
        (0..count).fold(healthy(), |health, _| health.after_failure(1, false, NOON, u64::MAX / 2))
    }

    #[test]
    fn five_failures_open_the_circuit_and_a_success_closes_it() {
        assert_eq!(after_failures(4).circuit(NOON), CircuitState::Closed);
        let open = after_failures(5);
        let until = NOON.plus_ms(EndpointHealth::FIRST_OPENING_MS);
        assert_eq!(open.circuit(NOON), CircuitState::Open { until });
        assert_eq!(open.circuit(until.plus_ms(-1)), CircuitState::Open { until });
        assert_eq!(open.circuit(until), CircuitState::HalfOpen);
        assert_eq!(open.after_success(1, until), EndpointHealth { revision: open.revision, ..healthy() });
    }

    #[test]
    fn failed_probe_doubles_the_opening_up_to_the_maximum() {
        let (mut health, mut now, mut lengths) = (after_failures(5), NOON, Vec::new());
        for _ in 0..8 {
            let CircuitState::Open { until } = health.circuit(now) else { panic!("open") };
            lengths.push(until.ms_since(now) / 1000);
            now = until;
            let probing = health.probing(now);
            assert!(matches!(probing.circuit(now), CircuitState::Open { .. }), "only one attempt decides");
            health = probing.after_failure(1, true, now, u64::MAX / 2);
        }
        assert_eq!(lengths, [30, 60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn attempts_in_progress_do_not_extend_an_open_circuit() {
        let open = after_failures(5);
        let later = open.after_failure(1, false, NOON.plus_ms(10), 0);
        assert_eq!((later.open_until, later.openings), (open.open_until, 1));
    }

    #[test]
    fn endpoint_is_disabled_after_five_days_without_success() {
        let health = after_failures(1);
        let end = NOON.plus_ms(EndpointHealth::DISABLE_AFTER_MS);
        assert!(!health.must_be_disabled(end.plus_ms(-1)) && health.must_be_disabled(end));
        assert!(!health.after_success(1, end).must_be_disabled(end));
    }

    #[test]
    fn slow_endpoint_is_written_once_for_many_attempts() {
        let slow = healthy().after_success(EndpointHealth::SLOW_MS + 1, NOON);
        assert!(slow.is_slow(NOON) && !slow.is_slow(NOON.plus_ms(EndpointHealth::SLOW_FOR_MS)));
        assert_eq!(slow.after_success(5000, NOON.plus_ms(20_000)), slow);
        assert_eq!(healthy().after_success(EndpointHealth::SLOW_MS, NOON), healthy());
    }

    proptest! {
        #[test]
        fn opening_has_bounds(probes in 0_u32..100, random: u64) {
            let health = EndpointHealth { openings: probes, ..after_failures(4) };
            let open = health.after_failure(1, false, NOON, random);
            let CircuitState::Open { until } = open.circuit(NOON) else { panic!("open") };
            let length_ms = until.ms_since(NOON);
            prop_assert!(length_ms >= EndpointHealth::FIRST_OPENING_MS * 4 / 5);
            prop_assert!(length_ms <= EndpointHealth::MAX_OPENING_MS * 6 / 5);
        }
    }
}
