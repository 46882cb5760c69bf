//! The vehicle registry: tables `vehicles` and, for names and owners, `reference`.

mod hide;
mod names;

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::ids::{ClientId, VehicleId};
use roadcast_domain::name_history::NameHistory;
use roadcast_domain::subject::{Subject, VehicleName};
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::batch_result::BatchResult;
use roadcast_ports::vehicles::{VehicleListing, VehicleNames, VehiclePage, VehicleRegistration, Vehicles};
use roadcast_ports::{PortError, PortErrorKind};

use crate::SecretsManagerSource;
use crate::dynamodb::attributes::VERSION;
use crate::dynamodb::grouped_puts::ItemPut;
use crate::dynamodb::item::{self, Item};
use crate::dynamodb::keys::{Key, KeyRange, PK, VID};
use crate::dynamodb::name_keys::NameKeys;
use crate::dynamodb::transaction::{Condition, Transaction};
use crate::dynamodb::{batch_get, grouped_puts};
use crate::sdk_error::port_error;
use names::{NameEntries, NameEntry};

const REGISTER: &str = "registering a vehicle";
const READ: &str = "reading a vehicle";
const REPLACE: &str = "replacing a vehicle";
const RESOLVE: &str = "resolving a subject";
const LIST: &str = "listing vehicles";

/// Attempts to register a vehicle whose names change at the same time.
const MAX_ATTEMPTS: u32 = 3;

/// The vehicle registry in `DynamoDB`. A vehicle is one item in `vehicles` and, in `reference`, one per name and one in the
/// list of its owner. All of them change in one transaction, and the counter of changes with them. While the secret of the
/// stack is rotated, a VIN has two entries.
#[derive(Clone, Debug)]
pub struct DynamoVehicles {
    client: Client,
    vehicles: String,
    reference: String,
    secrets: SecretsManagerSource,
}

impl DynamoVehicles {
    /// Creates the adapter on the given tables. The keys of VINs depend on the secret of the stack.
    pub fn new(
        client: Client,
        vehicles_table: impl Into<String>,
        reference_table: impl Into<String>,
        secrets: SecretsManagerSource,
    ) -> Self {
        Self { client, vehicles: vehicles_table.into(), reference: reference_table.into(), secrets }
    }

    /// Returns the formatter of the keys of `names`.
    async fn name_keys(&self, names: &[VehicleName]) -> Result<NameKeys, PortError> {
        // Boxed, because the future of the SDK is large and rarely runs.
        Box::pin(NameKeys::load(&self.secrets, names.iter())).await
    }

    /// Returns the writes that register a vehicle. `entries` are the stored entries of its names.
    fn registration_puts(&self, vehicle: &Vehicle, entries: &NameEntries<'_>) -> Result<Vec<ItemPut<'_>>, PortError> {
        let vehicles = (self.vehicles.as_str(), encode(vehicle, REGISTER)?, Key::vehicle(&vehicle.vid), Condition::Absent);
        let mut puts = vec![vehicles];
        puts.extend(self.entry_puts(entries.hold(&names(vehicle), vehicle), REGISTER)?);
        puts.extend(owner_key(vehicle).map(|key| self.owned(key, vehicle)));
        Ok(puts)
    }

    /// Returns the writes of the entries with these histories. Fails with `Conflict` if another vehicle has one of the names.
    fn entry_puts(
        &self,
        changed: Option<Vec<(Key, NameEntry, NameHistory)>>,
        context: &'static str,
    ) -> Result<Vec<ItemPut<'_>>, PortError> {
        let changed = changed.ok_or_else(|| PortError::new(PortErrorKind::Conflict, context))?;
        let put = |(key, entry, history): (Key, NameEntry, NameHistory)| {
            Ok((self.reference.as_str(), names::item(&key, &history, context)?, key, entry.unchanged()))
        };
        changed.into_iter().map(put).collect()
    }

