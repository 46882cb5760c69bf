//! The transitions of a delivery: what follows from an attempt, and when a delivery ends without one.

use roadcast_signals::Timestamp;

use super::{
    AttemptOutcome, Delivery, DeliveryKey, DeliveryState, DropReason, FailureReason, PastAttempt, Payload, RetrySchedule,
};
use crate::ids::FleetId;

/// The longest delay that a response can request with `Retry-After`, in seconds: a day. A longer one counts as a day.
pub const MAX_RETRY_AFTER_S: u32 = 24 * 60 * 60;
/// How much longer than its schedule a delivery may take, in milliseconds: a day. It waits without attempts while the endpoint
/// is paused, its circuit is open, or a suspended subscription holds the event back.
const GRACE_MS: i64 = 24 * 60 * 60 * 1000;

impl Delivery {
    /// Maximum entries of [`history`](Self::history): the first attempt and one for each delay of the longest schedule.
    pub const MAX_HISTORY: usize = RetrySchedule::MAX_DELAYS + 1;

    /// Creates a delivery that is due at once.
    pub const fn new(key: DeliveryKey, fleet_id: FleetId, payload: Payload, now: Timestamp) -> Self {
        Self {
            key,
            fleet_id,
            payload,
            state: DeliveryState::Pending,
            attempts: 0,
            next_attempt_at: Some(now),
            history: Vec::new(),
            redrive_id: None,
            revision: 1,
            created_at: now,
            finished_at: None,
        }
    }

    /// Returns when the time of the delivery ends: it then fails, whatever it waits for.
    pub fn expires_at(&self, schedule: &RetrySchedule) -> Timestamp {
        self.created_at.plus_ms(schedule.total_ms() + GRACE_MS)
    }

