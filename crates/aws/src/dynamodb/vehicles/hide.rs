//! Hides erased vehicles: a vehicle becomes an item with the time of its erasure only, and its names are kept as digests for some
//! days.

use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::subject::VehicleName;
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use super::names::{NameEntries, NameEntry};
use super::{DynamoVehicles, decode, is_erased, names, owner_key};
use crate::dynamodb::attributes::VERSION;
use crate::dynamodb::item::{self, Item};
use crate::dynamodb::keys::Key;
use crate::dynamodb::name_keys::NameKeys;
use crate::dynamodb::transaction::{Condition, Transaction};

const HIDE: &str = "hiding an erased vehicle";

/// The attribute of an erased vehicle, whose item has no other one but its key and its version.
pub(super) const ERASED_AT: &str = "erasedAt";

impl DynamoVehicles {
    /// Hides a vehicle, as [`VehicleErasure::hide`](roadcast_ports::erasure::VehicleErasure::hide) states.
    ///
    /// One transaction of at most 2 items, and 6 for the VIN, and 4 for each of 16 external ids, changes all of them.
    pub(crate) async fn hide(&self, vehicle: &Vehicle, at: Timestamp) -> Result<(), PortError> {
        let conflict = || PortError::new(PortErrorKind::Conflict, HIDE);
        let key = Key::vehicle(&vehicle.vid);
        let stored = item::get(&self.client, &self.vehicles, &key, HIDE).await?.ok_or_else(conflict)?;
        if is_erased(&stored) {
            return Ok(());
        }
        let stored: Vehicle = decode(&stored, HIDE)?;
        if stored.version != vehicle.version {
            return Err(conflict());
        }
        let names = names(&stored);
        let keys = Box::pin(NameKeys::load_for_digests(&self.secrets, &names)).await?;
        let wanted = &keys.all_of(&names) | &keys.erased_of(&names);
        let entries = self.entries(&keys, wanted, HIDE).await?;

        let same_version = Condition::Equals(VERSION, AttributeValue::N(stored.version.to_string()));
        let mut hide = Transaction::new(&self.client, HIDE);
        hide = hide.put(&self.vehicles, erased_item(&key, stored.version + 1, at), &key, same_version)?;
        for name in &names {
            hide = self.hide_name(hide, &keys, &entries, name, &stored, at)?;
        }
        if let Some(key) = owner_key(&stored) {
            hide = hide.delete(&self.reference, &key, Condition::None)?;
        }
        hide = hide.increment(&self.reference, &Key::vehicles_version(), VERSION, Item::new())?;
        hide.commit().await
    }

    /// Moves the history of a name from its entries to its digests.
    fn hide_name(
        &self,
        mut hide: Transaction,
        keys: &NameKeys,
        entries: &NameEntries<'_>,
        name: &VehicleName,
        vehicle: &Vehicle,
        at: Timestamp,
    ) -> Result<Transaction, PortError> {
        let history = entries.find(name).map(|found| found.history.clone()).unwrap_or_default();
        if history.current().is_some_and(|holder| *holder != vehicle.vid) {
            return Err(PortError::new(PortErrorKind::Conflict, HIDE));
        }
        let digests = keys.erased(name);
        let earlier = digests.iter().find_map(|key| entries.get(key)).map(|entry| entry.history.clone()).unwrap_or_default();
        let erased = history.after(&earlier).erased(&vehicle.vid, at);
        for key in keys.all(name) {
            if let Some(entry) = entries.get(&key) {
                hide = hide.delete(&self.reference, &key, entry.unchanged())?;
            }
        }
        for key in digests {
            let unchanged = entries.get(&key).map_or_else(|| NameEntry::default().unchanged(), NameEntry::unchanged);
            hide = hide.put(&self.reference, super::names::item(&key, &erased, HIDE)?, &key, unchanged)?;
        }
        Ok(hide)
    }
}

fn erased_item(key: &Key, version: u64, at: Timestamp) -> Item {
    let mut item = key.attributes();
    item.insert(VERSION.to_owned(), AttributeValue::N(version.to_string()));
    item.insert(ERASED_AT.to_owned(), AttributeValue::S(at.to_string()));
    item
}
