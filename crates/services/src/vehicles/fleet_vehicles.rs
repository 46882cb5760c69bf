//! The vehicles that bulk files assign to a fleet. An assignment grants nothing: a fleet sees only what its subscriptions
//! cover.

use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::vehicle_mapping::VehicleMapping;
use roadcast_ports::bulk::VehicleMappings;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::port_set::PortSet;

use crate::ServiceError;
use crate::authz::Admin;

/// Lists the vehicles of fleets.
pub struct FleetVehicles<Ports: PortSet> {
    /// The assignments of vehicles to fleets.
    pub mappings: Ports::VehicleMappings,
    /// The fleets.
    pub fleets: Ports::Fleets,
}

/// Which vehicles to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetVehicleListing {
    /// Lists vehicles after this one; `None` for the first page.
    pub after: Option<VehicleId>,
    /// Whether removed vehicles are included.
    pub removed: bool,
    /// The maximum number of vehicles; at least 1.
    pub limit: usize,
}

/// A page of vehicles, ordered by `vid`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetVehiclePage {
    /// The vehicles. If removed vehicles are excluded, a page may be shorter than the limit and still not be the last one.
    pub mappings: Vec<VehicleMapping>,
    /// Where the next page continues (after this vehicle); `None` for the last page.
    pub next: Option<VehicleId>,
}

impl<Ports: PortSet> FleetVehicles<Ports> {
    /// Returns a page of a fleet's vehicles. Only for admins, because a fleet must not see vehicles that it is not subscribed
    /// to.
    pub async fn vehicles(
        &self,
        _admin: &Admin,
        fleet_id: &FleetId,
        page: &FleetVehicleListing,
    ) -> Result<FleetVehiclePage, ServiceError> {
        self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        let limit = page.limit.max(1);
        let mut mappings = self.mappings.list(fleet_id, page.after.as_ref(), limit).await?;
        let next = mappings.last().filter(|_| mappings.len() == limit).map(|last| last.vid.clone());
        mappings.retain(|mapping| page.removed || !mapping.removed);
        Ok(FleetVehiclePage { mappings, next })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::caller::Caller;
    use roadcast_domain::ids::ClientId;
    use roadcast_domain::vehicle_mapping::{FileVersion, MappedDetails};
    use roadcast_ports::clock::Clock as _;
    use roadcast_testbed::{InMemory, ManualClock, Memory, MemoryBulk, fixtures};

    use super::*;
    use crate::authz::Proof as _;

    fn mapping(fleet_id: &FleetId, n: u128) -> VehicleMapping {
        let version = FileVersion::from("v".to_owned());
        let (fleet_id, vid) = (fleet_id.clone(), VehicleId::from_random_bits(n));
        VehicleMapping { fleet_id, vid, details: MappedDetails::default(), removed: n.is_multiple_of(3), version, line: 2 }
    }

    #[tokio::test]
    async fn admin_pages_through_the_vehicles_of_a_fleet() {
        let (bulk, memory) = (MemoryBulk::default(), Memory::new(ManualClock::default()));
        let (fleet_id, unknown_fleet) = (FleetId::from_random_bits(1), FleetId::from_random_bits(2));
        let (name, bus, now) = ("fleet".to_owned(), "bus".to_owned(), ManualClock::default().now());
        let plan = roadcast_domain::plan::Plan::Standard;
        let fleet = roadcast_domain::fleet::Fleet::new(fleet_id.clone(), name, bus, plan, now);
        Fleets::create(&memory, &fleet, &fixtures::change(&fleet.fleet_id)).await.unwrap();
        for n in 0..10 {
            bulk.put(&mapping(&fleet_id, n)).await.unwrap();
        }
        let fleet_vehicles = FleetVehicles::<InMemory> { mappings: bulk, fleets: memory };
        let admin = Admin::prove(&Caller::Admin(ClientId::new("admin"))).unwrap();
        for (removed, expected) in [(false, 6), (true, 10)] {
            let mut listing = FleetVehicleListing { after: None, removed, limit: 2 };
            let mut vids = Vec::new();
            loop {
                let page = fleet_vehicles.vehicles(&admin, &fleet_id, &listing).await.unwrap();
                vids.extend(page.mappings.into_iter().map(|mapping| mapping.vid));
                listing.after = page.next;
                if listing.after.is_none() {
                    break;
                }
            }
            assert!(vids.is_sorted() && vids.len() == expected, "{vids:?}");
        }
        let listing = FleetVehicleListing { after: None, removed: false, limit: 2 };
        let unknown = fleet_vehicles.vehicles(&admin, &unknown_fleet, &listing).await.unwrap_err();
        assert!(matches!(unknown, ServiceError::NotFound), "{unknown:?}");
    }
}
