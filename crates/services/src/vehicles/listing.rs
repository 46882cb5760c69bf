//! Lists and filters the vehicles that a caller may see.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::ids::{ClientId, FleetId, VehicleId};
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::vehicles::{VehicleListing, Vehicles};

use super::registry::VehicleRegistry;
use crate::authz::AnyClient;
use crate::{CONCURRENT_READS, ServiceError};

/// The maximum number of reads of the registry for one page.
const READS_PER_PAGE: usize = 10;

/// Selects vehicles; a vehicle must match all criteria. Texts match case-insensitively.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VehicleFilter {
    /// A text that the make, the model, an external id or an attribute contains.
    pub text: Option<String>,
    /// An external id.
    pub external_id: Option<ExternalId>,
    /// The make.
    pub make: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The model year.
    pub model_year: Option<u16>,
    /// The fuel type.
    pub fuel_type: Option<String>,
    /// The client that registered the vehicle. Only admins may filter by it.
    pub registered_by: Option<ClientId>,
    /// Whether to list retired vehicles instead of vehicles in service.
    pub retired: bool,
}

impl VehicleFilter {
    fn matches(&self, vehicle: &Vehicle) -> bool {
        let details = &vehicle.details;
        let equals = |wanted: &Option<String>, actual: &Option<String>| {
            let actual = actual.as_deref().unwrap_or_default().to_lowercase();
            wanted.as_ref().is_none_or(|wanted| wanted.to_lowercase() == actual)
        };
        self.retired == vehicle.retired_at.is_some()
            && equals(&self.make, &details.make)
            && equals(&self.model, &details.model)
            && equals(&self.fuel_type, &details.fuel_type)
            && self.model_year.is_none_or(|year| details.model_year == Some(year))
            && self.registered_by.as_ref().is_none_or(|client_id| vehicle.owner.as_ref() == Some(client_id))
            && self.text.as_ref().is_none_or(|text| contains_text(details, &text.to_lowercase()))
    }
}

/// Whether the vehicle's details contain the lower-case text. The VIN is not searched, otherwise callers would put VINs
/// into URLs.
fn contains_text(details: &VehicleDetails, text: &str) -> bool {
    let names = [&details.make, &details.model].into_iter().flatten().map(String::as_str);
    let external_ids = details.external_ids.iter().map(ExternalId::value);
    let attributes = details.attributes.values().map(String::as_str);
    names.chain(external_ids).chain(attributes).any(|value| value.to_lowercase().contains(text))
}

/// A page of vehicles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VehicleList {
    /// The vehicles, redacted to what the caller may see.
    pub vehicles: Vec<Vehicle>,
    /// Where the next page continues (after this vehicle); `None` for the last page.
    pub next: Option<VehicleId>,
}

impl<Ports: PortSet> VehicleRegistry<Ports> {
    /// Returns a page of the vehicles that the caller may see. A page may be shorter than `limit` and still not be the last
    /// one, if few of many vehicles match the filter. Fails with `Forbidden` if a caller other than an admin filters by client.
    pub async fn list(
        &self,
        caller: &AnyClient,
        filter: &VehicleFilter,
        after: Option<VehicleId>,
        limit: usize,
    ) -> Result<VehicleList, ServiceError> {
        if filter.registered_by.is_some() && !matches!(caller, AnyClient::Admin(_)) {
            return Err(ServiceError::Forbidden("only admins may list the vehicles of a client"));
        }
        if let Some(external_id) = &filter.external_id {
            return self.find_by_external_id(caller, filter, external_id).await;
        }
        let mut list = VehicleList { vehicles: Vec::new(), next: after };
        for read in 0..READS_PER_PAGE {
            if list.vehicles.len() == limit || (read > 0 && list.next.is_none()) {
                break;
            }
            let page = self.page(caller, filter, list.next, limit - list.vehicles.len()).await?;
            list.vehicles.extend(page.vehicles.into_iter().filter(|vehicle| filter.matches(vehicle)));
            list.next = page.next;
        }
        Ok(list)
    }

