//! In-memory caches of reference data.
//!
//! A change of reference data takes effect within [`TTL_MS`] wherever it is read through these caches. Cached entitlements
//! stay valid until the version of all entitlements changes, and the version is read every [`TTL_MS`]. A warm function
//! therefore reads one item every few seconds, regardless of the number of vehicles.

mod entitlements;
mod fleets;
mod vehicles;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use roadcast_domain::Timestamp;
use roadcast_ports::PortError;

pub use entitlements::CachedEntitlements;
pub use fleets::{CachedClients, CachedFleets, CachedPlans};
pub use vehicles::{CachedSubjects, CachedVehicles};

/// How long a value is cached, in milliseconds.
pub const TTL_MS: i64 = 5_000;
/// How long the `vid` of a subject is cached, in milliseconds. A `vid` never changes; a name that is reassigned to another
/// vehicle takes effect after this time.
pub const NAME_TTL_MS: i64 = 10 * 60 * 1000;
/// The maximum number of values in a cache: a warm function must not grow without bound.
const CAPACITY: usize = 50_000;

/// A cache whose values expire after a fixed time.
struct TtlCache<Key, Value> {
    ttl_ms: i64,
    values: Mutex<HashMap<Key, (Timestamp, Value)>>,
}

impl<Key: Eq + Hash + Clone, Value: Clone> TtlCache<Key, Value> {
    fn new(ttl_ms: i64) -> Self {
        Self { ttl_ms, values: Mutex::new(HashMap::new()) }
    }

    /// Returns the cached value of `key`, or loads it.
    async fn get_or_load<Load>(&self, key: &Key, now: Timestamp, load: impl FnOnce() -> Load) -> Result<Value, PortError>
    where
        Load: Future<Output = Result<Value, PortError>>,
    {
        if let Some((read_at, value)) = self.values.lock().unwrap_or_else(PoisonError::into_inner).get(key)
            && now.ms_since(*read_at) < self.ttl_ms
            && now >= *read_at
        {
            return Ok(value.clone());
        }
        let value = load().await?;
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if values.len() >= CAPACITY {
            values.clear();
        }
        values.insert(key.clone(), (now, value.clone()));
        Ok(value)
    }
}

impl<Key: Eq + Hash + Clone, Value: Clone> TtlCache<Key, Option<Value>> {
    /// As [`get_or_load`](Self::get_or_load), but does not cache `None`: an item that was missing a moment ago may exist by
    /// now.
    async fn get_or_load_existing<Load>(
        &self,
        key: &Key,
        now: Timestamp,
        load: impl FnOnce() -> Load,
    ) -> Result<Option<Value>, PortError>
    where
        Load: Future<Output = Result<Option<Value>, PortError>>,
    {
        let value = self.get_or_load(key, now, load).await?;
        if value.is_none() {
            self.values.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        }
        Ok(value)
    }
}
