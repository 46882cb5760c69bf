//! The event log's table in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_event_log::{EventItems, ItemPage, ItemRange, LogItem};
use roadcast_ports::{PortError, PortErrorKind};

use crate::lock;

/// Maximum size of a `DynamoDB` item, in bytes.
pub(crate) const ITEM_BYTES: usize = 400 * 1024;

/// A table of items for a [`SegmentedLog`](roadcast_event_log::SegmentedLog). Clones share one table.
#[derive(Clone, Debug, Default)]
pub struct MemoryItems {
    items: Arc<Mutex<BTreeMap<(VehicleId, String), LogItem>>>,
    refused: Arc<Mutex<BTreeSet<Eid>>>,
}

impl MemoryItems {
    /// Returns every item, ordered by vehicle and key.
    pub fn all(&self) -> Vec<LogItem> {
        lock(&self.items).values().cloned().collect()
    }

    /// Removes every item.
    pub fn clear(&self) {
        lock(&self.items).clear();
    }

    /// Refuses every item that contains this event, because of its data.
    pub fn refuse(&self, eid: Eid) {
        lock(&self.refused).insert(eid);
    }

    /// Removes the items of these vehicles, at most `limit`, and returns their number.
    pub(crate) fn remove_of(&self, is_erased: impl Fn(&VehicleId) -> bool, limit: usize) -> usize {
        let mut items = lock(&self.items);
        let keys: Vec<_> = items.keys().filter(|(vid, _)| is_erased(vid)).take(limit).cloned().collect();
        for key in &keys {
            items.remove(key);
        }
        keys.len()
    }

    fn check(&self, item: &LogItem) -> Result<(), PortError> {
        if item.item_bytes() > ITEM_BYTES {
            return Err(PortError::new(PortErrorKind::Rejected, "putting an item of more than 400 KB"));
        }
        let refused = lock(&self.refused);
        let is_refused = !refused.is_empty() && item.eids()?.iter().any(|eid| refused.contains(eid));
        if is_refused { Err(PortError::new(PortErrorKind::Rejected, "putting a refused event")) } else { Ok(()) }
    }
}

impl EventItems for MemoryItems {
    async fn put_new(&self, item: &LogItem) -> Result<(), PortError> {
        self.check(item)?;
        lock(&self.items).entry((item.vid().clone(), item.key())).or_insert_with(|| item.clone());
        Ok(())
    }

    async fn page(&self, range: &ItemRange<'_>) -> Result<ItemPage, PortError> {
        let items = lock(&self.items);
        let key = |text: &str| (range.vid.clone(), text.to_owned());
        let mut remaining = items.range(key(range.from)..=key(range.to)).map(|(_, item)| item.clone());
        let page: Vec<LogItem> = remaining.by_ref().take(range.limit.max(1)).collect();
        Ok(ItemPage { items: page, has_more: remaining.next().is_some() })
    }
}