    /// Returns the vehicle with that external id, if it matches the filter.
    async fn find_by_external_id(
        &self,
        caller: &AnyClient,
        filter: &VehicleFilter,
        external_id: &ExternalId,
    ) -> Result<VehicleList, ServiceError> {
        let vid = self.vehicles.resolve(&Subject::External(external_id.clone())).await?;
        // A name that does not exist takes as long as the name of a vehicle that the caller may not see.
        let vid = vid.unwrap_or_else(|| VehicleId::from_random_bits(0));
        match self.get(caller, &vid).await {
            Ok(vehicle) => {
                let vehicles = Some(vehicle).filter(|vehicle| filter.matches(vehicle)).into_iter().collect();
                Ok(VehicleList { vehicles, next: None })
            }
            Err(ServiceError::NotFound) => Ok(VehicleList::default()),
            Err(error) => Err(error),
        }
    }

    /// Returns a page of the vehicles of the caller or of the filter's client, otherwise unfiltered.
    async fn page(
        &self,
        caller: &AnyClient,
        filter: &VehicleFilter,
        after: Option<VehicleId>,
        limit: usize,
    ) -> Result<VehicleList, ServiceError> {
        let owner = match caller {
            AnyClient::Fleet(owner) => return self.page_of_fleet(owner.fleet_id(), after, limit).await,
            AnyClient::Admin(_) => filter.registered_by.clone(),
            AnyClient::Ingest(client) => Some(client.client_id().clone()),
        };
        let page = self.vehicles.list(&VehicleListing { owner, after, limit }).await?;
        Ok(VehicleList { vehicles: page.vehicles, next: page.next })
    }

    async fn page_of_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<VehicleId>,
        limit: usize,
    ) -> Result<VehicleList, ServiceError> {
        let entitlements = self.entitlements.list_by_fleet(fleet_id, after.as_ref(), limit).await?;
        let next = entitlements.last().filter(|_| entitlements.len() == limit).map(|last| last.vid.clone());
        let vehicles: Vec<Option<Vehicle>> = stream::iter(entitlements.into_iter().map(|entitlement| async move {
            let vehicle = self.vehicles.get(&entitlement.vid).await?;
            Ok::<_, ServiceError>(vehicle.and_then(|vehicle| self.redact_for_fleet(vehicle, &entitlement)))
        }))
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
        Ok(VehicleList { vehicles: vehicles.into_iter().flatten().collect(), next })
    }
}

#[cfg(test)]
mod tests {
    use roadcast_domain::caller::Caller;
    use roadcast_testbed::{InFlight, Memory, SeededRandomness, port_set};

    use super::*;
    use crate::authz::{Proof as _, Sender};

    port_set! {
        enum CountedPorts {
            Entitlements = InFlight<Memory>;
            Vehicles = InFlight<Memory>;
        }
    }

    #[tokio::test]
    async fn hidden_vehicle_takes_the_same_reads_as_one_that_does_not_exist() {
        let memory = Memory::default();
        let (vehicles, entitlements) = (InFlight::new(memory.clone()), InFlight::new(memory.clone()));
        let registry = VehicleRegistry::<CountedPorts> {
            vehicles: vehicles.clone(),
            entitlements: entitlements.clone(),
            clock: memory.clock().clone(),
            randomness: SeededRandomness::new(1),
        };
        let name = |value: &str| ExternalId::new("test", value).unwrap();
        let details = VehicleDetails { external_ids: vec![name("hidden")], ..VehicleDetails::default() };
        let owner = Caller::Ingest { client_id: ClientId::new("owner"), sources: vec![] };
        let hidden = registry.register(&Sender::prove(&owner).unwrap(), details).await.unwrap().0.vid;
        let other_client = Caller::Ingest { client_id: ClientId::new("other"), sources: vec![] };
        for caller in [Caller::Fleet(FleetId::from_random_bits(1)), other_client] {
            let caller = AnyClient::prove(&caller).unwrap();
            let mut reads = Vec::new();
            let mut count = |is_visible: bool| {
                assert!(!is_visible, "not visible to {caller:?}");
                reads.push((vehicles.calls(), entitlements.calls()));
            };
            count(false);
            for value in ["hidden", "missing"] {
                let filter = VehicleFilter { external_id: Some(name(value)), ..VehicleFilter::default() };
                count(!registry.list(&caller, &filter, None, 10).await.unwrap().vehicles.is_empty());
            }
            for vid in [&hidden, &VehicleId::from_random_bits(9)] {
                count(registry.get(&caller, vid).await.is_ok());
            }
            let of = |index: usize| (reads[index + 1].0 - reads[index].0, reads[index + 1].1 - reads[index].1);
            assert_eq!(of(0), of(1), "by name, for {caller:?}");
            assert_eq!(of(2), of(3), "by id, for {caller:?}");
        }
    }
}
