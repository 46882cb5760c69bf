//! Deletes the endpoints of a fleet that is offboarded.

use roadcast_domain::audit::{Author, Change};
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::FleetId;
use roadcast_domain::webhook::WebhookInterest;
use roadcast_ports::clock::Clock;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::webhooks::Endpoints;

use crate::ServiceError;

/// Deletes all endpoints of a fleet: what waits for them is dropped. Fails with `Conflict` if the fleet is modified concurrently.
pub(crate) async fn remove_all(
    endpoints: &impl Endpoints,
    fleets: &impl Fleets,
    clock: &impl Clock,
    author: &Author,
    fleet_id: &FleetId,
) -> Result<(), ServiceError> {
    for endpoint in endpoints.list(fleet_id).await? {
        // Read again: each deletion increases the version of the fleet.
        let fleet = fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        let fleet = Fleet { webhooks: Some(WebhookInterest::of([])), ..fleet };
        let change = Change::endpoint_removed(author.clone(), &endpoint, clock.now());
        let removed = endpoints.remove(&endpoint, &fleet, &change).await;
        removed.map_err(|error| ServiceError::or_conflict(error, "the fleet is being modified concurrently; retry"))?;
    }
    Ok(())
}
