//! The vehicle registry: tables `vehicles` and, for unique attributes and owners, `reference`.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::ids::{ClientId, VehicleId};
use roadcast_domain::subject::{Subject, VehicleName};
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::batch_result::BatchResult;
use roadcast_ports::vehicles::{VehicleListing, VehicleNames, VehiclePage, VehicleRegistration, Vehicles};
use roadcast_ports::{PortError, PortErrorKind};

use crate::dynamodb::attributes::VERSION;
use crate::dynamodb::grouped_puts::ItemPut;
use crate::dynamodb::item::{self, InvalidAttribute, Item};
use crate::dynamodb::keys::{Key, KeyRange, PK, VID};
use crate::dynamodb::transaction::{Condition, Transaction};
use crate::dynamodb::{batch_get, grouped_puts};
use crate::sdk_error::port_error;

const REGISTER: &str = "registering a vehicle";
const READ: &str = "reading a vehicle";
const REPLACE: &str = "replacing a vehicle";
const RESOLVE: &str = "resolving a subject";
const LIST: &str = "listing vehicles";

/// The vehicle registry in `DynamoDB`. A vehicle is one item in `vehicles` and, in `reference`, one per unique attribute and
/// one in the list of its owner. All of them change in one transaction.
#[derive(Clone, Debug)]
pub struct DynamoVehicles {
    client: Client,
    vehicles: String,
    reference: String,
}

impl DynamoVehicles {
    /// Creates the adapter on the given tables.
    pub fn new(client: Client, vehicles_table: impl Into<String>, reference_table: impl Into<String>) -> Self {
        Self { client, vehicles: vehicles_table.into(), reference: reference_table.into() }
    }

    /// Returns the writes that register a vehicle.
    fn registration_puts(&self, vehicle: &Vehicle) -> Result<Vec<ItemPut<'_>>, PortError> {
        let reference = |key: Key, condition| (self.reference.as_str(), pointer(&key, &vehicle.vid), key, condition);
        let vehicles = (self.vehicles.as_str(), encode(vehicle, REGISTER)?, Key::vehicle(&vehicle.vid), Condition::Absent);
        let unique = unique_keys(vehicle).into_iter().map(|key| reference(key, Condition::Absent));
        let owned = owner_key(vehicle).map(|key| reference(key, Condition::None));
        Ok(std::iter::once(vehicles).chain(unique).chain(owned).collect())
    }

    /// Returns the vehicles that have these unique attributes.
    async fn holders(&self, keys: BTreeSet<Key>) -> Result<BTreeSet<VehicleId>, PortError> {
        let items = batch_get::get_all(&self.client, &self.reference, keys, REGISTER).await?;
        let vids = items.iter().map(|item| item::parsed(item, VID)).collect::<Result<_, _>>();
        vids.map_err(|error| error.into_port_error(REGISTER))
    }

    async fn list_owned(&self, owner: &ClientId, page: &VehicleListing) -> Result<VehiclePage, PortError> {
        let range = KeyRange::owned_vehicles(owner, page.after.as_ref());
        let listed = item::page(&self.client, &self.reference, &range, Some(page.limit.max(1)), None, LIST).await?;
        let vids = listed.items.iter().map(|item| item::parsed(item, VID)).collect::<Result<Vec<VehicleId>, _>>();
        let vids = vids.map_err(|error| error.into_port_error(LIST))?;
        let next = listed.next.is_some().then(|| vids.last().cloned()).flatten();

        let items = batch_get::get_all(&self.client, &self.vehicles, vids.iter().map(Key::vehicle).collect(), LIST).await?;
        let mut vehicles: Vec<Vehicle> = decode_all(&items)?;
        vehicles.sort_unstable_by(|a, b| a.vid.cmp(&b.vid));
        Ok(VehiclePage { vehicles, next })
    }

    /// Scans the table page by page, in the order of its partition hash. Only an admin lists all vehicles.
    async fn list_all(&self, page: &VehicleListing) -> Result<VehiclePage, PortError> {
        let output = self
            .client
            .scan()
            .table_name(&self.vehicles)
            .limit(i32::try_from(page.limit.max(1)).unwrap_or(i32::MAX))
            .set_exclusive_start_key(page.after.as_ref().map(|vid| Key::vehicle(vid).attributes()))
            .send()
            .await
            .map_err(|error| port_error(LIST, error))?;
        let next = output.last_evaluated_key.map(|key| item::parsed(&key, VID)).transpose();
        Ok(VehiclePage {
            vehicles: decode_all(&output.items.unwrap_or_default())?,
            next: next.map_err(|error| error.into_port_error(LIST))?,
        })
    }
}

