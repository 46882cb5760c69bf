//! Onboarding: fleets, their clients, and their subscriptions.

use roadcast_domain::audit::{Author, Change};
use roadcast_domain::caller::Caller;
use roadcast_domain::fleet::{FeedDisposition, Fleet, FleetState};
use roadcast_domain::ids::{Eid, FleetId};
use roadcast_domain::plan::Plan;
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::fleets::Fleets;
use roadcast_ports::provisioning::{ProvisioningWorkflow, WorkflowRun};

use crate::ServiceError;

/// Takes in fleets and what they subscribe to.
pub struct Onboarding<F, C, A, U, V, E, W, K, R> {
    /// The fleets.
    pub fleets: F,
    /// What is known of clients.
    pub clients: C,
    /// Where credentials are made.
    pub app_clients: A,
    /// The subscriptions.
    pub subscriptions: U,
    /// The register.
    pub vehicles: V,
    /// The packages there are.
    pub entitlements: E,
    /// Makes what a subscription needs.
    pub workflow: W,
    /// The bus for new fleets.
    pub delivery_bus: String,
    /// The time.
    pub clock: K,
    /// Where ids come from.
    pub randomness: R,
}

impl<F: Fleets, C, A, U, V, E, W, K: Clock, R: Randomness> Onboarding<F, C, A, U, V, E, W, K, R> {
    /// Takes in a fleet.
    pub async fn create_fleet(&self, caller: &Caller, name: &str, plan: Plan) -> Result<Fleet, ServiceError> {
        let author = admin(caller)?;
        let (fleet_id, now) = (FleetId::from_random(self.randomness.bits()), self.clock.now());
        let fleet = Fleet::new(fleet_id, checked_name(name)?, self.delivery_bus.clone(), plan, now);
        self.fleets.create(&fleet, Some(&Change::of_fleet(author, None, &fleet, now))).await?;
        Ok(fleet)
    }

    /// A page of the fleets that the caller may see, all or its own, by id, after one.
    pub async fn fleets(&self, caller: &Caller, after: Option<&FleetId>, limit: usize) -> Result<Vec<Fleet>, ServiceError> {
        match caller {
            Caller::Admin(_) => Ok(self.fleets.list(after, limit).await?),
            Caller::Fleet(own) if after.is_some_and(|after| after >= own) => Ok(Vec::new()),
            Caller::Fleet(own) => Ok(self.fleets.get(own).await?.into_iter().collect()),
            Caller::Ingest(_) => Err(NOT_INGEST),
        }
    }

    /// The fleet of that id.
    pub async fn fleet(&self, caller: &Caller, fleet_id: &FleetId) -> Result<Fleet, ServiceError> {
        may_see(caller, fleet_id)?;
        self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)
    }

    /// A page of what was changed of a fleet, its clients and its subscriptions, newest first, before one.
    pub async fn changes(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        before: Option<Eid>,
        limit: usize,
    ) -> Result<Vec<Change>, ServiceError> {
        admin(caller)?;
        self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        Ok(self.fleets.changes(fleet_id, before, limit).await?)
    }

    /// Has a fleet offboarding: from now on it takes nothing new, and the workflow removes what it has. Asked again, it is started once
    /// more, for what did not get to its end; what becomes of the feed may be another then.
    pub async fn offboard(&self, caller: &Caller, fleet_id: &FleetId, feed: FeedDisposition) -> Result<Fleet, ServiceError>
    where
        W: ProvisioningWorkflow,
    {
        let author = admin(caller)?;
        let known = self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        let now = self.clock.now();
        let mut leaving = known.clone().begin_offboarding(feed, now);
        let change = Change::of_fleet(author, Some(&known), &leaving, now);
        let updated = self.fleets.update(&leaving, Some(&change)).await;
        updated.map_err(|error| ServiceError::or_conflict(error, "the fleet changed meanwhile"))?;
        leaving.version += 1;
        let attempt = leaving.offboarding.as_ref().map_or(1, |status| status.attempts);
        self.workflow.start(&WorkflowRun::Offboard { fleet_id: fleet_id.clone(), attempt }).await?;
        Ok(leaving)
    }

    /// The fleet, if it is a customer still.
    pub(super) async fn staying(&self, fleet_id: &FleetId) -> Result<Fleet, ServiceError> {
        let fleet = self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        if fleet.state == FleetState::Active { Ok(fleet) } else { Err(FLEET_IS_OFFBOARDING) }
    }
}

/// What a fleet that leaves is told where it asks for something new.
pub(super) const FLEET_IS_OFFBOARDING: ServiceError = ServiceError::Conflict("the fleet is leaving, or has left");

const NOT_INGEST: ServiceError = ServiceError::Forbidden("ingest clients send events; they do not read fleets");

/// Only admins onboard; what they change is theirs to answer for.
pub(super) fn admin(caller: &Caller) -> Result<Author, ServiceError> {
    match caller {
        Caller::Admin(client_id) => Ok(Author::Admin { client_id: client_id.clone() }),
        Caller::Fleet(_) | Caller::Ingest(_) => Err(ServiceError::Forbidden("only admins onboard")),
    }
}

pub(super) fn may_see(caller: &Caller, fleet_id: &FleetId) -> Result<(), ServiceError> {
    match caller {
        Caller::Admin(_) => Ok(()),
        Caller::Fleet(own) if own == fleet_id => Ok(()),
        Caller::Fleet(_) => Err(ServiceError::NotFound),
        Caller::Ingest(_) => Err(NOT_INGEST),
    }
}

pub(super) fn checked_name(name: &str) -> Result<String, ServiceError> {
    let name = name.trim();
    let plain = !name.is_empty() && name.chars().count() <= 128 && !name.chars().any(char::is_control);
    let wrong = || ServiceError::invalid("/name", "1 to 128 characters without control characters");
    plain.then(|| name.to_owned()).ok_or_else(wrong)
}
