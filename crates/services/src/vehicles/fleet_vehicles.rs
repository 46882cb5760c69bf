//! Which vehicles a customer has, as files of bulk data say it. It grants nothing: a fleet sees what its subscriptions cover.

use roadcast_domain::caller::Caller;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::vehicle_mapping::VehicleMapping;
use roadcast_ports::bulk::VehicleMappings;
use roadcast_ports::fleets::Fleets;

use crate::ServiceError;

/// Lists the vehicles of customers.
pub struct FleetVehicles<M, F> {
    /// Who has what.
    pub map: M,
    /// The fleets.
    pub fleets: F,
}

/// Which of them to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetVehicleListing {
    /// After this one.
    pub after: Option<VehicleId>,
    /// Those, too, that the customer no longer has.
    pub removed: bool,
    /// At most so many; at least 1.
    pub limit: usize,
}

/// A page of them, by vehicle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetVehiclePage {
    /// The vehicles. Where removed ones are left out, there may be fewer than were asked for, and still more to come.
    pub mappings: Vec<VehicleMapping>,
    /// The last one that was looked at, if there may be more.
    pub next: Option<VehicleId>,
}

impl<M: VehicleMappings, F: Fleets> FleetVehicles<M, F> {
    /// A page of the vehicles that a customer has. Only admins may see it: what is not subscribed to is not the fleet's to see.
    pub async fn vehicles(
        &self,
        caller: &Caller,
        fleet_id: &FleetId,
        page: &FleetVehicleListing,
    ) -> Result<FleetVehiclePage, ServiceError> {
        if !matches!(caller, Caller::Admin(_)) {
            return Err(ServiceError::Forbidden("only admins see which customer has which vehicle"));
        }
        self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        let limit = page.limit.max(1);
        let mut mappings = self.map.list(fleet_id, page.after.as_ref(), limit).await?;
        let next = mappings.last().filter(|_| mappings.len() == limit).map(|last| last.vid.clone());
        mappings.retain(|mapping| page.removed || !mapping.removed);
        Ok(FleetVehiclePage { mappings, next })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::ids::ClientId;
    use roadcast_domain::vehicle_mapping::{FileVersion, MappedDetails};
    use roadcast_ports::clock::Clock as _;
    use roadcast_testbed::{ManualClock, Memory, MemoryBulk};

    use super::*;

    fn mapping(fleet_id: &FleetId, n: u128) -> VehicleMapping {
        let version = FileVersion::from("v".to_owned());
        let (fleet_id, vid) = (fleet_id.clone(), VehicleId::from_random(n));
        VehicleMapping { fleet_id, vid, described: MappedDetails::default(), removed: n.is_multiple_of(3), version, line: 2 }
    }

    #[tokio::test]
    async fn an_admin_pages_through_what_a_customer_has_and_nobody_else_does() {
        let (bulk, memory) = (MemoryBulk::default(), Memory::new(ManualClock::default()));
        let (fleet_id, nobody) = (FleetId::from_random(1), FleetId::from_random(2));
        let (name, bus, now) = ("fleet".to_owned(), "bus".to_owned(), ManualClock::default().now());
        let plan = roadcast_domain::plan::Plan::Standard;
        let fleet = roadcast_domain::fleet::Fleet::new(fleet_id.clone(), name, bus, plan, now);
        Fleets::create(&memory, &fleet, None).await.unwrap();
        for n in 0..10 {
            bulk.put(&mapping(&fleet_id, n)).await.unwrap();
        }
        let mapped = FleetVehicles { map: bulk, fleets: memory };
        let admin = Caller::Admin(ClientId::new("admin"));
        for (removed, expect) in [(false, 6), (true, 10)] {
            let mut listing = FleetVehicleListing { after: None, removed, limit: 2 };
            let mut vids = Vec::new();
            loop {
                let page = mapped.vehicles(&admin, &fleet_id, &listing).await.unwrap();
                vids.extend(page.mappings.into_iter().map(|mapping| mapping.vid));
                listing.after = page.next;
                if listing.after.is_none() {
                    break;
                }
            }
            assert!(vids.is_sorted() && vids.len() == expect, "{vids:?}");
        }
        let listing = FleetVehicleListing { after: None, removed: false, limit: 2 };
        for caller in [Caller::Fleet(fleet_id.clone()), Caller::Ingest(ClientId::new("gateway"))] {
            let refused = mapped.vehicles(&caller, &fleet_id, &listing).await.unwrap_err();
            assert!(matches!(refused, ServiceError::Forbidden(_)), "{refused:?}");
        }
        let unknown = mapped.vehicles(&admin, &nobody, &listing).await.unwrap_err();
        assert!(matches!(unknown, ServiceError::NotFound), "{unknown:?}");
    }
}