    /// Returns the write of the vehicle in the list of its owner.
    fn owned(&self, key: Key, vehicle: &Vehicle) -> ItemPut<'_> {
        let mut item = key.attributes();
        item.insert(VID.to_owned(), AttributeValue::S(vehicle.vid.to_string()));
        (self.reference.as_str(), item, key, Condition::None)
    }

    /// Returns the stored entries of these keys of names.
    async fn entries<'k>(
        &self,
        name_keys: &'k NameKeys,
        keys: BTreeSet<Key>,
        context: &'static str,
    ) -> Result<NameEntries<'k>, PortError> {
        // The entry of a name is the only item of its partition.
        let mut by_partition: HashMap<String, NameEntry> = HashMap::new();
        for item in batch_get::get_all(&self.client, &self.reference, keys.clone(), context).await? {
            let entry = NameEntry::decode(&item).and_then(|entry| Ok((item::text(&item, PK)?.to_owned(), entry)));
            by_partition.extend([entry.map_err(|error| error.into_port_error(context))?]);
        }
        let found = |key: Key| by_partition.get(key.partition_value()).cloned().map(|entry| (key, entry));
        Ok(NameEntries::new(name_keys, keys.into_iter().filter_map(found).collect()))
    }

    async fn register_with(&self, vehicle: &Vehicle, entries: &NameEntries<'_>) -> Result<VehicleRegistration, PortError> {
        let mut new = Transaction::new(&self.client, REGISTER);
        for (table, item, key, condition) in self.registration_puts(vehicle, entries)? {
            new = new.put(table, item, &key, condition)?;
        }
        new.commit().await.map(|()| VehicleRegistration::New)
    }

    /// Returns the history of a name, with that of erased vehicles which had it; `None` if it has none.
    async fn full_history(&self, name: VehicleName) -> Result<Option<NameHistory>, PortError> {
        let names = [name];
        let keys = Box::pin(NameKeys::load_for_digests(&self.secrets, &names)).await?;
        let wanted = &keys.stored_of(&names) | &keys.erased_of(&names);
        let entries = self.entries(&keys, wanted, RESOLVE).await?;
        let history = self.verified(&names, &entries).await?.pop().flatten();
        let erased = keys.erased_of(&names).iter().find_map(|key| entries.get(key)).map(|entry| entry.history.clone());
        Ok(match (history, erased) {
            (history, None) => history,
            (history, Some(erased)) => Some(history.unwrap_or_default().after(&erased)),
        })
    }

    /// Returns the history of each name, in order; `None` if it has no entry.
    async fn histories(&self, names: &[VehicleName]) -> Result<Vec<Option<NameHistory>>, PortError> {
        let keys = self.name_keys(names).await?;
        let entries = self.entries(&keys, keys.stored_of(names), RESOLVE).await?;
        self.verified(names, &entries).await
    }

    /// Returns the histories of names that are certain.
    async fn verified(
        &self,
        names: &[VehicleName],
        entries: &NameEntries<'_>,
    ) -> Result<Vec<Option<NameHistory>>, PortError> {
        // A function that does not know the previous secret any more leaves its entries, so that the vehicle decides.
        let found: Vec<_> = names.iter().map(|name| entries.find(name)).collect();
        let unverified =
            found.iter().flatten().filter(|found| !found.is_current).filter_map(|found| found.history.current());
        let vehicles =
            batch_get::get_all(&self.client, &self.vehicles, unverified.map(Key::vehicle).collect(), RESOLVE).await?;
        let vehicles: Vec<Vehicle> = decode_all(&vehicles)?;
        let has_name = |vid: &VehicleId, name: &VehicleName| {
            vehicles.iter().any(|vehicle| vehicle.vid == *vid && vehicle.names().any(|of_vehicle| of_vehicle == *name))
        };
        let verified = found.into_iter().zip(names).map(|(found, name)| {
            let found = found?;
            let is_valid = found.is_current || found.history.current().is_none_or(|vid| has_name(vid, name));
            is_valid.then(|| found.history.clone())
        });
        Ok(verified.collect())
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
        let names = names(vehicle);
        let keys = self.name_keys(&names).await?;
        // Most names are new, so their entries are read only after a conflict.
        let mut entries = NameEntries::none(&keys);
        for attempt in 1.. {
            let conflict = match self.register_with(vehicle, &entries).await {
                Err(error) if error.kind() == PortErrorKind::Conflict => error,
                result => return result,
            };
            entries = self.entries(&keys, keys.all_of(&names), REGISTER).await?;
            let mut holders = entries.holders().into_iter();
            match (holders.next(), holders.next()) {
                // The names had other holders before, or the entry was changed at the same time.
                (None, None) if attempt < MAX_ATTEMPTS => {}
                (Some(vid), None) => match self.get(vid).await? {
                    Some(existing) if existing.names().any(|name| names.contains(&name)) => {
                        return Ok(VehicleRegistration::Existing(Box::new(existing)));
                    }
                    // The conflicting vehicle no longer exists or no longer has the name.
                    _ => return Err(conflict),
                },
                _ => return Err(conflict),
            }
        }
        Err(PortError::new(PortErrorKind::Conflict, REGISTER))
    }

    async fn register_all(&self, vehicles: &[Vehicle]) -> BatchResult<VehicleRegistration> {
        let keys = self.name_keys(&vehicles.iter().flat_map(names).collect::<Vec<_>>()).await?;
        let none = NameEntries::none(&keys);
        let sets = vehicles.iter().map(|vehicle| self.registration_puts(vehicle, &none)).collect::<Result<_, _>>()?;
        let register_alone = |index| self.register(&vehicles[index]);
        grouped_puts::put_grouped(&self.client, sets, || VehicleRegistration::New, register_alone, REGISTER).await
    }

    async fn get(&self, vid: &VehicleId) -> Result<Option<Vehicle>, PortError> {
        let item = item::get(&self.client, &self.vehicles, &Key::vehicle(vid), READ).await?;
        item.filter(|item| !is_erased(item)).map(|item| decode(&item, READ)).transpose()
    }

    async fn replace(&self, vehicle: &Vehicle) -> Result<(), PortError> {
        let conflict = || PortError::new(PortErrorKind::Conflict, REPLACE);
        let before = self.get(&vehicle.vid).await?.ok_or_else(conflict)?;
        if before.version.checked_add(1) != Some(vehicle.version) {
            return Err(conflict());
        }
        let (old, new) = (names(&before), names(vehicle));
        let keys = self.name_keys(&[old.as_slice(), &new].concat()).await?;
        // The entry of an external id that stays does not change. A VIN may have none under the current secret yet.
        let settled = &NameKeys::settled_of(&old) & &NameKeys::settled_of(&new);
        let wanted = &(&keys.all_of(&old) | &keys.all_of(&new)) - &settled;
        let entries = self.entries(&keys, wanted, REPLACE).await?;
        let (held, released): (Vec<VehicleName>, Vec<VehicleName>) = (
            new.iter().filter(|name| !settled_external(name, &old)).cloned().collect(),
            old.iter().filter(|name| !new.contains(name)).cloned().collect(),
        );
        let same_version = Condition::Equals(VERSION, AttributeValue::N(before.version.to_string()));
        let mut puts = vec![(self.vehicles.as_str(), encode(vehicle, REPLACE)?, Key::vehicle(&vehicle.vid), same_version)];
        puts.extend(self.entry_puts(entries.hold(&held, vehicle), REPLACE)?);
        puts.extend(self.entry_puts(entries.release(&released, vehicle), REPLACE)?);
        let (old_owner, new_owner) = (owner_key(&before), owner_key(vehicle));
        let mut change = Transaction::new(&self.client, REPLACE);
        if old_owner != new_owner {
            if let Some(key) = old_owner {
                change = change.delete(&self.reference, &key, Condition::None)?;
            }
            puts.extend(new_owner.map(|key| self.owned(key, vehicle)));
        }
        for (table, item, key, condition) in puts {
            change = change.put(table, item, &key, condition)?;
        }
        if !vehicle.resolves_like(&before) {
            change = change.increment(&self.reference, &Key::vehicles_version(), VERSION, Item::new())?;
        }
        change.commit().await
    }

    async fn history(&self, subject: &Subject) -> Result<Option<NameHistory>, PortError> {
        let name = match subject {
            Subject::Vid(vid) => {
                let item = item::get(&self.client, &self.vehicles, &Key::vehicle(vid), READ).await?;
                let history = |item: Item| {
                    if is_erased(&item) {
                        return Ok(NameHistory::of_erased_vehicle_id(vid.clone()));
                    }
                    let vehicle = decode(&item, READ)?;
                    Ok(NameHistory::of_vehicle_id(vehicle.vid, vehicle.retired_at))
                };
                return item.map(history).transpose();
            }
            Subject::Vin(vin) => VehicleName::Vin(vin.clone()),
            Subject::External(id) => VehicleName::External(id.clone()),
        };
        self.full_history(name).await
    }

    async fn resolve(&self, subject: &Subject) -> Result<Option<VehicleId>, PortError> {
        // The current vehicle is in the entry of the name. The digests of erased names are not needed.
        let name = match subject {
            Subject::Vid(vid) => {
                let vehicle = self.get(vid).await?;
                return Ok(vehicle.filter(|vehicle| vehicle.retired_at.is_none()).map(|vehicle| vehicle.vid));
            }
            Subject::Vin(vin) => VehicleName::Vin(vin.clone()),
            Subject::External(id) => VehicleName::External(id.clone()),
        };
        Ok(self.resolve_all(&[name]).await?.pop().flatten())
    }

    async fn version(&self) -> Result<u64, PortError> {
        let item = item::get(&self.client, &self.reference, &Key::vehicles_version(), READ).await?;
        let version = item.map_or(Ok(None), |item| item::number(&item, VERSION));
        Ok(version.map_err(|error| error.into_port_error(READ))?.unwrap_or_default())
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
        let histories = self.histories(names).await?.into_iter();
        Ok(histories.map(|history| history.and_then(|history| history.current().cloned())).collect())
    }
}

