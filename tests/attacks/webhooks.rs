//! A webhook delivery of a fleet, with an attempt.

use roadcast_domain::ids::{DeliveryId, EndpointId, FleetId, VehicleId};
use roadcast_domain::webhook::{Attempt, AttemptOutcome, Delivery, DeliveryKey, FailureReason, Payload};
use roadcast_ports::webhooks::{Attempts, Deliveries};
use roadcast_testbed::Memory;

/// The endpoint of a fleet, and a delivery to it.
pub(crate) struct WebhookIds {
    pub(crate) endpoint_id: String,
    pub(crate) secret: String,
    pub(crate) delivery_id: String,
}

/// The start of the response to the attempt.
pub(crate) const EXCERPT: &str = "the receiver is full";

/// Stores a failed delivery of the last event of the vehicle that was published to the fleet, with an attempt, and returns its id.
pub(crate) async fn store_delivery(memory: &Memory, fleet_id: &str, vid: &str, eid: &str, endpoint_id: &str) -> String {
    store_delivery_of(memory, (fleet_id, vid, eid, endpoint_id), "roadcast.telemetry.v1", EXCERPT).await
}

/// As [`store_delivery`], of an event of this type and with this start of the response.
pub(crate) async fn store_delivery_of(
    memory: &Memory,
    (fleet_id, vid, eid, endpoint_id): (&str, &str, &str, &str),
    event_type: &str,
    excerpt: &str,
) -> String {
    let fleet_id: FleetId = fleet_id.parse().unwrap();
    let (vid, endpoint_id): (VehicleId, EndpointId) = (vid.parse().unwrap(), endpoint_id.parse().unwrap());
    let mut published =
        memory.deliveries().into_iter().filter(|batch| batch.fleet_id == fleet_id).flat_map(|batch| batch.events);
    let cloud_event = published.rfind(|event| event.contains(vid.as_str())).expect("an event was published");
    let eid = eid.parse().unwrap();
    let key = DeliveryKey { delivery_id: DeliveryId::for_event(&endpoint_id, eid, &cloud_event), endpoint_id };
    let event_type = event_type.to_owned();
    let payload = Payload::Event { vid: vid.clone(), eid, event_type: event_type.clone(), cloud_event };
    let at = eid.time();
    let failed = Delivery::new(key.clone(), fleet_id.clone(), payload, at).failed(FailureReason::AttemptsExhausted, at);
    Deliveries::put(memory, &failed).await.unwrap();
    let attempt = Attempt {
        key,
        fleet_id,
        vid: Some(vid),
        event_type,
        number: 1,
        at,
        outcome: AttemptOutcome::ErrorStatus,
        status: Some(500),
        latency_ms: 1,
        excerpt: Some(excerpt.to_owned()),
        next_attempt_at: None,
    };
    Attempts::record(memory, &[attempt]).await.unwrap();
    failed.key.delivery_id.to_string()
}
