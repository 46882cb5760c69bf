use std::sync::{Arc, Mutex, PoisonError};

use roadcast_domain::ids::VehicleId;
use roadcast_domain::name_history::NameHistory;
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::vehicles::Vehicles;

use super::{NAME_TTL_MS, TTL_MS, TtlCache};

/// Caches registered vehicles by id and by subject: every upload checks which vehicles its sender may send events about.
///
/// What is cached is valid until the version of all vehicles changes, which is read every [`TTL_MS`]: a name that moves and a
/// vehicle that is retired take effect within that time.
pub struct CachedVehicles<Ports: PortSet> {
    vehicles: Ports::Vehicles,
    clock: Ports::Clock,
    version: TtlCache<(), u64>,
    at_version: Versioned<VehicleCache>,
}

/// The vehicles that were read under one version.
struct VehicleCache {
    by_id: TtlCache<VehicleId, Option<Vehicle>>,
    by_subject: TtlCache<Subject, Option<VehicleId>>,
}

/// Reads vehicles as they are registered under the current version.
pub(crate) struct CurrentVehicles<'c, Ports: PortSet> {
    vehicles: &'c Ports::Vehicles,
    clock: &'c Ports::Clock,
    cache: Arc<VehicleCache>,
}

impl Default for VehicleCache {
    fn default() -> Self {
        Self { by_id: TtlCache::new(NAME_TTL_MS), by_subject: TtlCache::new(NAME_TTL_MS) }
    }
}

impl<Ports: PortSet> CachedVehicles<Ports> {
    /// An empty cache over `vehicles`.
    pub fn new(vehicles: Ports::Vehicles, clock: Ports::Clock) -> Self {
        Self { vehicles, clock, version: TtlCache::new(TTL_MS), at_version: Versioned::default() }
    }

    /// Reads the version if it is outdated.
    pub(crate) async fn current(&self) -> Result<CurrentVehicles<'_, Ports>, PortError> {
        let version = self.version.get_or_load(&(), self.clock.now(), || self.vehicles.version()).await?;
        Ok(CurrentVehicles { vehicles: &self.vehicles, clock: &self.clock, cache: self.at_version.cache(version) })
    }

    /// Returns the vehicle, or `None` if it is not registered.
    pub async fn get(&self, vid: &VehicleId) -> Result<Option<Vehicle>, PortError> {
        self.current().await?.get(vid).await
    }

    /// Returns the vehicle that `subject` names, or `None` if no such vehicle is registered.
    pub async fn resolve(&self, subject: &Subject) -> Result<Option<Vehicle>, PortError> {
        self.current().await?.resolve(subject).await
    }
}

impl<Ports: PortSet> CurrentVehicles<'_, Ports> {
    async fn get(&self, vid: &VehicleId) -> Result<Option<Vehicle>, PortError> {
        self.cache.by_id.get_or_load_existing(vid, self.clock.now(), || self.vehicles.get(vid)).await
    }

    /// As [`CachedVehicles::resolve`], under this version.
    pub(crate) async fn resolve(&self, subject: &Subject) -> Result<Option<Vehicle>, PortError> {
        let load = || self.vehicles.resolve(subject);
        let vid = match subject {
            Subject::Vid(vid) => Some(vid.clone()),
            _ => self.cache.by_subject.get_or_load_existing(subject, self.clock.now(), load).await?,
        };
        match vid {
            Some(vid) => self.get(&vid).await,
            None => Ok(None),
        }
    }
}

/// Caches the vehicles that have and had a subject.
///
/// The version of all vehicles is read before each batch of the stream. It is therefore newer than the receipt of every event
/// of the batch, and so is each history that is used for the batch.
pub struct CachedSubjects<Ports: PortSet> {
    vehicles: Ports::Vehicles,
    clock: Ports::Clock,
    at_version: Versioned<HistoryCache>,
}

/// The histories that were read under one version.
struct HistoryCache(TtlCache<Subject, Option<NameHistory>>);

/// The histories of the subjects of a batch.
pub(crate) struct BatchSubjects {
    /// The version of all vehicles.
    pub(crate) version: u64,
    histories: Arc<HistoryCache>,
}

impl Default for HistoryCache {
    fn default() -> Self {
        Self(TtlCache::new(NAME_TTL_MS))
    }
}

impl<Ports: PortSet> CachedSubjects<Ports> {
    /// An empty cache over `vehicles`.
    pub fn new(vehicles: Ports::Vehicles, clock: Ports::Clock) -> Self {
        Self { vehicles, clock, at_version: Versioned::default() }
    }

    /// Reads the version, after the last event of a batch was received.
    pub(crate) async fn start_batch(&self) -> Result<BatchSubjects, PortError> {
        let version = self.vehicles.version().await?;
        Ok(BatchSubjects { version, histories: self.at_version.cache(version) })
    }

    /// Returns which vehicles have and had `subject`; `None` if no vehicle had it.
    pub(crate) async fn history(&self, subject: &Subject, batch: &BatchSubjects) -> Result<Option<NameHistory>, PortError> {
        let HistoryCache(histories) = &*batch.histories;
        let history = histories.get_or_load(subject, self.clock.now(), || self.vehicles.history(subject)).await?;
        // A vehicle that takes a name which no vehicle has does not change the version.
        if history.as_ref().and_then(NameHistory::current).is_none() {
            histories.remove(subject);
        }
        Ok(history)
    }
}

/// The cache of the current version. A new version has an empty cache; a read that began under another version does not
/// fill it.
struct Versioned<Cache>(Mutex<(u64, Arc<Cache>)>);

impl<Cache: Default> Default for Versioned<Cache> {
    fn default() -> Self {
        Self(Mutex::new((0, Arc::default())))
    }
}

impl<Cache: Default> Versioned<Cache> {
    fn cache(&self, version: u64) -> Arc<Cache> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 != version {
            *current = (version, Arc::default());
        }
        Arc::clone(&current.1)
    }
}