/// Returns the names of the vehicle.
fn names(vehicle: &Vehicle) -> Vec<VehicleName> {
    vehicle.names().collect()
}

/// Whether the name is an external id that the vehicle had before.
fn settled_external(name: &VehicleName, before: &[VehicleName]) -> bool {
    matches!(name, VehicleName::External(_)) && before.contains(name)
}

fn owner_key(vehicle: &Vehicle) -> Option<Key> {
    vehicle.owner.as_ref().map(|owner| Key::owned_vehicle(owner, &vehicle.vid))
}

fn encode(vehicle: &Vehicle, context: &'static str) -> Result<Item, PortError> {
    let mut item = item::with_record(&Key::vehicle(&vehicle.vid), vehicle, context)?;
    item.insert(VERSION.to_owned(), AttributeValue::N(vehicle.version.to_string()));
    Ok(item)
}

/// Whether the vehicle of an item was erased: it is not a vehicle any more.
fn is_erased(item: &Item) -> bool {
    item.contains_key(hide::ERASED_AT)
}

fn decode(item: &Item, context: &'static str) -> Result<Vehicle, PortError> {
    item::record(item).map_err(|error| error.into_port_error(context))
}

fn decode_all(items: &[Item]) -> Result<Vec<Vehicle>, PortError> {
    items.iter().filter(|item| !is_erased(item)).map(|item| decode(item, LIST)).collect()
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
        let keys = NameKeys::of_secrets(None);
        assert_eq!(keys.stored_of(&names(&vehicle)).len(), 1);
        assert_eq!(item::record::<Vehicle>(&encode(&vehicle, "test").unwrap()).unwrap(), vehicle);
    }
}
