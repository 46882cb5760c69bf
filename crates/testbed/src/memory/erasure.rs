//! Erasures in memory. Each part of a store is small, so that a test can interrupt an erasure at many places.

use std::sync::Arc;

use roadcast_codec::erasure::{ArchivedRecord, Remainder, letter_without, owns_item, record_without};
use roadcast_codec::stream_record::RecordTexts;
use roadcast_domain::erasure::{ErasedStore, Erasure, ErasureScope, StoreCounts};
use roadcast_domain::ids::{ErasureId, VehicleId};
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::archive::{RawBatch, RawRecord};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::erasure::{ErasedPart, Erasures, VehicleErasure};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use super::Memory;
use super::state::{MemoryState, insert_new};
use crate::{MemoryBulk, MemoryItems};

/// The number of items of a part.
const PART: usize = 3;

impl Erasures for Memory {
    async fn create(&self, erasure: &Erasure) -> Result<(), PortError> {
        insert_new(&mut self.state().erasures, erasure.erasure_id.clone(), erasure, "creating an erasure")
    }

    async fn get(&self, erasure_id: &ErasureId) -> Result<Option<Erasure>, PortError> {
        Ok(self.state().erasures.get(erasure_id).cloned())
    }

    async fn list(&self, after: Option<&ErasureId>, limit: usize) -> Result<Vec<Erasure>, PortError> {
        let state = self.state();
        let following = state.erasures.values().filter(|erasure| after.is_none_or(|after| erasure.erasure_id > *after));
        Ok(following.take(limit).cloned().collect())
    }

    async fn replace(&self, erasure: &Erasure) -> Result<(), PortError> {
        match self.state().erasures.get_mut(&erasure.erasure_id) {
            Some(stored) if stored.revision == erasure.revision => {
                *stored = Erasure { revision: erasure.revision + 1, ..erasure.clone() };
                Ok(())
            }
            _ => Err(PortError::new(PortErrorKind::Conflict, "replacing an erasure")),
        }
    }
}

/// Erases what the ports in memory store.
#[derive(Clone, Debug)]
pub struct MemoryErasure {
    /// Most stores.
    pub memory: Memory,
    /// The table of the event log.
    pub items: MemoryItems,
    /// The vehicle mappings.
    pub bulk: MemoryBulk,
}

impl VehicleErasure for MemoryErasure {
    async fn hide(&self, vehicle: &Vehicle, at: Timestamp) -> Result<(), PortError> {
        let mut state = self.memory.state();
        if state.erased_vehicles.contains(&vehicle.vid) {
            return Ok(());
        }
        if state.vehicles.get(&vehicle.vid).map(|stored| stored.version) != Some(vehicle.version) {
            return Err(PortError::new(PortErrorKind::Conflict, "hiding a vehicle"));
        }
        for name in vehicle.names() {
            let history = state.names.entry(name).or_default();
            *history = history.erased(&vehicle.vid, at);
        }
        state.vehicles.remove(&vehicle.vid);
        state.erased_vehicles.insert(vehicle.vid.clone());
        state.vehicles_version += 1;
        Ok(())
    }

    async fn erase(&self, store: ErasedStore, scope: &ErasureScope, after: Option<&str>) -> Result<ErasedPart, PortError> {
        let is_erased = |vid: &VehicleId| scope.contains(vid);
        let mut state = self.memory.state();
        let start = after.and_then(|position| position.parse().ok()).unwrap_or_default();
        let whole = |removed: usize| ErasedPart { next: None, counts: counts(removed, removed, 0) };
        Ok(match store {
            ErasedStore::Grants => {
                let before = state.grants.len() + state.epochs.len();
                state.grants.retain(|(vid, _), _| !is_erased(vid));
                state.epochs.retain(|(_, vid), _| !is_erased(vid));
                state.entitlements_version += 1;
                whole(before - state.grants.len() - state.epochs.len())
            }
            ErasedStore::Mappings => whole(self.bulk.remove_mappings_of(is_erased)),
            ErasedStore::Events => {
                state.events.retain(|(vid, _), _| !is_erased(vid));
                let removed = self.items.remove_of(is_erased, PART);
                ErasedPart { next: (removed == PART).then(String::new), counts: counts(removed, removed, 0) }
            }
            ErasedStore::States => {
                let before = state.states.len();
                state.states.retain(|vid, _| !is_erased(vid));
                whole(before - state.states.len())
            }
            ErasedStore::AlertState => whole(state.alert_state.remove_of(is_erased)),
            ErasedStore::FeedIndex => whole(state.erase_pointers(is_erased)),
            ErasedStore::Deliveries => whole(state.webhooks.remove_of(is_erased)),
            ErasedStore::Archive => {
                part(&mut state.archived, start, |(written_at, batch)| match batch_without(scope, batch) {
                    Change::Keep => Change::Keep,
                    Change::Remove => Change::Remove,
                    Change::Replace(batch) => Change::Replace((*written_at, batch)),
                })
            }
            ErasedStore::Quarantine => part(&mut state.quarantined, start, |item| {
                let is_old = item.arrived_at < scope.since();
                if !is_old && owns_item(scope, item.vid.as_ref(), item.arrived_at, &item.bytes) {
                    Change::Remove
                } else {
                    Change::Keep
                }
            }),
            ErasedStore::DeadLetters => state.erase_letters(scope, start, self.memory.clock.now()),
        })
    }
}

