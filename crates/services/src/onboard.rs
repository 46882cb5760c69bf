//! Onboarding: fleets, their clients, and their subscriptions.

use std::collections::BTreeSet;

use roadcast_domain::Timestamp;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::fleet::{Client, ClientRole, Fleet};
use roadcast_domain::ids::{ClientId, Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::limits;
use roadcast_domain::package::PackageName;
use roadcast_domain::plan::Plan;
use roadcast_domain::subscription::{DeliveryFormat, Subscription, SubscriptionState, Validity};
use roadcast_ports::clients::{AppClients, Clients, Credentials};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::provisioning::{ProvisioningWorkflow, WorkflowRun};
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::vehicles::Vehicles;
use roadcast_ports::{PortError, PortErrorKind};

use crate::{ServiceError, Wrong};

/// Takes in fleets and what they subscribe to.
pub struct Onboard<F, C, A, U, V, E, W, K, R> {
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

/// What a subscription is asked to do.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// To stop for now.
    Suspend,
    /// To go on.
    Resume,
    /// To end for good.
    Revoke,
}

/// What a fleet is asked to be given.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscriptionRequest {
    /// The vehicles.
    pub vehicles: Vec<VehicleId>,
    /// The packages.
    pub packages: Vec<PackageName>,
    /// In which form telemetry comes; JSON where it is not said.
    #[serde(default)]
    pub delivery_format: DeliveryFormat,
    /// From when. Where it is not said: from now on, and where the subscription is there already, as it is.
    #[serde(default, deserialize_with = "roadcast_domain::present")]
    pub valid_from: Option<Timestamp>,
    /// Until when; for good where it is not said.
    #[serde(default, deserialize_with = "roadcast_domain::present")]
    pub valid_until: Option<Timestamp>,
}

