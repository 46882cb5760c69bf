//! Proofs of one role of several. They are proofs because each of their variants contains one.

use roadcast_domain::alert::RuleOwner;
use roadcast_domain::audit::Author;
use roadcast_domain::caller::{Caller, CallerId, Scope};
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_domain::vehicle::Vehicle;

use super::Proof;
use super::roles::{Admin, FleetOwner, IngestClient};
use crate::ServiceError;

/// The caller may read data: an admin everything, a client of a fleet what the fleet is entitled to.
#[derive(Clone, Debug)]
pub enum Reader {
    /// An admin.
    Admin(Admin),
    /// A client of a fleet.
    Fleet(FleetOwner),
}

/// The caller may read this fleet: an admin, or a client of the fleet.
#[derive(Clone, Debug)]
pub struct FleetReader(FleetId);

/// The caller may manage webhook endpoints and alert rules: an admin those of every fleet, a client of a fleet those of its fleet.
#[derive(Clone, Debug)]
pub enum Manager {
    /// An admin.
    Admin(Admin),
    /// A client of a fleet.
    Fleet(FleetOwner),
}

/// The caller may manage the endpoints and the alert rules of this fleet.
#[derive(Clone, Debug)]
pub struct FleetManager {
    fleet_id: FleetId,
    by: Manager,
}

/// The caller may manage the alert rules and back-tests of this owner: a manager of the fleet those of the fleet, an admin those of
/// the operator.
#[derive(Clone, Debug)]
pub struct RuleManager {
    owner: RuleOwner,
    author: Author,
}

/// The caller may send events, and register and modify vehicles: an admin all of them, an ingest client its own.
#[derive(Clone, Debug)]
pub enum Sender {
    /// An admin.
    Admin(Admin),
    /// An ingest client.
    Ingest(IngestClient),
}

/// The caller has any role.
#[derive(Clone, Debug)]
pub enum AnyClient {
    /// An admin.
    Admin(Admin),
    /// A client of a fleet.
    Fleet(FleetOwner),
    /// An ingest client.
    Ingest(IngestClient),
}

impl Reader {
    /// Returns the proof that the caller may read the fleet. Fails with `NotFound` if the caller is a client of another fleet,
    /// which must not learn that the fleet exists.
    pub fn of_fleet(&self, fleet_id: &FleetId) -> Result<FleetReader, ServiceError> {
        match self {
            Self::Admin(_) => Ok(FleetReader(fleet_id.clone())),
            Self::Fleet(owner) => owner.of_fleet(fleet_id).map(|owner| FleetReader(owner.fleet_id().clone())),
        }
    }
}

impl Proof for Reader {
    const SCOPES: &'static [Scope] = &[Scope::Read, Scope::Admin];

    fn prove(caller: &Caller) -> Result<Self, ServiceError> {
        match caller {
            Caller::Admin(_) => Admin::prove(caller).map(Self::Admin),
            Caller::Fleet(_) => FleetOwner::prove(caller).map(Self::Fleet),
            Caller::Ingest { .. } => Err(ServiceError::Forbidden("ingest clients may send events, not read data of fleets")),
        }
    }

    fn caller_id(&self) -> CallerId {
        match self {
            Self::Admin(admin) => admin.caller_id(),
            Self::Fleet(owner) => owner.caller_id(),
        }
    }
}

impl FleetReader {
    /// Returns the fleet.
    pub fn fleet_id(&self) -> &FleetId {
        &self.0
    }
}

impl Manager {
    /// Returns the proof that the caller may manage what belongs to the fleet. Fails with `NotFound` if the caller is a client
    /// of another fleet, which must not learn that the fleet exists.
    pub fn of_fleet(self, fleet_id: &FleetId) -> Result<FleetManager, ServiceError> {
        if let Self::Fleet(owner) = &self {
            owner.of_fleet(fleet_id)?;
        }
        Ok(FleetManager { fleet_id: fleet_id.clone(), by: self })
    }
}

impl Proof for Manager {
    const SCOPES: &'static [Scope] = &[Scope::Read, Scope::Admin];

