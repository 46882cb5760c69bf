//! Who may send events: about which vehicles, and from which sources.

use roadcast_domain::caller::Caller;
use roadcast_domain::fleet::{ClientRole, source_is_bound};
use roadcast_domain::ids::ClientId;
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::clients::Clients;
use roadcast_ports::clock::Clock;

use super::{Ingest, IngestError};

impl<V, C: Clients, S, H, K: Clock> Ingest<V, C, S, H, K> {
    pub(super) async fn sender(&self, caller: &Caller) -> Result<Sender, IngestError> {
        match caller {
            Caller::Admin(_) => Ok(Sender::Admin),
            Caller::Fleet(_) => Err(IngestError::NotASender),
            Caller::Ingest(client_id) => match self.clients.get(client_id).await?.map(|client| client.role) {
                Some(ClientRole::Ingest { sources }) => Ok(Sender::Client { client_id: client_id.clone(), sources }),
                _ => Err(IngestError::NotASender),
            },
        }
    }
}

/// Who sends, and what it is bound to.
pub(super) enum Sender {
    Admin,
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
            Self::Client { sources, .. } => source_is_bound(sources, source),
        }
    }
}
