//! The vehicle registry.

use std::future::Future;

use roadcast_domain::ids::{ClientId, VehicleId};
use roadcast_domain::name_history::NameHistory;
use roadcast_domain::subject::{Subject, VehicleName};
use roadcast_domain::vehicle::Vehicle;

use crate::PortError;
use crate::batch_result::{BatchResult, push_item_result};

/// Storage of vehicles and their unique attributes.
pub trait Vehicles: Send + Sync {
    /// Registers a vehicle. If a vehicle with its VIN or one of its external ids exists, returns that one without a
    /// change. Fails with `Conflict` if the unique attributes belong to several vehicles, or if a concurrent registration
    /// is first.
    fn register(&self, vehicle: &Vehicle) -> impl Future<Output = Result<VehicleRegistration, PortError>> + Send;

    /// Registers each vehicle as [`register`](Self::register) does and returns the results in the order of `vehicles`.
    /// The adapter may write several vehicles together, in any order. If one vehicle fails with `Conflict` or `Rejected`,
    /// its result is the error. Any other error fails the entire call; some of the vehicles may be registered then, and a
    /// retry returns them as existing.
    fn register_all(&self, vehicles: &[Vehicle]) -> impl Future<Output = BatchResult<VehicleRegistration>> + Send {
        async move {
            let mut results = Vec::with_capacity(vehicles.len());
            for vehicle in vehicles {
                push_item_result(&mut results, self.register(vehicle).await)?;
            }
            Ok(results)
        }
    }

    /// Returns the vehicle with this id; `None` if it is not registered, or was erased.
    fn get(&self, vid: &VehicleId) -> impl Future<Output = Result<Option<Vehicle>, PortError>> + Send;

    /// Replaces a vehicle. Fails with `Conflict` unless the stored version is the one before `vehicle.version`, or if one
    /// of the unique attributes belongs to another vehicle. The names that the vehicle gets or releases change hands at
    /// `vehicle.updated_at`.
    fn replace(&self, vehicle: &Vehicle) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns the vehicles that have and had this subject; `None` if no vehicle ever had it, or none for longer than
    /// [`FORMER_HOLDER_MS`](roadcast_domain::name_history::FORMER_HOLDER_MS).
    fn history(&self, subject: &Subject) -> impl Future<Output = Result<Option<NameHistory>, PortError>> + Send;

    /// Returns the vehicle with this subject; `None` if no registered vehicle that is not retired has it.
    fn resolve(&self, subject: &Subject) -> impl Future<Output = Result<Option<VehicleId>, PortError>> + Send {
        async move { Ok(self.history(subject).await?.and_then(|history| history.current().cloned())) }
    }

    /// Returns the number of erasures and of replacements that changed the names, the owner or the retirement of a vehicle; see
    /// [`Vehicle::resolves_like`]. It is incremented in the transaction of the replacement. A registration does not
    /// increment it: it takes nothing from another vehicle.
    fn version(&self) -> impl Future<Output = Result<u64, PortError>> + Send;

    /// Returns a page of all vehicles, or of those that a client registered, in a stable order. The list of all vehicles is
    /// eventually consistent.
    fn list(&self, page: &VehicleListing) -> impl Future<Output = Result<VehiclePage, PortError>> + Send;
}

/// Resolves many names in one call.
pub trait VehicleNames: Send + Sync {
    /// Returns for each name, in the order of `names`, what [`Vehicles::resolve`] returns for it: the vehicle with this
    /// name; `None` if no registered vehicle that is not retired has it.
    fn resolve_all(&self, names: &[VehicleName]) -> impl Future<Output = Result<Vec<Option<VehicleId>>, PortError>> + Send;
}

/// The result of [`Vehicles::register`].
#[derive(Clone, Debug, PartialEq)]
pub enum VehicleRegistration {
    /// The vehicle was stored.
    New,
    /// The vehicle exists; this is the stored one.
    Existing(Box<Vehicle>),
}

/// The vehicles to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VehicleListing {
    /// Only vehicles that this client registered.
    pub owner: Option<ClientId>,
    /// Only vehicles after this one, in the order of the list.
    pub after: Option<VehicleId>,
    /// Maximum number of vehicles; at least 1.
    pub limit: usize,
}

/// A page of vehicles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VehiclePage {
    /// The vehicles.
    pub vehicles: Vec<Vehicle>,
    /// Pass as `after` to get the next page; `None` on the last page.
    pub next: Option<VehicleId>,
}
