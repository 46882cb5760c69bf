//! Events about endpoints: the test event, and the notice that an endpoint was disabled.

use roadcast_domain::Timestamp;
use roadcast_domain::cloudevent::SPEC_VERSION;
use roadcast_domain::event::SOURCE;
use roadcast_domain::ids::{DeliveryId, EndpointId};
use roadcast_domain::webhook::{DISABLED_TYPE, Delivery, DeliveryKey, DisabledReason, Endpoint, Payload, TEST_TYPE};
use roadcast_ports::webhooks::{Deliveries, DeliveryPut, DeliveryQueue};
use roadcast_ports::{PortError, PortErrorKind};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::tasks::{attempt_of, send_all};

/// An event about an endpoint, as a CloudEvent. Its subject is the endpoint.
#[derive(Serialize)]
struct NoticeEvent<'n, Data> {
    specversion: &'n str,
    id: String,
    source: &'n str,
    r#type: &'n str,
    subject: &'n EndpointId,
    time: Timestamp,
    datacontenttype: &'n str,
    data: Data,
}

/// The data of the notice that an endpoint was disabled.
#[derive(Serialize)]
struct Disabled {
    reason: DisabledReason,
    at: Timestamp,
}

/// The data of a test event.
#[derive(Serialize)]
struct Empty {}

/// Returns the delivery of a test event.
pub(super) fn test_event(endpoint: &Endpoint, random: u128, now: Timestamp) -> Result<Delivery, PortError> {
    let delivery_id = DeliveryId::from_time_and_salt(now, random);
    notice(endpoint, delivery_id, TEST_TYPE, &endpoint.endpoint_id, now, Empty {})
}

/// Returns the delivery of the notice that the endpoint `disabled` was disabled, if `endpoint` names its type. The same notice
/// always gets the same id.
pub(super) fn disabled_notice(
    endpoint: &Endpoint,
    disabled: &EndpointId,
    reason: DisabledReason,
    at: Timestamp,
) -> Result<Option<Delivery>, PortError> {
    if !endpoint.event_types.contains(DISABLED_TYPE) {
        return Ok(None);
    }
    let digest = Sha256::digest(format!("{}#{}", endpoint.endpoint_id, disabled));
    let mut salt = [0_u8; 16];
    salt.copy_from_slice(&digest[..16]);
    let delivery_id = DeliveryId::from_time_and_salt(at, u128::from_be_bytes(salt));
    notice(endpoint, delivery_id, DISABLED_TYPE, disabled, at, Disabled { reason, at }).map(Some)
}

fn notice(
    endpoint: &Endpoint,
    delivery_id: DeliveryId,
    event_type: &str,
    subject: &EndpointId,
    at: Timestamp,
    data: impl Serialize,
) -> Result<Delivery, PortError> {
    let cloud_event = serde_json::to_string(&NoticeEvent {
        specversion: SPEC_VERSION,
        id: delivery_id.to_string(),
        source: SOURCE,
        r#type: event_type,
        subject,
        time: at,
        datacontenttype: "application/json",
        data,
    });
    let cloud_event =
        cloud_event.map_err(|error| PortError::new(PortErrorKind::Internal, "encoding a notice").caused_by(error))?;
    let key = DeliveryKey { endpoint_id: endpoint.endpoint_id.clone(), delivery_id };
    let payload = Payload::Notice { event_type: event_type.to_owned(), cloud_event };
    Ok(Delivery::new(key, endpoint.fleet_id.clone(), payload, at))
}

/// Stores the delivery of a notice, and sends its task unless it is done.
pub(super) async fn send_notice(
    deliveries: &impl Deliveries,
    queue: &impl DeliveryQueue,
    endpoint: &Endpoint,
    notice: &Delivery,
) -> Result<(), PortError> {
    if deliveries.put(notice).await? == DeliveryPut::Exists {
        let stored = deliveries.get(&notice.key).await?;
        if stored.is_none_or(|stored| stored.state.is_terminal()) {
            return Ok(());
        }
    }
    send_all(queue, vec![attempt_of(notice, endpoint)]).await
}