impl Vehicles for DynamoVehicles {
    async fn register(&self, vehicle: &Vehicle) -> Result<VehicleRegistration, PortError> {
        let mut new = Transaction::new(&self.client, REGISTER);
        for (table, item, key, condition) in self.registration_puts(vehicle)? {
            new = new.put(table, item, &key, condition)?;
        }
        let conflict = match new.commit().await {
            Ok(()) => return Ok(VehicleRegistration::New),
            Err(error) if error.kind() == PortErrorKind::Conflict => error,
            Err(error) => return Err(error),
        };
        let mut holders = self.holders(unique_keys(vehicle)).await?.into_iter();
        match (holders.next(), holders.next()) {
            (Some(vid), None) => match self.get(&vid).await? {
                Some(existing) => Ok(VehicleRegistration::Existing(Box::new(existing))),
                // The conflicting vehicle no longer exists.
                None => Err(conflict),
            },
            _ => Err(conflict),
        }
    }

    async fn register_all(&self, vehicles: &[Vehicle]) -> BatchResult<VehicleRegistration> {
        let sets = vehicles.iter().map(|vehicle| self.registration_puts(vehicle)).collect::<Result<_, _>>()?;
        let register_alone = |index| self.register(&vehicles[index]);
        grouped_puts::put_grouped(&self.client, sets, || VehicleRegistration::New, register_alone, REGISTER).await
    }

    async fn get(&self, vid: &VehicleId) -> Result<Option<Vehicle>, PortError> {
        let item = item::get(&self.client, &self.vehicles, &Key::vehicle(vid), READ).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))
    }

    async fn replace(&self, vehicle: &Vehicle) -> Result<(), PortError> {
        let conflict = || PortError::new(PortErrorKind::Conflict, REPLACE);
        let before = self.get(&vehicle.vid).await?.ok_or_else(conflict)?;
        if before.version.checked_add(1) != Some(vehicle.version) {
            return Err(conflict());
        }
        let (old, new) = (unique_keys(&before), unique_keys(vehicle));
        let same_version = Condition::Equals(VERSION, AttributeValue::N(before.version.to_string()));
        let this_vehicle = AttributeValue::S(vehicle.vid.to_string());
        let mut change = Transaction::new(&self.client, REPLACE).put(
            &self.vehicles,
            encode(vehicle, REPLACE)?,
            &Key::vehicle(&vehicle.vid),
            same_version,
        )?;
        for key in new.difference(&old) {
            let unused = Condition::AbsentOrEquals(VID, this_vehicle.clone());
            change = change.put(&self.reference, pointer(key, &vehicle.vid), key, unused)?;
        }
        for key in old.difference(&new) {
            change = change.delete(&self.reference, key, Condition::Equals(VID, this_vehicle.clone()))?;
        }
        let (old_owner, new_owner) = (owner_key(&before), owner_key(vehicle));
        if old_owner != new_owner {
            if let Some(key) = old_owner {
                change = change.delete(&self.reference, &key, Condition::None)?;
            }
            if let Some(key) = new_owner {
                change = change.put(&self.reference, pointer(&key, &vehicle.vid), &key, Condition::None)?;
            }
        }
        change.commit().await
    }

    async fn resolve(&self, subject: &Subject) -> Result<Option<VehicleId>, PortError> {
        let key = match subject {
            Subject::Vid(vid) => {
                let registered = self.get(vid).await?.filter(|vehicle| vehicle.retired_at.is_none());
                return Ok(registered.map(|vehicle| vehicle.vid));
            }
            Subject::Vin(vin) => Key::vin(vin),
            Subject::External(id) => Key::external_id(id),
        };
        let item = item::get(&self.client, &self.reference, &key, RESOLVE).await?;
        item.map(|item| item::parsed(&item, VID)).transpose().map_err(|error| error.into_port_error(RESOLVE))
    }

    async fn list(&self, page: &VehicleListing) -> Result<VehiclePage, PortError> {
        match &page.owner {
            Some(owner) => self.list_owned(owner, page).await,
            None => self.list_all(page).await,
        }
    }
}

