//! Sends letters of webhooks again.

use roadcast_codec::failed_delivery;
use roadcast_domain::Timestamp;
use roadcast_domain::dead_letter::{DeadLetter, RedriveId};
use roadcast_domain::webhook::{Delivery, DeliveryState, FailureReason};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::{Deliveries as _, DeliveryPut, DeliveryTask, Endpoints as _};

use super::redelivery::Unsendable;
use super::send::LetterSender;
use crate::webhooks::{redrive_delivery, send_all};

impl<Ports: PortSet> LetterSender<Ports> {
    /// Makes a failed delivery pending, sends a task again, or publishes an entry again, which the feed then also delivers again.
    pub(super) async fn send_webhook(
        &self,
        letter: &DeadLetter,
        redrive_id: &RedriveId,
        now: Timestamp,
    ) -> Result<(), Unsendable> {
        let bytes = self.bytes(letter).await?;
        if let Ok(delivery) = failed_delivery::decode(&bytes) {
            return self.deliver_again(delivery, redrive_id, now).await;
        }
        match serde_json::from_slice::<DeliveryTask>(&bytes) {
            Ok(task) => Ok(send_all(&self.tasks, vec![task]).await?),
            Err(_) => self.publish(&bytes).await,
        }
    }

    async fn deliver_again(&self, failed: Delivery, redrive_id: &RedriveId, now: Timestamp) -> Result<(), Unsendable> {
        if matches!(failed.state, DeliveryState::Failed { reason: FailureReason::TooLarge }) {
            return Err(Unsendable::new("too-large", "the event exceeds the size of a webhook; the fleet can query it"));
        }
        let endpoint = self.endpoints.get(&failed.fleet_id, &failed.key.endpoint_id).await?;
        let endpoint =
            endpoint.ok_or_else(|| Unsendable::new("endpoint-deleted", "the endpoint does not exist any more"))?;
        // The delivery may have expired, its letter has not.
        let delivery = match self.deliveries.put(&failed).await? {
            DeliveryPut::Stored => Some(failed.clone()),
            DeliveryPut::Exists => self.deliveries.get(&failed.key).await?,
        };
        // A delivery that was made pending since is not the failure of this letter.
        let is_same = |delivery: &Delivery| {
            delivery.created_at == failed.created_at || delivery.redrive_id.as_ref() == Some(redrive_id)
        };
        let Some(delivery) = delivery.filter(is_same) else { return Ok(()) };
        redrive_delivery(&self.deliveries, &self.tasks, &endpoint, delivery, redrive_id, now).await?;
        Ok(())
    }
}