impl<F, C, A, U, V, E, W, K, R> Onboard<F, C, A, U, V, E, W, K, R>
where
    F: Fleets,
    C: Clients,
    A: AppClients,
    U: Subscriptions,
    V: Vehicles,
    E: Entitlements,
    W: ProvisioningWorkflow,
    K: Clock,
    R: Randomness,
{
    /// Takes in a fleet.
    pub async fn create_fleet(&self, caller: &Caller, name: &str, plan: Plan) -> Result<Fleet, ServiceError> {
        let author = admin(caller)?;
        let fleet = Fleet {
            fleet_id: FleetId::from_random(self.randomness.bits()),
            name: checked_name(name)?,
            delivery_bus: self.delivery_bus.clone(),
            plan,
            created_at: self.clock.now(),
        };
        self.fleets.create(&fleet, Some(&Change::of_fleet(author, &fleet))).await?;
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

    /// Makes a machine client. Its secret is in the answer and nowhere else.
    pub async fn create_client(
        &self,
        caller: &Caller,
        name: &str,
        role: ClientRole,
    ) -> Result<(Client, Credentials), ServiceError> {
        let author = admin(caller)?;
        let name = checked_name(name)?;
        let scope = match &role {
            ClientRole::Fleet { fleet_id } => {
                let known = self.fleets.get(fleet_id).await?;
                known.ok_or_else(|| ServiceError::invalid("/fleetId", "no such fleet"))?;
                Scope::Read
            }
            ClientRole::Ingest { sources } => {
                check_sources(sources)?;
                Scope::Ingest
            }
        };
        let credentials = self.app_clients.create(&name, scope).await?;
        let client = Client { client_id: credentials.client_id.clone(), name, role, created_at: self.clock.now() };
        self.clients.put(&client, Change::of_client(author, &client).as_ref()).await?;
        Ok((client, credentials))
    }

    /// Takes in a subscription and starts provisioning it.
    pub async fn subscribe(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        request: SubscriptionRequest,
    ) -> Result<Subscription, ServiceError> {
        let author = admin(caller)?;
        self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        let now = self.clock.now();
        let validity = Validity { valid_from: request.valid_from.unwrap_or(now), valid_until: request.valid_until };
        self.check(&request, validity).await?;
        let subscription = Subscription {
            subscription_id: SubscriptionId::from_random(self.randomness.bits()),
            fleet_id: fleet_id.clone(),
            vehicles: request.vehicles,
            packages: request.packages,
            delivery_format: request.delivery_format,
            validity,
            state: SubscriptionState::Pending,
            attempts: 1,
            reason: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let change = Change::of_subscription(author, None, &subscription);
        self.subscriptions.create(&subscription, Some(&change)).await?;
        self.workflow.start(&provisioning_of(&subscription)).await?;
        Ok(subscription)
    }

    /// Starts provisioning a subscription that has not become active, once more: it failed, or nobody went on with it. Every
    /// step may be repeated, so whatever was made is found made.
    pub async fn provision_again(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
    ) -> Result<Subscription, ServiceError> {
        let author = admin(caller)?;
        let known = self.subscriptions.get(fleet_id, subscription_id).await?.ok_or(ServiceError::NotFound)?;
        if !matches!(known.state, SubscriptionState::Pending | SubscriptionState::Provisioning) {
            return Err(ServiceError::Conflict("only a subscription that has not become active yet is provisioned"));
        }
        let (attempts, updated_at) = (known.attempts + 1, self.clock.now());
        let mut again = Subscription { attempts, reason: None, updated_at, ..known.clone() };
        let change = Change::of_subscription(author, Some(&known), &again);
        let updated = self.subscriptions.update(&again, Some(&change)).await;
        updated.map_err(|error| ServiceError::or_conflict(error, "the subscription changed meanwhile"))?;
        again.version += 1;
        self.workflow.start(&provisioning_of(&again)).await?;
        Ok(again)
    }

    /// Changes what a subscription is for, if it is still at `version`. What it no longer covers is gone when this answers, but
    /// for the moment that others remember what they read.
    pub async fn resubscribe(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
        request: SubscriptionRequest,
        version: u64,
    ) -> Result<Subscription, ServiceError> {
        let author = admin(caller)?;
        let kept = self.subscriptions.get(fleet_id, subscription_id).await?.ok_or(ServiceError::NotFound)?;
        if kept.state == SubscriptionState::Revoked {
            return Err(ServiceError::Conflict("a revoked subscription does not change; subscribe anew"));
        }
        if kept.version != version {
            return Err(ServiceError::Stale);
        }
        let valid_from = request.valid_from.unwrap_or(kept.validity.valid_from);
        let validity = Validity { valid_from, valid_until: request.valid_until };
        self.check(&request, validity).await?;
        let SubscriptionRequest { vehicles, packages, delivery_format, .. } = request;
        let wanted = Subscription { vehicles, packages, delivery_format, validity, ..kept.clone() };
        self.change(author, kept, wanted).await.map_err(|error| match error.kind() {
            PortErrorKind::Conflict => ServiceError::Stale,
            _ => error.into(),
        })
    }

    /// Moves a subscription from one state to another. Where it is there already, that is no error.
    pub async fn move_subscription(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
        step: Move,
    ) -> Result<Subscription, ServiceError> {
        let author = admin(caller)?;
        let mut tries = MOVE_TRIES;
        loop {
            let kept = self.subscriptions.get(fleet_id, subscription_id).await?.ok_or(ServiceError::NotFound)?;
            let state = step.from(kept.state).map_err(ServiceError::Conflict)?;
            let wanted = Subscription { state, ..kept.clone() };
            tries -= 1;
            match self.change(author.clone(), kept, wanted).await {
                // Somebody else was at it, such as the workflow that provisions it.
                Err(error) if error.kind() == PortErrorKind::Conflict && tries > 0 => {}
                moved => {
                    return moved.map_err(|error| ServiceError::or_conflict(error, "the subscription changes right now"));
                }
            }
        }
    }

    /// Makes of the subscription that is kept the one that is wanted. First a version is claimed, so that who read the one
    /// before writes nothing any more; then what is no longer covered is taken away; then the record says so; then what is
    /// covered anew is added. So wherever it stops, less is readable than the record says, never more. Doing it again ends it.
    async fn change(&self, by: Author, mut kept: Subscription, wanted: Subscription) -> Result<Subscription, PortError> {
        let left = kept.grant().zip(wanted.grant()).and_then(|(before, after)| before.within(&after));
        let stay: BTreeSet<&VehicleId> = left.iter().flat_map(|_| &wanted.vehicles).collect();
        let (stay, gone): (Vec<VehicleId>, Vec<VehicleId>) =
            kept.vehicles.iter().cloned().partition(|vid| stay.contains(vid));
        let narrower = kept.grant().zip(left.as_ref()).is_some_and(|(before, left)| before.exceeds(left));
        let differs = kept != wanted;

        if differs && kept.state != SubscriptionState::Revoked && (narrower || !gone.is_empty()) {
            // What is changed is told once it is, with the record.
            self.subscriptions.update(&kept, None).await?;
            kept.version += 1;
            if !gone.is_empty() {
                self.subscriptions.narrow_grants(&kept, &gone, None).await?;
            }
            if narrower {
                self.subscriptions.narrow_grants(&kept, &stay, left.as_ref()).await?;
            }
        }
        let mut wanted = Subscription { version: kept.version, ..wanted };
        if differs {
            wanted.updated_at = self.clock.now();
            let change = Change::of_subscription(by, Some(&kept), &wanted);
            self.subscriptions.update(&wanted, Some(&change)).await?;
            wanted.version += 1;
        }
        if wanted.grant().is_some() {
            self.subscriptions.write_grants(&wanted).await?;
        }
        Ok(wanted)
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

    /// The credentials of a client that the caller made before.
    pub async fn credentials(&self, caller: &Caller, client_id: &ClientId) -> Result<Credentials, ServiceError> {
        admin(caller)?;
        self.app_clients.credentials(client_id).await?.ok_or(ServiceError::NotFound)
    }

    /// A page of a fleet's subscriptions, by id, after one.
    pub async fn subscriptions(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        after: Option<&SubscriptionId>,
        limit: usize,
    ) -> Result<Vec<Subscription>, ServiceError> {
        may_see(caller, fleet_id)?;
        self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        Ok(self.subscriptions.list(fleet_id, after, limit).await?)
    }

    /// The subscription of that id.
    pub async fn subscription(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        subscription_id: &SubscriptionId,
    ) -> Result<Subscription, ServiceError> {
        may_see(caller, fleet_id)?;
        self.subscriptions.get(fleet_id, subscription_id).await?.ok_or(ServiceError::NotFound)
    }

    async fn check(&self, request: &SubscriptionRequest, validity: Validity) -> Result<(), ServiceError> {
        let mut wrong = Vec::new();
        if request.vehicles.is_empty() || request.vehicles.len() > limits::VEHICLES_PER_SUBSCRIPTION {
            let detail = format!("1 to {} vehicles", limits::VEHICLES_PER_SUBSCRIPTION);
            wrong.push(Wrong::new("/vehicles", detail));
        }
        if request.packages.is_empty() {
            wrong.push(Wrong::new("/packages", "at least one package"));
        }
        let packages = self.entitlements.packages().await?;
        for (place, name) in request.packages.iter().enumerate() {
            if packages.get(name).is_none() {
                wrong.push(Wrong::new(format!("/packages/{place}"), "no such package"));
            }
        }
        if validity.valid_until.is_some_and(|until| until <= validity.valid_from) {
            wrong.push(Wrong::new("/validUntil", "must be later than validFrom"));
        }
        if wrong.is_empty() {
            for (place, vid) in request.vehicles.iter().enumerate() {
                if self.vehicles.get(vid).await?.is_none() {
                    wrong.push(Wrong::new(format!("/vehicles/{place}"), "no such vehicle"));
                }
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(ServiceError::Invalid(wrong)) }
    }
}

/// The run that provisions a subscription.
fn provisioning_of(subscription: &Subscription) -> WorkflowRun {
    WorkflowRun::Provision {
        fleet_id: subscription.fleet_id.clone(),
        subscription_id: subscription.subscription_id.clone(),
        attempt: subscription.attempts,
    }
}

impl Move {
    /// The state that a subscription gets to from that one, or why it cannot.
    fn from(self, state: SubscriptionState) -> Result<SubscriptionState, &'static str> {
        use SubscriptionState::{Active, Pending, Provisioning, Revoked, Suspended};
        match (self, state) {
            (Self::Revoke, _) => Ok(Revoked),
            (_, Revoked) => Err("the subscription is revoked, and stays so; subscribe anew"),
            (_, Pending | Provisioning) => Err("the subscription is not active yet"),
            (Self::Suspend, Active | Suspended) => Ok(Suspended),
            (Self::Resume, Active | Suspended) => Ok(Active),
        }
    }
}

/// Tries of a move that meets another change.
const MOVE_TRIES: u32 = 4;

const NOT_INGEST: ServiceError = ServiceError::Forbidden("ingest clients send events; they do not read fleets");

/// Only admins onboard; what they change is theirs to answer for.
fn admin(caller: &Caller) -> Result<Author, ServiceError> {
    match caller {
        Caller::Admin(client_id) => Ok(Author::Admin { client_id: client_id.clone() }),
        Caller::Fleet(_) | Caller::Ingest(_) => Err(ServiceError::Forbidden("only admins onboard")),
    }
}

pub(crate) fn may_see(caller: &Caller, fleet_id: &FleetId) -> Result<(), ServiceError> {
    match caller {
        Caller::Admin(_) => Ok(()),
        Caller::Fleet(own) if own == fleet_id => Ok(()),
        Caller::Fleet(_) => Err(ServiceError::NotFound),
        Caller::Ingest(_) => Err(NOT_INGEST),
    }
}

fn checked_name(name: &str) -> Result<String, ServiceError> {
    let name = name.trim();
    let plain = !name.is_empty() && name.chars().count() <= 128 && !name.chars().any(char::is_control);
    let wrong = || ServiceError::invalid("/name", "1 to 128 characters without control characters");
    plain.then(|| name.to_owned()).ok_or_else(wrong)
}

fn check_sources(sources: &[String]) -> Result<(), ServiceError> {
    if sources.is_empty() || sources.len() > 32 {
        return Err(ServiceError::invalid("/sources", "1 to 32 sources"));
    }
    let too_long = |source: &String| source.is_empty() || source.len() > limits::ATTRIBUTE_BYTES;
    match sources.iter().position(too_long) {
        Some(place) => Err(ServiceError::invalid(format!("/sources/{place}"), "1 to 512 bytes")),
        None => Ok(()),
    }
}