    fn prove(caller: &Caller) -> Result<Self, ServiceError> {
        match caller {
            Caller::Admin(_) => Admin::prove(caller).map(Self::Admin),
            Caller::Fleet(_) => FleetOwner::prove(caller).map(Self::Fleet),
            Caller::Ingest { .. } => {
                Err(ServiceError::Forbidden("ingest clients may send events, not manage endpoints and alert rules"))
            }
        }
    }

    fn caller_id(&self) -> CallerId {
        match self {
            Self::Admin(admin) => admin.caller_id(),
            Self::Fleet(owner) => owner.caller_id(),
        }
    }
}

impl FleetManager {
    /// Returns the fleet.
    pub const fn fleet_id(&self) -> &FleetId {
        &self.fleet_id
    }

    /// Returns the author of the caller's changes in the audit trail.
    pub fn author(&self) -> Author {
        match &self.by {
            Manager::Admin(admin) => admin.author(),
            Manager::Fleet(_) => Author::Fleet,
        }
    }

    /// Whether the caller is an admin, who may allow other ports than 443 and sees deliveries that the fleet may not see.
    pub const fn is_admin(&self) -> bool {
        matches!(self.by, Manager::Admin(_))
    }
}

impl RuleManager {
    /// Returns the owner.
    pub const fn owner(&self) -> &RuleOwner {
        &self.owner
    }

    /// Returns the author of the caller's changes in the audit trail.
    pub fn author(&self) -> Author {
        self.author.clone()
    }
}

impl From<FleetManager> for RuleManager {
    fn from(manager: FleetManager) -> Self {
        Self { author: manager.author(), owner: RuleOwner::Fleet(manager.fleet_id) }
    }
}

impl From<Admin> for RuleManager {
    fn from(admin: Admin) -> Self {
        Self { owner: RuleOwner::Operator, author: admin.author() }
    }
}

impl Sender {
    /// Returns the owner of the vehicles that the caller registers; `None` for an admin.
    pub fn owner(&self) -> Option<ClientId> {
        match self {
            Self::Admin(_) => None,
            Self::Ingest(client) => Some(client.client_id().clone()),
        }
    }

    /// Returns whether the caller may modify the vehicle and send events about it.
    pub fn owns(&self, vehicle: &Vehicle) -> bool {
        match self {
            Self::Admin(_) => true,
            Self::Ingest(client) => client.owns(vehicle),
        }
    }

    /// Returns whether the caller may send events from the source.
    pub fn may_use(&self, source: &str) -> bool {
        match self {
            Self::Admin(_) => true,
            Self::Ingest(client) => client.may_use(source),
        }
    }
}

impl Proof for Sender {
    const SCOPES: &'static [Scope] = &[Scope::Ingest, Scope::Admin];

    fn prove(caller: &Caller) -> Result<Self, ServiceError> {
        match caller {
            Caller::Admin(_) => Admin::prove(caller).map(Self::Admin),
            Caller::Ingest { .. } => IngestClient::prove(caller).map(Self::Ingest),
            Caller::Fleet(_) => {
                Err(ServiceError::Forbidden("only admins and ingest clients may send events and modify vehicles"))
            }
        }
    }

    fn caller_id(&self) -> CallerId {
        match self {
            Self::Admin(admin) => admin.caller_id(),
            Self::Ingest(client) => client.caller_id(),
        }
    }
}

impl Proof for AnyClient {
    const SCOPES: &'static [Scope] = &[Scope::Read, Scope::Ingest, Scope::Admin];

    fn prove(caller: &Caller) -> Result<Self, ServiceError> {
        match caller {
            Caller::Admin(_) => Admin::prove(caller).map(Self::Admin),
            Caller::Fleet(_) => FleetOwner::prove(caller).map(Self::Fleet),
            Caller::Ingest { .. } => IngestClient::prove(caller).map(Self::Ingest),
        }
    }

    fn caller_id(&self) -> CallerId {
        match self {
            Self::Admin(admin) => admin.caller_id(),
            Self::Fleet(owner) => owner.caller_id(),
            Self::Ingest(client) => client.caller_id(),
        }
    }
}
