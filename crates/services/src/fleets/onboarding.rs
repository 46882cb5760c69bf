//! Onboarding: creates, reads and offboards fleets. The clients and subscriptions of fleets have modules of their own.

use roadcast_domain::audit::Change;
use roadcast_domain::fleet::{FeedDisposition, Fleet, FleetState};
use roadcast_domain::ids::{ChangeId, ClientId, FleetId};
use roadcast_domain::plan::Plan;
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::fleets::{FleetCreation, Fleets};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::provisioning::{ProvisioningWorkflow, WorkflowRun};

use super::placement::DeliveryBuses;
use crate::ServiceError;
use crate::authz::{Admin, FleetReader, Reader};

/// The fleet accepts no new clients or subscriptions.
pub(super) const FLEET_OFFBOARDING: ServiceError =
    ServiceError::Conflict("the fleet is being offboarded or has been offboarded; use another fleet");

/// Manages fleets, their clients and their subscriptions.
pub struct Onboarding<Ports: PortSet> {
    /// The fleets.
    pub fleets: Ports::Fleets,
    /// The clients.
    pub clients: Ports::Clients,
    /// The user pool, which creates credentials.
    pub app_clients: Ports::AppClients,
    /// The subscriptions.
    pub subscriptions: Ports::Subscriptions,
    /// The registered vehicles.
    pub vehicles: Ports::Vehicles,
    /// The entitlements, which include the packages.
    pub entitlements: Ports::Entitlements,
    /// The provisioning and offboarding workflows.
    pub workflow: Ports::ProvisioningWorkflow,
    /// The delivery buses of new fleets.
    pub delivery_buses: DeliveryBuses,
    /// The admin client of the template, which needs no record.
    pub first_admin: Option<ClientId>,
    /// The clock.
    pub clock: Ports::Clock,
    /// The source of random ids.
    pub randomness: Ports::Randomness,
}

impl<Ports: PortSet> Onboarding<Ports> {
    /// Creates a fleet on a delivery bus with room. Fails with `Conflict` if no bus has room.
    pub async fn create_fleet(&self, admin: &Admin, name: &str, plan: Plan) -> Result<Fleet, ServiceError> {
        let (fleet_id, now) = (FleetId::from_random_bits(self.randomness.bits()), self.clock.now());
        let fleet = Fleet::new(fleet_id, validate_name(name)?, String::new(), plan, now);
        let counts = self.fleets.bus_counts().await?;
        // Another caller may take the last place of a bus after it was counted. Then the next bus is tried.
        for delivery_bus in self.delivery_buses.with_room(&counts) {
            let fleet = Fleet { delivery_bus, ..fleet.clone() };
            let change = Change::fleet_changed(admin.author(), None, &fleet, now);
            let created = self.fleets.create_within(&fleet, self.delivery_buses.fleets_per_bus(), &change).await?;
            if created == FleetCreation::Created {
                return Ok(fleet);
            }
        }
        Err(ServiceError::Conflict("no delivery bus has room for another fleet; raise the quota of rules per bus"))
    }

    /// Returns a page of the fleets that the caller may see, by id, after `after`: all fleets for an admin, its own for a
    /// fleet.
    pub async fn fleets(&self, reader: &Reader, after: Option<&FleetId>, limit: usize) -> Result<Vec<Fleet>, ServiceError> {
        match reader {
            Reader::Admin(_) => Ok(self.fleets.list(after, limit).await?),
            Reader::Fleet(owner) if after.is_some_and(|after| after >= owner.fleet_id()) => Ok(Vec::new()),
            Reader::Fleet(owner) => Ok(self.fleets.get(owner.fleet_id()).await?.into_iter().collect()),
        }
    }

    /// Returns the fleet.
    pub async fn fleet(&self, fleet: &FleetReader) -> Result<Fleet, ServiceError> {
        self.fleets.get(fleet.fleet_id()).await?.ok_or(ServiceError::NotFound)
    }

    /// Returns a page of the changes of a fleet, its clients and its subscriptions, newest first, before `before`.
    pub async fn changes(
        &self,
        _admin: &Admin,
        fleet_id: &FleetId,
        before: Option<ChangeId>,
        limit: usize,
    ) -> Result<Vec<Change>, ServiceError> {
        self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        Ok(self.fleets.changes(fleet_id, before, limit).await?)
    }

    /// Starts to offboard a fleet: from now on it accepts no new clients and subscriptions, and the workflow deletes its
    /// resources. If an earlier attempt failed, another call starts a new one; the feed disposition may differ.
    pub async fn offboard(&self, admin: &Admin, fleet_id: &FleetId, feed: FeedDisposition) -> Result<Fleet, ServiceError> {
        let before = self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        let now = self.clock.now();
        let mut offboarding = before.clone().begin_offboarding(feed, now);
        let change = Change::fleet_changed(admin.author(), Some(&before), &offboarding, now);
        let updated = self.fleets.update(&offboarding, &change).await;
        updated.map_err(|error| ServiceError::or_conflict(error, "the fleet is being modified concurrently; retry"))?;
        offboarding.version += 1;
        let attempt = offboarding.offboarding.as_ref().map_or(1, |status| status.attempts);
        self.workflow.start(&WorkflowRun::Offboard { fleet_id: fleet_id.clone(), attempt }).await?;
        Ok(offboarding)
    }

    /// Returns the fleet. Fails with `Conflict` if it is being offboarded or has been offboarded.
    pub(super) async fn active_fleet(&self, fleet_id: &FleetId) -> Result<Fleet, ServiceError> {
        let fleet = self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        if fleet.state == FleetState::Active { Ok(fleet) } else { Err(FLEET_OFFBOARDING) }
    }
}

/// Returns the trimmed name. Fails with `Invalid` unless it has 1 to 128 characters without control characters.
pub(super) fn validate_name(name: &str) -> Result<String, ServiceError> {
    let name = name.trim();
    let is_valid = !name.is_empty() && name.chars().count() <= 128 && !name.chars().any(char::is_control);
    let invalid = || ServiceError::invalid(["name"], "must have 1 to 128 characters and no control characters");
    is_valid.then(|| name.to_owned()).ok_or_else(invalid)
}
