//! Reference data, remembered.
//!
//! A change in who may see what takes effect within [`TTL_MS`] wherever it is read through here: entitlements are remembered
//! until their version is another, and the version is asked for that often. So a warm function reads one item every few
//! seconds, however many vehicles it meets.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use roadcast_domain::Timestamp;
use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::fleet::{Client, Fleet};
use roadcast_domain::ids::{ClientId, FleetId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_domain::plan::Plan;
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::PortError;
use roadcast_ports::clients::Clients;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::vehicles::Vehicles;

/// How long an answer is remembered, in milliseconds.
pub const TTL_MS: i64 = 5_000;
/// How long it is remembered whom a subject names, in milliseconds. A `vid` is for good; a name that moves on to another
/// vehicle is noticed after this long.
pub const NAME_TTL_MS: i64 = 10 * 60 * 1000;
/// How many answers of one kind are remembered: a warm function must not grow without end.
const CAPACITY: usize = 50_000;

/// Answers of one kind, each with the time it was read.
struct Memo<Q, A> {
    ttl_ms: i64,
    answers: Mutex<HashMap<Q, (Timestamp, A)>>,
}

impl<Q: Eq + Hash + Clone, A: Clone> Memo<Q, A> {
    fn new(ttl_ms: i64) -> Self {
        Self { ttl_ms, answers: Mutex::new(HashMap::new()) }
    }

    /// As [`get_or_ask`](Self::get_or_ask), but remembers only what `keep` says: who was not known a moment ago may be by now.
    async fn get_or_ask_if<F>(
        &self,
        question: &Q,
        now: Timestamp,
        ask: impl FnOnce() -> F,
        keep: impl Fn(&A) -> bool,
    ) -> Result<A, PortError>
    where
        F: Future<Output = Result<A, PortError>>,
    {
        let answer = self.get_or_ask(question, now, ask).await?;
        if !keep(&answer) {
            self.answers.lock().unwrap_or_else(PoisonError::into_inner).remove(question);
        }
        Ok(answer)
    }

    async fn get_or_ask<F>(&self, question: &Q, now: Timestamp, ask: impl FnOnce() -> F) -> Result<A, PortError>
    where
        F: Future<Output = Result<A, PortError>>,
    {
        if let Some((read, answer)) = self.answers.lock().unwrap_or_else(PoisonError::into_inner).get(question)
            && now.ms_since(*read) < self.ttl_ms
            && now >= *read
        {
            return Ok(answer.clone());
        }
        let answer = ask().await?;
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= CAPACITY {
            answers.clear();
        }
        answers.insert(question.clone(), (now, answer.clone()));
        Ok(answer)
    }
}

/// Entitlements, remembered until their version is another.
pub struct CachedEntitlements<E, K> {
    entitlements: E,
    clock: K,
    version: Memo<(), u64>,
    to_vehicle: Mutex<OfVersion>,
    packages: Memo<(), Packages>,
}

/// What was read under one version.
#[derive(Default)]
struct OfVersion {
    version: u64,
    to_vehicle: HashMap<VehicleId, Vec<Entitlement>>,
}

impl<E, K> CachedEntitlements<E, K> {
    /// Remembers what `entitlements` answers.
    pub fn new(entitlements: E, clock: K) -> Self {
        Self { entitlements, clock, version: Memo::new(TTL_MS), to_vehicle: Mutex::default(), packages: Memo::new(TTL_MS) }
    }
}

impl<E: Entitlements, K: Clock> Entitlements for CachedEntitlements<E, K> {
    async fn to_vehicle(&self, vid: &VehicleId) -> Result<Vec<Entitlement>, PortError> {
        let version = self.version().await?;
        {
            let mut known = self.to_vehicle.lock().unwrap_or_else(PoisonError::into_inner);
            if known.version != version {
                *known = OfVersion { version, to_vehicle: HashMap::new() };
            }
            if let Some(answer) = known.to_vehicle.get(vid) {
                return Ok(answer.clone());
            }
        }
        let answer = self.entitlements.to_vehicle(vid).await?;
        let mut known = self.to_vehicle.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under a version that is past by now, it may miss what changed since.
        if known.version == version {
            if known.to_vehicle.len() >= CAPACITY {
                known.to_vehicle.clear();
            }
            known.to_vehicle.insert(vid.clone(), answer.clone());
        }
        Ok(answer)
    }

    async fn version(&self) -> Result<u64, PortError> {
        self.version.get_or_ask(&(), self.clock.now(), || self.entitlements.version()).await
    }

    async fn of_fleet_to_vehicle(&self, fleet_id: &FleetId, vid: &VehicleId) -> Result<Option<Entitlement>, PortError> {
        let all = self.to_vehicle(vid).await?;
        Ok(all.into_iter().find(|entitlement| entitlement.fleet_id == *fleet_id))
    }

    async fn of_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> Result<Vec<Entitlement>, PortError> {
        self.entitlements.of_fleet(fleet_id, after, limit).await
    }

    async fn packages(&self) -> Result<Packages, PortError> {
        self.packages.get_or_ask(&(), self.clock.now(), || self.entitlements.packages()).await
    }
}

/// Fleets, remembered: which bus carries whose events.
pub struct CachedFleets<F, K> {
    fleets: F,
    clock: K,
    by_id: Memo<FleetId, Option<Fleet>>,
}

impl<F: Fleets, K: Clock> CachedFleets<F, K> {
    /// Remembers what `fleets` answers.
    pub fn new(fleets: F, clock: K) -> Self {
        Self { fleets, clock, by_id: Memo::new(TTL_MS) }
    }

    /// The fleet of that id.
    pub async fn get(&self, fleet_id: &FleetId) -> Result<Option<Fleet>, PortError> {
        self.by_id.get_or_ask(fleet_id, self.clock.now(), || self.fleets.get(fleet_id)).await
    }
}

/// Fleets' plans, remembered for longer: a new plan may take its time, and a poller should not pay for it.
pub struct CachedPlans<F, K> {
    fleets: F,
    clock: K,
    by_id: Memo<FleetId, Plan>,
}

impl<F: Fleets, K: Clock> CachedPlans<F, K> {
    /// Remembers what `fleets` answers.
    pub fn new(fleets: F, clock: K) -> Self {
        Self { fleets, clock, by_id: Memo::new(NAME_TTL_MS) }
    }

    /// The plan of that fleet.
    pub async fn of(&self, fleet_id: &FleetId) -> Result<Plan, PortError> {
        let ask = || async { Ok(self.fleets.get(fleet_id).await?.map(|fleet| fleet.plan).unwrap_or_default()) };
        self.by_id.get_or_ask(fleet_id, self.clock.now(), ask).await
    }
}

/// Clients, remembered: which sources they may use.
pub struct CachedClients<C, K> {
    clients: C,
    clock: K,
    by_id: Memo<ClientId, Option<Client>>,
}

impl<C: Clients, K: Clock> CachedClients<C, K> {
    /// Remembers what `clients` answers.
    pub fn new(clients: C, clock: K) -> Self {
        Self { clients, clock, by_id: Memo::new(TTL_MS) }
    }

    /// The client of that id.
    pub async fn get(&self, client_id: &ClientId) -> Result<Option<Client>, PortError> {
        let ask = || self.clients.get(client_id);
        self.by_id.get_or_ask_if(client_id, self.clock.now(), ask, Option::is_some).await
    }
}

/// Registered vehicles, remembered: whom a sender may speak about is asked with every upload.
pub struct CachedVehicles<V, K> {
    vehicles: V,
    clock: K,
    by_id: Memo<VehicleId, Option<Vehicle>>,
    by_subject: Memo<Subject, Option<VehicleId>>,
}

impl<V: Vehicles, K: Clock> CachedVehicles<V, K> {
    /// Remembers what `vehicles` answers.
    pub fn new(vehicles: V, clock: K) -> Self {
        Self { vehicles, clock, by_id: Memo::new(NAME_TTL_MS), by_subject: Memo::new(NAME_TTL_MS) }
    }

    /// The vehicle of that id.
    pub async fn get(&self, vid: &VehicleId) -> Result<Option<Vehicle>, PortError> {
        self.by_id.get_or_ask_if(vid, self.clock.now(), || self.vehicles.get(vid), Option::is_some).await
    }

    /// The vehicle that the subject names.
    pub async fn named(&self, subject: &Subject) -> Result<Option<Vehicle>, PortError> {
        let ask = || self.vehicles.resolve(subject);
        let vid = match subject {
            Subject::Vid(vid) => Some(vid.clone()),
            _ => self.by_subject.get_or_ask_if(subject, self.clock.now(), ask, Option::is_some).await?,
        };
        match vid {
            Some(vid) => self.get(&vid).await,
            None => Ok(None),
        }
    }
}

/// Who a subject names, remembered.
pub struct CachedSubjects<V, K> {
    vehicles: V,
    clock: K,
    by_subject: Memo<Subject, Option<VehicleId>>,
}

impl<V: Vehicles, K: Clock> CachedSubjects<V, K> {
    /// Remembers whom `vehicles` resolves.
    pub fn new(vehicles: V, clock: K) -> Self {
        Self { vehicles, clock, by_subject: Memo::new(NAME_TTL_MS) }
    }

    /// Who the subject names.
    pub async fn resolve(&self, subject: &Subject) -> Result<Option<VehicleId>, PortError> {
        let ask = || self.vehicles.resolve(subject);
        self.by_subject.get_or_ask_if(subject, self.clock.now(), ask, Option::is_some).await
    }
}
