//! Ids of webhook deliveries.

use sha2::{Digest, Sha256};

use super::ulid::ulid_type;
use super::{Eid, EndpointId};

ulid_type!(
    /// The id of a delivery to a webhook endpoint, which receivers get as `webhook-id`: a ULID of the time of the event and of a
    /// hash of the endpoint, the event and its content. The same content for the same endpoint always gets the same id, so a
    /// message that is processed twice makes one delivery.
    DeliveryId, "a delivery id (a ULID of 26 symbols)"
);

impl DeliveryId {
    /// Returns the id of the delivery of an event to an endpoint. `content` is the event as it was published to the fleet: two
    /// messages with different parts of one event make two deliveries.
    pub fn for_event(endpoint_id: &EndpointId, eid: Eid, content: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [endpoint_id.as_str().as_bytes(), eid.to_string().as_bytes(), content.as_bytes()] {
            // The length prefix prevents that two triples have the same concatenation.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self::from_time_and_salt(eid.time(), u128::from_be_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use roadcast_signals::Timestamp;

    use super::*;
    use crate::ids::VehicleId;

    #[test]
    fn same_content_gets_the_same_delivery_id() {
        let (first, second) = (EndpointId::from_random_bits(1), EndpointId::from_random_bits(2));
        let eid = Eid::for_event(&VehicleId::from_random_bits(1), "a", "b", Timestamp::from_ms(1_500_000_000_000));
        let id = DeliveryId::for_event(&first, eid, "content");
        assert_eq!(id, DeliveryId::for_event(&first, eid, "content"));
        assert_ne!(id, DeliveryId::for_event(&second, eid, "content"));
        assert_ne!(id, DeliveryId::for_event(&first, eid, "other content"));
        assert_eq!(id.time(), eid.time());
    }
}