    /// Whether its next attempt may start at `now`.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.next_attempt_at.is_none_or(|at| at <= now)
    }

    /// Returns the delivery after an attempt that ended at `now`. `retry_after_s` is the delay that the response requests;
    /// `random` are the bits of the jitter.
    #[must_use]
    pub fn after_attempt(
        &self,
        attempt: PastAttempt,
        retry_after_s: Option<u32>,
        schedule: &RetrySchedule,
        now: Timestamp,
        random: u64,
    ) -> Self {
        let outcome = attempt.outcome;
        let mut after = Self { attempts: self.attempts.saturating_add(1), ..self.clone() };
        after.history.push(attempt);
        let surplus = after.history.len().saturating_sub(Self::MAX_HISTORY);
        after.history.drain(..surplus);
        match outcome {
            AttemptOutcome::Delivered => after.ended(DeliveryState::Delivered, now),
            AttemptOutcome::Gone => after.ended(DeliveryState::Failed { reason: FailureReason::Gone }, now),
            _ => match schedule.delay_ms(after.attempts, random) {
                None => after.ended(DeliveryState::Failed { reason: FailureReason::AttemptsExhausted }, now),
                Some(delay_ms) => {
                    let requested_ms = i64::from(retry_after_s.unwrap_or(0).min(MAX_RETRY_AFTER_S)) * 1000;
                    after.next_attempt_at = Some(now.plus_ms(delay_ms.max(requested_ms)));
                    after
                }
            },
        }
    }

    /// Returns the delivery after it failed without an attempt.
    #[must_use]
    pub fn failed(&self, reason: FailureReason, now: Timestamp) -> Self {
        self.clone().ended(DeliveryState::Failed { reason }, now)
    }

    /// Returns the delivery after it was dropped.
    #[must_use]
    pub fn dropped(&self, reason: DropReason, now: Timestamp) -> Self {
        self.clone().ended(DeliveryState::Dropped { reason }, now)
    }

    fn ended(self, state: DeliveryState, now: Timestamp) -> Self {
        Self { state, next_attempt_at: None, finished_at: Some(now), ..self }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::dead_letter::RedriveId;
    use crate::ids::{DeliveryId, EndpointId};
    use crate::webhook::redrive::RedriveDecision;

    const NOON: Timestamp = Timestamp::from_ms(1_714_564_800_000);

    fn delivery() -> Delivery {
        let key = DeliveryKey {
            endpoint_id: EndpointId::from_random_bits(1),
            delivery_id: DeliveryId::from_time_and_salt(NOON, 1),
        };
        let payload = Payload::Notice { event_type: "t".to_owned(), cloud_event: "{}".to_owned() };
        Delivery::new(key, FleetId::from_random_bits(1), payload, NOON)
    }

    fn attempt(outcome: AttemptOutcome) -> PastAttempt {
        PastAttempt { at: NOON, outcome, status: None, latency_ms: 1 }
    }

    fn schedule(delays: &[u32]) -> RetrySchedule {
        delays.to_vec().try_into().unwrap()
    }

    #[test]
    fn outcome_determines_the_next_state() {
        let schedule = schedule(&[100]);
        for outcome in AttemptOutcome::ALL {
            let first = delivery().after_attempt(attempt(outcome), None, &schedule, NOON, 0);
            let (expected, finished) = match outcome {
                AttemptOutcome::Delivered => (DeliveryState::Delivered, true),
                AttemptOutcome::Gone => (DeliveryState::Failed { reason: FailureReason::Gone }, true),
                _ => (DeliveryState::Pending, false),
            };
            assert_eq!((first.state, first.attempts, first.finished_at.is_some()), (expected, 1, finished), "{outcome:?}");
            assert_eq!(first.next_attempt_at.is_none(), finished, "{outcome:?}");
            if !finished {
                let second = first.after_attempt(attempt(outcome), None, &schedule, NOON, 0);
                let exhausted = DeliveryState::Failed { reason: FailureReason::AttemptsExhausted };
                assert_eq!((second.state, second.history.len()), (exhausted, 2), "{outcome:?}");
            }
        }
    }

    #[test]
    fn retry_after_delays_but_never_hastens_the_next_attempt() {
        let schedule = schedule(&[100, 100]);
        let next = |retry_after_s| {
            let after =
                delivery().after_attempt(attempt(AttemptOutcome::ErrorStatus), retry_after_s, &schedule, NOON, u64::MAX / 2);
            after.next_attempt_at.unwrap().ms_since(NOON)
        };
        let without = next(None);
        assert!((99_000..=101_000).contains(&without), "the middle of the jitter is the delay: {without}");
        assert_eq!(next(Some(1)), without);
        assert_eq!(next(Some(500)), 500_000);
        assert_eq!(next(Some(u32::MAX)), i64::from(MAX_RETRY_AFTER_S) * 1000);
    }

    #[test]
    fn redrive_makes_a_failed_delivery_pending_once() {
        let (first, second): (RedriveId, RedriveId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let failed = delivery().failed(FailureReason::Expired, NOON.plus_ms(5));
        let later = NOON.plus_ms(9);
        let RedriveDecision::Redrive(again) = failed.redriven(&first, later) else { panic!("redriven") };
        assert_eq!((again.state, again.created_at, again.finished_at), (DeliveryState::Pending, later, None));
        assert_eq!(again.redriven(&first, later), RedriveDecision::Resend);
        assert_eq!(again.redriven(&second, later), RedriveDecision::Skip, "it is pending already");
        let failed_again = again.failed(FailureReason::Expired, later);
        assert_eq!(failed_again.redriven(&first, later), RedriveDecision::Skip, "one effect per redrive");
        assert!(matches!(failed_again.redriven(&second, later), RedriveDecision::Redrive(_)));
        assert_eq!(delivery().dropped(DropReason::NotEntitled, NOON).redriven(&first, NOON), RedriveDecision::Skip);
    }

    proptest! {
        #[test]
        fn failing_delivery_ends_with_its_schedule_before_it_expires(
            delays in prop::collection::vec(1_u32..=20_000, 1..=30),
            random: u64,
        ) {
            let schedule = schedule(&delays);
            let (mut delivery, mut attempts) = (delivery(), 0);
            while !delivery.state.is_terminal() {
                let now = delivery.next_attempt_at.unwrap();
                prop_assert!(delivery.is_due(now) && !delivery.is_due(now.plus_ms(-1)));
                prop_assert!(now < delivery.expires_at(&schedule), "attempts alone never outlast the time");
                delivery = delivery.after_attempt(attempt(AttemptOutcome::TimedOut), None, &schedule, now, random);
                attempts += 1;
            }
            prop_assert_eq!(attempts, delays.len() + 1);
            prop_assert_eq!(delivery.history.len(), attempts);
            prop_assert_eq!(delivery.state, DeliveryState::Failed { reason: FailureReason::AttemptsExhausted });
        }
    }
}
