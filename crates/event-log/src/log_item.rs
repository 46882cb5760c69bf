//! The items of the log, and the table that holds them.

use std::future::Future;

use roadcast_domain::event::{Body, StoredEvent};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::event_log::{StoredBlock, StoredTelemetry};
use roadcast_ports::{PortError, PortErrorKind};

use crate::encoded_event::EncodedEvent;
use crate::segment::Segment;

/// An item of the log. Reading an item does not decode it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogItem {
    /// One event. Its key is its `eid`.
    Event(EncodedEvent),
    /// Several telemetry events.
    Segment(Segment),
}

impl LogItem {
    /// The vehicle: the partition key.
    pub fn vid(&self) -> &VehicleId {
        match self {
            Self::Event(event) => &event.vid,
            Self::Segment(segment) => &segment.vid,
        }
    }

    /// The sort key within the vehicle's log.
    pub fn key(&self) -> String {
        match self {
            Self::Event(event) => event.eid.to_string(),
            Self::Segment(segment) => segment.key.clone(),
        }
    }

    /// Size of the item in bytes, as `DynamoDB` counts it.
    pub fn item_bytes(&self) -> usize {
        match self {
            Self::Event(event) => event.item_bytes(),
            Self::Segment(segment) => segment.item_bytes(),
        }
    }

    /// Decodes the events, in `eid` order.
    pub fn events(&self) -> Result<Vec<StoredEvent>, PortError> {
        match self {
            Self::Event(event) => event
                .decode()
                .map(|stored| vec![stored])
                .map_err(|error| PortError::new(PortErrorKind::Internal, "decode an event").caused_by(error)),
            Self::Segment(segment) => segment
                .events()
                .map_err(|error| PortError::new(PortErrorKind::Internal, "decode a segment").caused_by(error)),
        }
    }

    /// Returns the ids of the events, in order, without decoding their samples.
    pub fn eids(&self) -> Result<Vec<Eid>, PortError> {
        match self {
            Self::Event(event) => Ok(vec![event.eid]),
            Self::Segment(segment) => segment
                .eids()
                .map_err(|error| PortError::new(PortErrorKind::Internal, "decode the ids of a segment").caused_by(error)),
        }
    }

    /// Returns the telemetry of the item, without decoding a block; `None` if it has none.
    pub(crate) fn into_telemetry(self) -> Result<Option<StoredTelemetry>, PortError> {
        match self {
            Self::Segment(segment) => {
                let decode_error =
                    |error| PortError::new(PortErrorKind::Internal, "decode the origins of a segment").caused_by(error);
                let hashes = segment.hashes().map_err(decode_error)?;
                Ok(Some(StoredTelemetry::Block(StoredBlock { bytes: segment.block, hashes })))
            }
            Self::Event(_) => {
                let event = self.events()?.pop().map(|stored| stored.event);
                let event = event.filter(|event| matches!(event.body, Body::Telemetry(_)));
                Ok(event.map(StoredTelemetry::Event))
            }
        }
    }

    /// Returns the id of the first event.
    pub(crate) fn first_eid(&self) -> Result<Eid, PortError> {
        match self {
            Self::Event(event) => Ok(event.eid),
            Self::Segment(segment) => segment
                .key
                .get(..Eid::TEXT_LEN)
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| PortError::new(PortErrorKind::Internal, "parse the key of a segment")),
        }
    }
}

/// A table of log items by vehicle and key.
pub trait EventItems: Send + Sync {
    /// Stores an item. Does nothing if an item with the same key exists.
    fn put_new(&self, item: &LogItem) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns a page of a vehicle's items, in key order.
    fn page(&self, range: &ItemRange<'_>) -> impl Future<Output = Result<ItemPage, PortError>> + Send;
}

/// A range of one vehicle's items.
#[derive(Clone, Debug)]
pub struct ItemRange<'a> {
    /// The vehicle.
    pub vid: &'a VehicleId,
    /// The first key, inclusive.
    pub from: &'a str,
    /// The last key, inclusive.
    pub to: &'a str,
    /// Maximum number of items in the page.
    pub limit: usize,
    /// Whether the read must be strongly consistent.
    pub consistent: bool,
}

/// A page of items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemPage {
    /// The items, in key order.
    pub items: Vec<LogItem>,
    /// Whether the range may contain further items.
    pub has_more: bool,
}
