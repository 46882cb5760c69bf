//! An event that is an item of its own: its CloudEvent and its origin in JSON.

use roadcast_domain::Timestamp;
use roadcast_domain::event::{Event, InvalidStoredEvent, StoredEvent};
use roadcast_domain::ids::{Eid, VehicleId};

use crate::json_text::{JsonText, JsonTextError};

/// Bytes of an item without the texts: the attribute names (`vid`, `eid`, `fmt`, `event`, `origin`, `received`), the vehicle
/// id, the key, the format number and the received time.
const ITEM_OVERHEAD_BYTES: usize = 3 + 20 + 3 + Eid::TEXT_LEN + 3 + 2 + 5 + 6 + 8 + 8;

/// An event as an item. It is decoded only when it is needed, because a text that is compressed can be long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedEvent {
    /// The vehicle.
    pub vid: VehicleId,
    /// The id: the sort key within the vehicle's log.
    pub eid: Eid,
    /// When Roadcast received it.
    pub received: Timestamp,
    /// The CloudEvent, as delivered.
    pub event: JsonText,
    /// The origin.
    pub origin: JsonText,
}

/// An event cannot be encoded or decoded. Readers return this error and do not skip the event: it is acknowledged data.
#[derive(Debug, thiserror::Error)]
pub enum EncodedEventError {
    /// The text of the event or of its origin.
    #[error(transparent)]
    Text(#[from] JsonTextError),
    /// The event or its origin cannot be written as JSON, or the origin is not JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The text is not an event.
    #[error(transparent)]
    Event(#[from] InvalidStoredEvent),
    /// The event has another id than its item.
    #[error("the event in the item does not match the key")]
    KeyMismatch,
}

impl EncodedEvent {
    /// Encodes an event.
    pub fn new(stored: &StoredEvent) -> Result<Self, EncodedEventError> {
        let event = &stored.event;
        Ok(Self {
            vid: event.vid.clone(),
            eid: event.eid,
            received: event.received,
            event: JsonText::new(serde_json::to_string(&event.to_cloud_event())?)?,
            origin: JsonText::new(serde_json::to_string(&stored.origin)?)?,
        })
    }

    /// Size of the item in bytes, as `DynamoDB` counts it.
    pub fn item_bytes(&self) -> usize {
        ITEM_OVERHEAD_BYTES + self.event.stored_bytes() + self.origin.stored_bytes()
    }

    /// Decodes the event.
    pub fn decode(&self) -> Result<StoredEvent, EncodedEventError> {
        let (event, _) = Event::from_cloud_event(&self.event.text()?)?;
        if event.eid != self.eid {
            return Err(EncodedEventError::KeyMismatch);
        }
        Ok(StoredEvent { event, origin: serde_json::from_str(&self.origin.text()?)? })
    }
}
