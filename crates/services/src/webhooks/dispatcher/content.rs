//! What is sent in an attempt: the event as the endpoint may receive it now.

use roadcast_codec::bus_entry;
use roadcast_domain::webhook::{Delivery, DropReason, Endpoint, Payload};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use super::Dispatcher;
use crate::webhooks::visibility::{Visibility, decode, visibility};

/// What an attempt would send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// This body.
    Body {
        /// The CloudEvent.
        json: String,
    },
    /// Nothing yet: a suspended subscription holds the event back.
    Held,
    /// Nothing.
    Dropped(DropReason),
    /// The event exceeds [`Endpoint::MAX_BODY_BYTES`].
    TooLarge,
}

impl<Ports: PortSet> Dispatcher<Ports> {
    pub(super) async fn content(&self, delivery: &Delivery, endpoint: &Endpoint) -> Result<Content, PortError> {
        let cloud_event = match &delivery.payload {
            Payload::Notice { cloud_event, .. } => return Ok(Content::Body { json: cloud_event.clone() }),
            Payload::Event { cloud_event, .. } if cloud_event.is_empty() => return Ok(Content::TooLarge),
            Payload::Event { event_type, .. } if !endpoint.wants(event_type) => {
                return Ok(Content::Dropped(DropReason::NotWanted));
            }
            Payload::Event { cloud_event, .. } => cloud_event,
        };
        let event = decode(cloud_event)?;
        match visibility(&self.entitlements, &self.clock, &delivery.fleet_id, endpoint, &event).await? {
            Visibility::Visible { event, epoch } => {
                let json = bus_entry::cloud_event(&event, epoch).map_err(|error| {
                    PortError::new(PortErrorKind::Internal, "encoding the event of a delivery").caused_by(error)
                })?;
                Ok(if json.len() > Endpoint::MAX_BODY_BYTES { Content::TooLarge } else { Content::Body { json } })
            }
            Visibility::Held => Ok(Content::Held),
            Visibility::NotWanted => Ok(Content::Dropped(DropReason::NotWanted)),
            Visibility::Hidden => Ok(Content::Dropped(DropReason::NotEntitled)),
        }
    }
}