impl VehicleNames for DynamoVehicles {
    async fn resolve_all(&self, names: &[VehicleName]) -> Result<Vec<Option<VehicleId>>, PortError> {
        let keys: BTreeSet<Key> = names.iter().map(name_key).collect();
        let items = batch_get::get_all(&self.client, &self.reference, keys, RESOLVE).await?;
        let found = items.iter().map(|item| Ok((item::text(item, PK)?.to_owned(), item::parsed(item, VID)?)));
        let holders: HashMap<String, VehicleId> =
            found.collect::<Result<_, InvalidAttribute>>().map_err(|error| error.into_port_error(RESOLVE))?;
        // The entry of a name is the only item of its partition.
        Ok(names.iter().map(|name| holders.get(name_key(name).partition_value()).cloned()).collect())
    }
}

/// Returns the keys of the vehicle's unique attributes without duplicates: a transaction must not contain one item twice.
fn unique_keys(vehicle: &Vehicle) -> BTreeSet<Key> {
    vehicle.names().map(|name| name_key(&name)).collect()
}

/// Returns the key of the unique entry of a name.
fn name_key(name: &VehicleName) -> Key {
    match name {
        VehicleName::Vin(vin) => Key::vin(vin),
        VehicleName::External(id) => Key::external_id(id),
    }
}

fn owner_key(vehicle: &Vehicle) -> Option<Key> {
    vehicle.owner.as_ref().map(|owner| Key::owned_vehicle(owner, &vehicle.vid))
}

fn pointer(key: &Key, vid: &VehicleId) -> Item {
    let mut item: HashMap<_, _> = key.attributes();
    item.insert(VID.to_owned(), AttributeValue::S(vid.to_string()));
    item
}

fn encode(vehicle: &Vehicle, context: &'static str) -> Result<Item, PortError> {
    let mut item = item::with_record(&Key::vehicle(&vehicle.vid), vehicle, context)?;
    item.insert(VERSION.to_owned(), AttributeValue::N(vehicle.version.to_string()));
    Ok(item)
}

fn decode_all(items: &[Item]) -> Result<Vec<Vehicle>, PortError> {
    items.iter().map(item::record).collect::<Result<_, _>>().map_err(|error| error.into_port_error(LIST))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::external_id::ExternalId;
    use roadcast_domain::vehicle::VehicleDetails;
    use roadcast_signals::Timestamp;

    use super::*;

    #[test]
    fn duplicate_attribute_is_one_key() {
        let bus = ExternalId::new("bus", "2619").unwrap();
        let vehicle = Vehicle {
            vid: VehicleId::from_random_bits(1),
            details: VehicleDetails { external_ids: vec![bus.clone(), bus], ..VehicleDetails::default() },
            version: 1,
            owner: None,
            retired_at: None,
            created_at: Timestamp::from_ms(0),
            updated_at: Timestamp::from_ms(0),
        };
        assert_eq!(unique_keys(&vehicle).len(), 1);
        assert_eq!(item::record::<Vehicle>(&encode(&vehicle, "test").unwrap()).unwrap(), vehicle);
    }
}
