//! Tasks of the dispatcher, and the queues that they are sent to.

use roadcast_domain::webhook::{Delivery, DeliveryOrder, Endpoint};
use roadcast_ports::PortError;
use roadcast_ports::webhooks::{DeliveryQueue, DeliveryTask, WaitingLine};

/// The queue from which a task was received.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// The queue of deliveries in any order.
    Standard,
    /// The queue of deliveries in the order of their vehicle.
    Ordered,
}

/// Returns the task that attempts a delivery, in the order that its endpoint requires now. A notice is about no vehicle, so it
/// has no order.
pub(super) fn attempt_of(delivery: &Delivery, endpoint: &Endpoint) -> DeliveryTask {
    let vid = match endpoint.order {
        DeliveryOrder::None => None,
        DeliveryOrder::Vehicle => delivery.payload.vid().cloned(),
    };
    DeliveryTask::Attempt { fleet_id: delivery.fleet_id.clone(), key: delivery.key.clone(), vid }
}

/// Returns the task that attempts a delivery of a line.
pub(super) fn attempt_in(line: &WaitingLine, delivery_id: roadcast_domain::ids::DeliveryId) -> DeliveryTask {
    let key = roadcast_domain::webhook::DeliveryKey { endpoint_id: line.endpoint_id.clone(), delivery_id };
    DeliveryTask::Attempt { fleet_id: line.fleet_id.clone(), key, vid: line.vid.clone() }
}

/// Sends tasks, each to the queue of its kind. Fails with the first error; the others may have been sent.
pub(crate) async fn send_all(queue: &impl DeliveryQueue, tasks: Vec<DeliveryTask>) -> Result<(), PortError> {
    let is_ordered = |task: &DeliveryTask| match task {
        DeliveryTask::Attempt { vid, .. } => vid.is_some(),
        DeliveryTask::Line { line } => line.vid.is_some(),
    };
    let (ordered, unordered): (Vec<_>, Vec<_>) = tasks.into_iter().partition(is_ordered);
    if !unordered.is_empty() {
        let unordered: Vec<_> = unordered.into_iter().map(|task| (task, 0)).collect();
        queue.send(&unordered).await.into_iter().collect::<Result<(), _>>()?;
    }
    if !ordered.is_empty() {
        queue.send_ordered(&ordered).await.into_iter().collect::<Result<(), _>>()?;
    }
    Ok(())
}

/// Sends one task to the unordered queue, after a delay.
pub(super) async fn send_later(queue: &impl DeliveryQueue, task: DeliveryTask, delay_s: u32) -> Result<(), PortError> {
    queue.send(&[(task, delay_s)]).await.into_iter().collect()
}
