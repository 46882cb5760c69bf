//! Proofs of one role each. Their fields are private, so that no other code creates them.

use roadcast_domain::audit::Author;
use roadcast_domain::caller::{Caller, CallerId, Scope};
use roadcast_domain::fleet::is_source_allowed;
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_domain::vehicle::Vehicle;

use super::Proof;
use crate::ServiceError;

/// The caller is an admin.
#[derive(Clone, Debug)]
pub struct Admin(ClientId);

/// The caller is a client of this fleet.
#[derive(Clone, Debug)]
pub struct FleetOwner(FleetId);

/// The caller is this ingest client.
#[derive(Clone, Debug)]
pub struct IngestClient {
    client_id: ClientId,
    sources: Vec<String>,
}

impl Admin {
    /// Returns whether this is the client of the admin.
    pub(crate) fn is_client(&self, client_id: &ClientId) -> bool {
        self.0 == *client_id
    }

    /// Returns the client of the admin.
    pub const fn client_id(&self) -> &ClientId {
        &self.0
    }

    /// Returns the author of the admin's changes in the audit trail.
    pub fn author(&self) -> Author {
        Author::Admin { client_id: self.0.clone() }
    }
}

impl Proof for Admin {
    const SCOPES: &'static [Scope] = &[Scope::Admin];

    fn prove(caller: &Caller) -> Result<Self, ServiceError> {
        match caller {
            Caller::Admin(client_id) => Ok(Self(client_id.clone())),
            Caller::Fleet(_) | Caller::Ingest { .. } => Err(ServiceError::Forbidden("only admins may do this")),
        }
    }

    fn caller_id(&self) -> CallerId {
        CallerId::Admin(self.0.clone())
    }
}

impl FleetOwner {
    /// Returns the fleet.
    pub fn fleet_id(&self) -> &FleetId {
        &self.0
    }

    /// Succeeds if `fleet_id` is the caller's fleet. Fails with `NotFound` otherwise: a fleet must not learn that another fleet
    /// exists.
    pub fn of_fleet(&self, fleet_id: &FleetId) -> Result<&Self, ServiceError> {
        if self.0 == *fleet_id { Ok(self) } else { Err(ServiceError::NotFound) }
    }
}

impl Proof for FleetOwner {
    const SCOPES: &'static [Scope] = &[Scope::Read];

    fn prove(caller: &Caller) -> Result<Self, ServiceError> {
        match caller {
            Caller::Fleet(fleet_id) => Ok(Self(fleet_id.clone())),
            Caller::Admin(_) | Caller::Ingest { .. } => {
                Err(ServiceError::Forbidden("only clients of a fleet may read its feed and its events"))
            }
        }
    }

    fn caller_id(&self) -> CallerId {
        CallerId::Fleet(self.0.clone())
    }
}

impl IngestClient {
    /// Returns the client.
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Returns whether the client registered the vehicle.
    pub fn owns(&self, vehicle: &Vehicle) -> bool {
        vehicle.owner.as_ref() == Some(&self.client_id)
    }

    /// Returns whether the client may send events from the source.
    pub fn may_use(&self, source: &str) -> bool {
        is_source_allowed(&self.sources, source)
    }
}

impl Proof for IngestClient {
    const SCOPES: &'static [Scope] = &[Scope::Ingest];

    fn prove(caller: &Caller) -> Result<Self, ServiceError> {
        match caller {
            Caller::Ingest { client_id, sources } => Ok(Self { client_id: client_id.clone(), sources: sources.clone() }),
            Caller::Admin(_) | Caller::Fleet(_) => Err(ServiceError::Forbidden("only ingest clients may do this")),
        }
    }

    fn caller_id(&self) -> CallerId {
        CallerId::Ingest(self.client_id.clone())
    }
}
