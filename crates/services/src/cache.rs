//! In-memory caches of reference data.
//!
//! A change of reference data takes effect within [`TTL_MS`] wherever it is read through these caches. Cached entitlements
//! and vehicles stay valid until the version of all entitlements, or of all vehicles, changes, and the version is read every
//! [`TTL_MS`]. A warm function therefore reads two items every few seconds, regardless of the number of vehicles.

mod alert_rules;
mod endpoints;
mod entitlements;
mod fleets;
mod vehicles;

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use roadcast_domain::Timestamp;
use roadcast_ports::PortError;

pub use alert_rules::CachedAlertRules;
pub(crate) use alert_rules::RulesSummary;
pub use endpoints::{CachedEndpoints, OpenedTexts};
pub use entitlements::CachedEntitlements;
pub use fleets::{CachedClients, CachedFleets, CachedPlans};
pub(crate) use vehicles::BatchSubjects;
pub use vehicles::{CachedSubjects, CachedVehicles};

/// How long a value is cached, in milliseconds.
pub const TTL_MS: i64 = 5_000;
/// How long a vehicle and the `vid` of a subject are cached, in milliseconds, as long as the version of all vehicles does not
/// change. A change that does not concern the resolution of events, such as of the make, takes effect after this time.
pub const NAME_TTL_MS: i64 = 10 * 60 * 1000;
/// The maximum number of values in a cache: a warm function must not grow without bound. The least recently used value is
/// evicted.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(50_000).unwrap();

/// A cache whose values expire after a fixed time.
struct TtlCache<Key, Value> {
    ttl_ms: i64,
    values: Mutex<LruCache<Key, (Timestamp, Value)>>,
}

impl<Key: Eq + Hash + Clone, Value: Clone> TtlCache<Key, Value> {
    fn new(ttl_ms: i64) -> Self {
        Self::with_capacity(ttl_ms, CAPACITY)
    }

    fn with_capacity(ttl_ms: i64, capacity: NonZeroUsize) -> Self {
        Self { ttl_ms, values: Mutex::new(LruCache::sparse(capacity)) }
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
        self.values.lock().unwrap_or_else(PoisonError::into_inner).put(key.clone(), (now, value.clone()));
        Ok(value)
    }

    fn remove(&self, key: &Key) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).pop(key);
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
            self.remove(key);
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn full_cache_evicts_the_least_recently_used_value() {
        let cache = TtlCache::new(TTL_MS);
        let now = Timestamp::from_ms(0);
        let loads = std::cell::Cell::new(0_usize);
        let read = async |key: usize| {
            let load = || async {
                loads.set(loads.get() + 1);
                Ok(key)
            };
            assert_eq!(cache.get_or_load(&key, now, load).await.ok(), Some(key));
        };
        for key in 0..CAPACITY.get() {
            read(key).await;
        }
        read(0).await;
        assert_eq!(loads.get(), CAPACITY.get());
        read(CAPACITY.get()).await;
        read(0).await;
        assert_eq!(loads.get(), CAPACITY.get() + 1, "a value that is in use is kept");
        read(1).await;
        assert_eq!(loads.get(), CAPACITY.get() + 2, "the least recently used value was evicted");
    }
}