impl MemoryState {
    fn erase_pointers(&mut self, is_erased: impl Fn(&VehicleId) -> bool) -> usize {
        let mut removed = 0;
        for pointers in self.pointers.values_mut() {
            for pointer in pointers.iter_mut() {
                let before = pointer.events.len();
                pointer.events.retain(|(vid, _)| !is_erased(vid));
                removed += usize::from(pointer.events.len() < before);
            }
            pointers.retain(|pointer| !pointer.events.is_empty());
        }
        removed
    }

    fn erase_letters(&mut self, scope: &ErasureScope, start: usize, now: Timestamp) -> ErasedPart {
        let mut keys = self.letters.objects();
        let letters = &mut self.letters;
        let mut found =
            part(&mut keys, start, |key| match letters.content(key).map(|bytes| letter_without(scope, &bytes, now)) {
                Some(Remainder::Nothing) => {
                    letters.rewrite(key, None);
                    Change::Remove
                }
                Some(Remainder::Changed(bytes)) => {
                    letters.rewrite(key, Some(bytes));
                    Change::Replace(key.clone())
                }
                Some(Remainder::Unchanged) | None => Change::Keep,
            });
        if found.next.is_none() {
            // The objects of the quarantine are not objects here: their letters stay.
            let removed = letters.remove_without_content(|content| content.key.starts_with("quarantine/"));
            found.counts.add(counts(removed, removed, 0));
        }
        found
    }
}

/// What happens to an item.
enum Change<T> {
    Keep,
    Replace(T),
    Remove,
}

fn batch_without(scope: &ErasureScope, batch: &RawBatch) -> Change<RawBatch> {
    let mut texts = RecordTexts::default();
    let rest_of = |record: &Arc<RawRecord>| {
        let RawRecord { partition_key, arrived_at, data, .. } = &**record;
        match record_without(scope, ArchivedRecord { partition_key, arrived_at: *arrived_at, data }, &mut texts) {
            Remainder::Unchanged => Some(Arc::clone(record)),
            Remainder::Changed(data) => Some(Arc::new(RawRecord { data, ..(**record).clone() })),
            Remainder::Nothing => None,
        }
    };
    let records: Vec<Arc<RawRecord>> = batch.records.iter().filter_map(rest_of).collect();
    if records == batch.records {
        Change::Keep
    } else if records.is_empty() {
        Change::Remove
    } else {
        Change::Replace(RawBatch { records, ..batch.clone() })
    }
}

/// Changes the items from an index on, and returns the index of the next part as its position.
fn part<T>(items: &mut Vec<T>, start: usize, mut change: impl FnMut(&T) -> Change<T>) -> ErasedPart {
    let (mut index, mut found) = (start, StoreCounts::default());
    while index < items.len() && found.examined < PART as u64 {
        found.examined += 1;
        match change(&items[index]) {
            Change::Keep => index += 1,
            Change::Replace(item) => {
                items[index] = item;
                found.rewritten += 1;
                index += 1;
            }
            Change::Remove => {
                items.remove(index);
                found.removed += 1;
            }
        }
    }
    ErasedPart { next: (index < items.len()).then(|| index.to_string()), counts: found }
}

fn counts(examined: usize, removed: usize, rewritten: usize) -> StoreCounts {
    StoreCounts { examined: examined as u64, removed: removed as u64, rewritten: rewritten as u64 }
}
