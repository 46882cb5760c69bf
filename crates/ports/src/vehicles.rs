//! The register of vehicles.

use std::future::Future;

use roadcast_domain::ids::{ClientId, VehicleId};
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::Vehicle;

use crate::PortError;
use crate::batch_result::{BatchResult, per_item};

/// The register of vehicles and their unique attributes.
pub trait Vehicles: Send + Sync {
    /// Registers a vehicle, unless one with its VIN or one of its external ids is registered: then it answers that one.
    /// Where the attributes belong to several vehicles, it is a conflict.
    fn register(&self, vehicle: &Vehicle) -> impl Future<Output = Result<VehicleRegistration, PortError>> + Send;

    /// Registers each of these as if by itself, in any order, and answers in theirs; the adapter may write many together.
    /// What is a conflict or refused of one vehicle stands in its place. Any other error is of all of them: some may be
    /// registered then, and are known when they come again.
    fn register_all(&self, vehicles: &[Vehicle]) -> impl Future<Output = BatchResult<VehicleRegistration>> + Send {
        async move {
            let mut each = Vec::with_capacity(vehicles.len());
            for vehicle in vehicles {
                each.push(per_item(self.register(vehicle).await)?);
            }
            Ok(each)
        }
    }

    /// The vehicle of that id.
    fn get(&self, vid: &VehicleId) -> impl Future<Output = Result<Option<Vehicle>, PortError>> + Send;

    /// Replaces a vehicle whose version is still the one before `vehicle.version`; otherwise, and where one of its unique
    /// attributes belongs to another vehicle, it is a conflict.
    fn replace(&self, vehicle: &Vehicle) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Who a subject names. A `vid` is answered only if it is registered.
    fn resolve(&self, subject: &Subject) -> impl Future<Output = Result<Option<VehicleId>, PortError>> + Send;

    /// A page of all vehicles, or of those that a client registered, in a stable order.
    fn list(&self, page: &VehicleListing) -> impl Future<Output = Result<VehiclePage, PortError>> + Send;
}

/// Who is who in the register, for many names at once.
pub trait VehicleNames: Send + Sync {
    /// Whom each of these names, in their order. A `vid` is not looked up: it names itself.
    fn resolve_all(&self, names: &[Subject]) -> impl Future<Output = Result<Vec<Option<VehicleId>>, PortError>> + Send;
}

/// What registering did.
#[derive(Clone, Debug, PartialEq)]
pub enum VehicleRegistration {
    /// It is new, and kept as it was given.
    New,
    /// It was known; this is how it is kept.
    Existing(Box<Vehicle>),
}

/// Which vehicles to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VehicleListing {
    /// Only those that this client registered.
    pub owner: Option<ClientId>,
    /// After this one, in the order of the list.
    pub after: Option<VehicleId>,
    /// At most so many; at least 1.
    pub limit: usize,
}

/// A page of vehicles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VehiclePage {
    /// The vehicles.
    pub vehicles: Vec<Vehicle>,
    /// The last one's id, if there may be more.
    pub next: Option<VehicleId>,
}
