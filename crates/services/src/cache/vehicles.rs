use roadcast_domain::ids::VehicleId;
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::vehicles::Vehicles;

use super::{NAME_TTL_MS, TtlCache};

/// Caches registered vehicles by id and by subject: every upload checks which vehicles its sender may send events about.
pub struct CachedVehicles<Ports: PortSet> {
    vehicles: Ports::Vehicles,
    clock: Ports::Clock,
    by_id: TtlCache<VehicleId, Option<Vehicle>>,
    by_subject: TtlCache<Subject, Option<VehicleId>>,
}

impl<Ports: PortSet> CachedVehicles<Ports> {
    /// An empty cache over `vehicles`.
    pub fn new(vehicles: Ports::Vehicles, clock: Ports::Clock) -> Self {
        Self { vehicles, clock, by_id: TtlCache::new(NAME_TTL_MS), by_subject: TtlCache::new(NAME_TTL_MS) }
    }

    /// Returns the vehicle, or `None` if it is not registered.
    pub async fn get(&self, vid: &VehicleId) -> Result<Option<Vehicle>, PortError> {
        self.by_id.get_or_load_existing(vid, self.clock.now(), || self.vehicles.get(vid)).await
    }

    /// Returns the vehicle that `subject` names, or `None` if no such vehicle is registered.
    pub async fn resolve(&self, subject: &Subject) -> Result<Option<Vehicle>, PortError> {
        let load = || self.vehicles.resolve(subject);
        let vid = match subject {
            Subject::Vid(vid) => Some(vid.clone()),
            _ => self.by_subject.get_or_load_existing(subject, self.clock.now(), load).await?,
        };
        match vid {
            Some(vid) => self.get(&vid).await,
            None => Ok(None),
        }
    }
}

/// Caches the vehicle ids of subjects.
pub struct CachedSubjects<Ports: PortSet> {
    vehicles: Ports::Vehicles,
    clock: Ports::Clock,
    by_subject: TtlCache<Subject, Option<VehicleId>>,
}

impl<Ports: PortSet> CachedSubjects<Ports> {
    /// An empty cache over `vehicles`.
    pub fn new(vehicles: Ports::Vehicles, clock: Ports::Clock) -> Self {
        Self { vehicles, clock, by_subject: TtlCache::new(NAME_TTL_MS) }
    }

    /// Returns the id of the vehicle that `subject` names, or `None` if no such vehicle is registered.
    pub async fn resolve(&self, subject: &Subject) -> Result<Option<VehicleId>, PortError> {
        self.by_subject.get_or_load_existing(subject, self.clock.now(), || self.vehicles.resolve(subject)).await
    }
}
