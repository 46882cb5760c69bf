//! What is stored after an attempt, and when a delivery ends.

use roadcast_codec::failed_delivery;
use roadcast_domain::Timestamp;
use roadcast_domain::trace::TraceContext;
use roadcast_domain::webhook::{Attempt, AttemptOutcome, Delivery, DeliveryState, Endpoint, PastAttempt};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::{Attempts as _, Deliveries as _, FailedDeliveries as _, WebhookResponse};
use roadcast_ports::{PortError, PortErrorKind};

use super::report::{MadeAttempt, TaskReport};
use super::{Dispatcher, Step};

/// How often the result of a successful attempt is stored again after a concurrent change.
const STORE_ATTEMPTS: usize = 4;

impl<Ports: PortSet> Dispatcher<Ports> {
    /// Records the attempt, and stores the delivery after it. Of concurrent attempts the first result counts, unless it is a
    /// failure with a further attempt and this one succeeded. Returns the delivery as it is stored.
    pub(super) async fn store_outcome(
        &self,
        delivery: &Delivery,
        endpoint: &Endpoint,
        (trace, started): (TraceContext, Timestamp),
        response: &WebhookResponse,
        report: &mut TaskReport,
    ) -> Result<Delivery, PortError> {
        let now = self.clock.now();
        let past =
            PastAttempt { at: started, outcome: response.outcome, status: response.status, latency_ms: response.latency_ms };
        let random = self.random();
        let after_of = |before: &Delivery| {
            before.after_attempt(past.clone(), response.retry_after_s, &endpoint.retry_schedule, now, random)
        };
        let mut before = delivery.clone();
        let attempt = Attempt {
            key: delivery.key.clone(),
            fleet_id: delivery.fleet_id.clone(),
            vid: delivery.payload.vid().cloned(),
            event_type: delivery.payload.event_type().to_owned(),
            number: delivery.attempts.saturating_add(1),
            at: started,
            outcome: response.outcome,
            status: response.status,
            latency_ms: response.latency_ms,
            excerpt: response.excerpt.clone(),
            next_attempt_at: after_of(delivery).next_attempt_at,
        };
        report.attempts.push(MadeAttempt { attempt: attempt.clone(), trace });
        self.attempts.record(&[attempt]).await?;
        for _ in 0..STORE_ATTEMPTS {
            let after = after_of(&before);
            match self.deliveries.replace(&after).await {
                Ok(()) => {
                    if after.state.is_terminal() {
                        report.ended.push(after.state);
                    }
                    return Ok(after);
                }
                Err(error) if error.kind() == PortErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
            let Some(stored) = self.deliveries.get(&delivery.key).await? else { return Ok(after) };
            if stored.state.is_terminal() || response.outcome != AttemptOutcome::Delivered {
                return Ok(stored);
            }
            before = stored;
        }
        Err(PortError::new(PortErrorKind::Conflict, "storing the result of an attempt"))
    }

    /// Stores a delivery that ends without an attempt.
    pub(super) async fn end(&self, ended: Delivery) -> Result<Step, PortError> {
        match self.deliveries.replace(&ended).await {
            Ok(()) => {
                self.send_dead_letter(&ended).await?;
                Ok(Step::Done(ended.state))
            }
            Err(error) => Err(error),
        }
    }

    /// Repeats what follows the end of a delivery: the function may have been interrupted before it.
    pub(super) async fn repeat_end(&self, delivery: &Delivery) -> Result<(), PortError> {
        self.send_dead_letter(delivery).await
    }

    /// Sends the dead letter of a delivery that failed. Repetitions are one letter.
    pub(super) async fn send_dead_letter(&self, delivery: &Delivery) -> Result<(), PortError> {
        if !matches!(delivery.state, DeliveryState::Failed { .. }) {
            return Ok(());
        }
        let record = failed_delivery::encode(delivery)
            .map_err(|error| PortError::new(PortErrorKind::Internal, "encoding a failed delivery").caused_by(error))?;
        self.failed.send(&record).await
    }
}
