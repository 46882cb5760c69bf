//! Authorisation of senders: which vehicles and which sources a caller may send events about.

use roadcast_domain::caller::Caller;
use roadcast_domain::fleet::{ClientRole, is_source_allowed};
use roadcast_domain::ids::ClientId;
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::port_set::PortSet;

use super::{Ingest, IngestError};

impl<Ports: PortSet> Ingest<Ports> {
    /// Returns the sender that `caller` acts as. Fails with `SenderNotAllowed` unless it is an admin or an ingest client.
    pub(super) async fn sender(&self, caller: &Caller) -> Result<Sender, IngestError> {
        match caller {
            Caller::Admin(_) => Ok(Sender::Admin),
            Caller::Fleet(_) => Err(IngestError::SenderNotAllowed),
            Caller::Ingest(client_id) => match self.clients.get(client_id).await?.map(|client| client.role) {
                Some(ClientRole::Ingest { sources }) => Ok(Sender::Client { client_id: client_id.clone(), sources }),
                _ => Err(IngestError::SenderNotAllowed),
            },
        }
    }
}

/// An authorised sender.
pub(super) enum Sender {
    /// May send events about every vehicle, from every source.
    Admin,
    /// May send events about the vehicles that it registered, from its own sources.
    Client { client_id: ClientId, sources: Vec<String> },
}

impl Sender {
    pub(super) fn may_send_about(&self, vehicle: &Vehicle) -> bool {
        match self {
            Self::Admin => true,
            Self::Client { client_id, .. } => vehicle.owner.as_ref() == Some(client_id),
        }
    }

    pub(super) fn may_use(&self, source: &str) -> bool {
        match self {
            Self::Admin => true,
            Self::Client { sources, .. } => is_source_allowed(sources, source),
        }
    }
}
