//! Authorization: which callers may administer or read a fleet.

use roadcast_domain::audit::Author;
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::FleetId;

use crate::ServiceError;

/// Ingest clients may not read fleets.
pub(super) const INGEST_CLIENT: ServiceError = ServiceError::Forbidden("ingest clients may send events, not read fleets");
/// The fleet accepts no new clients or subscriptions.
pub(super) const FLEET_OFFBOARDING: ServiceError =
    ServiceError::Conflict("the fleet is being offboarded or has been offboarded; use another fleet");

/// Returns the author of the caller's changes. Fails with `Forbidden` unless the caller is an admin.
pub(super) fn require_admin(caller: &Caller) -> Result<Author, ServiceError> {
    match caller {
        Caller::Admin(client_id) => Ok(Author::Admin { client_id: client_id.clone() }),
        Caller::Fleet(_) | Caller::Ingest(_) => Err(ServiceError::Forbidden("only admins may manage fleets")),
    }
}

/// Succeeds if the caller is an admin or a client of the fleet. Other fleets must not learn that the fleet exists.
pub(super) fn require_reader(caller: &Caller, fleet_id: &FleetId) -> Result<(), ServiceError> {
    match caller {
        Caller::Admin(_) => Ok(()),
        Caller::Fleet(own) if own == fleet_id => Ok(()),
        Caller::Fleet(_) => Err(ServiceError::NotFound),
        Caller::Ingest(_) => Err(INGEST_CLIENT),
    }
}
