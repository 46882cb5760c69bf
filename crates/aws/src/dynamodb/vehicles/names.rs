//! The entry of a name in `reference`: the history of its holders as the record. The entry of a name that no vehicle has
//! expires.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::name_history::NameHistory;
use roadcast_domain::subject::VehicleName;
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::PortError;

use crate::dynamodb::item::{self, InvalidAttribute, Item, RECORD};
use crate::dynamodb::keys::{EXPIRES_AT, Key};
use crate::dynamodb::name_keys::NameKeys;
use crate::dynamodb::transaction::Condition;

/// A stored entry; without a record if the name has none.
#[derive(Clone, Debug, Default)]
pub(super) struct NameEntry {
    pub(super) history: NameHistory,
    record: Option<String>,
}

impl NameEntry {
    pub(super) fn decode(item: &Item) -> Result<Self, InvalidAttribute> {
        Ok(Self { history: item::record(item)?, record: Some(item::text(item, RECORD)?.to_owned()) })
    }

    /// Returns the condition that the entry was not changed since it was read.
    pub(super) fn unchanged(&self) -> Condition {
        match &self.record {
            None => Condition::Absent,
            Some(record) => Condition::Equals(RECORD, AttributeValue::S(record.clone())),
        }
    }
}

/// The stored entries of names. While the secret of the stack is rotated, a VIN has an entry under each secret.
pub(super) struct NameEntries<'k> {
    keys: &'k NameKeys,
    by_key: BTreeMap<Key, NameEntry>,
}

/// The entry of a name that decides.
pub(super) struct FoundEntry<'e> {
    pub(super) history: &'e NameHistory,
    /// Whether the entry is under the current secret.
    pub(super) is_current: bool,
}

/// The new history of an entry, with its key and the stored entry.
type ChangedEntry = (Key, NameEntry, NameHistory);

impl<'k> NameEntries<'k> {
    pub(super) const fn new(keys: &'k NameKeys, by_key: BTreeMap<Key, NameEntry>) -> Self {
        Self { keys, by_key }
    }

    /// Names without entries.
    pub(super) const fn none(keys: &'k NameKeys) -> Self {
        Self::new(keys, BTreeMap::new())
    }

    /// Returns the entry with this key.
    pub(super) fn get(&self, key: &Key) -> Option<&NameEntry> {
        self.by_key.get(key)
    }

    /// Returns the entry of a name: under the current secret, or else under the previous one. An entry with a holder is
    /// preferred: a function that does not know the current secret as such yet writes the other entry only.
    pub(super) fn find(&self, name: &VehicleName) -> Option<FoundEntry<'_>> {
        let keys = self.keys.stored(name);
        let mut found = keys.iter().enumerate().filter_map(|(index, key)| Some((index, self.by_key.get(key)?)));
        let held = found.clone().find(|(_, entry)| entry.history.current().is_some());
        let (index, entry) = held.or_else(|| found.next())?;
        Some(FoundEntry { history: &entry.history, is_current: index == 0 })
    }

    /// Returns the vehicles that have these names.
    pub(super) fn holders(&self) -> BTreeSet<&VehicleId> {
        self.by_key.values().filter_map(|entry| entry.history.current()).collect()
    }

    /// Returns the entries that change if the vehicle takes `names`; `None` if another vehicle has one of them.
    pub(super) fn hold(&self, names: &[VehicleName], vehicle: &Vehicle) -> Option<Vec<ChangedEntry>> {
        let mut changed = BTreeMap::new();
        for name in names {
            let keys = self.keys.all(name);
            let holders = keys.iter().filter_map(|key| self.by_key.get(key)?.history.current());
            if holders.into_iter().any(|holder| *holder != vehicle.vid) {
                return None;
            }
            let history = self.find(name).map_or_else(NameHistory::default, |found| found.history.clone());
            let held = history.held_by(&vehicle.vid, vehicle.updated_at)?;
            let stored = self.keys.stored(name);
            // An entry that exists under the pending secret must not state an earlier holder.
            for key in keys.into_iter().filter(|key| stored.contains(key) || self.by_key.contains_key(key)) {
                let entry = self.by_key.get(&key).cloned().unwrap_or_default();
                if entry.history != held {
                    changed.insert(key, (entry, held.clone()));
                }
            }
        }
        Some(changed.into_iter().map(|(key, (entry, history))| (key, entry, history)).collect())
    }

    /// Returns the entries that change if the vehicle releases `names`, under whichever secret they are; `None` if another
    /// vehicle has one of them.
    pub(super) fn release(&self, names: &[VehicleName], vehicle: &Vehicle) -> Option<Vec<ChangedEntry>> {
        let keys = self.keys.all_of(names).into_iter();
        let stored = keys.filter_map(|key| self.by_key.get(&key).map(|entry| (key, entry.clone())));
        let held = stored.filter(|(_, entry)| entry.history.current().is_some());
        let release = |(key, entry): (Key, NameEntry)| {
            let released = entry.history.released_by(&vehicle.vid, vehicle.updated_at)?;
            Some((key, entry, released))
        };
        held.map(release).collect()
    }
}

/// Returns the item of an entry.
pub(super) fn item(key: &Key, history: &NameHistory, context: &'static str) -> Result<Item, PortError> {
    let mut item = item::with_record(key, history, context)?;
    if let Some(expires_at) = history.expires_at() {
        let seconds = expires_at.ms().div_euclid(1000) + 1;
        item.insert(EXPIRES_AT.to_owned(), AttributeValue::N(seconds.to_string()));
    }
    Ok(item)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::external_id::ExternalId;
    use roadcast_domain::ids::VehicleId;
    use roadcast_domain::name_history::{FORMER_HOLDER_MS, RELEASE_DELAY_MS};
    use roadcast_signals::Timestamp;

    use super::*;

    #[test]
    fn only_the_entry_of_a_released_name_expires() {
        let (key, vid) = (Key::external_id(&ExternalId::new("bus", "2619").unwrap()), VehicleId::from_random_bits(1));
        let at = Timestamp::from_ms(1_714_564_800_000);
        let held = NameHistory::default().held_by(&vid, at).unwrap();
        let released = held.released_by(&vid, at.plus_ms(7)).unwrap();
        for history in [&held, &released] {
            let stored = NameEntry::decode(&item(&key, history, "test").unwrap()).unwrap();
            assert_eq!(stored.history, *history);
            assert!(matches!(stored.unchanged(), Condition::Equals(RECORD, _)));
        }
        assert!(matches!(NameEntry::default().unchanged(), Condition::Absent));
        let expires_at = |history| item::number::<i64>(&item(&key, history, "test").unwrap(), EXPIRES_AT).unwrap();
        let last_needed_s = (at.ms() + 7 + RELEASE_DELAY_MS + FORMER_HOLDER_MS) / 1000;
        assert_eq!((expires_at(&held), expires_at(&released)), (None, Some(last_needed_s + 1)));
    }
}
