//! Rate limit: the requests per minute that a fleet's plan allows.
//!
//! Counting every request in a table would cost more than most requests do. Therefore each function instance grants a
//! sixtieth of the quota per minute without a write, which suffices for a poller, and leases twentieths of the quota from a
//! counter that all instances share. With its first lease, an instance also counts what it granted without a write. A fleet
//! gets its quota, plus at most a sixtieth of it per function instance besides the first: only an instance that starts after
//! the quota is used up grants requests that are not part of it.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use roadcast_domain::Timestamp;
use roadcast_domain::ids::FleetId;
use roadcast_domain::plan::Plan;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::requests::RateCounter;

use crate::cache::CachedPlans;

/// The length of a rate limit window, in milliseconds.
pub const WINDOW_MS: i64 = 60_000;
/// The number of leases that a quota is divided into.
const LEASES: u32 = 20;
/// The part of a quota that an instance grants without a write: for `standard`, a poll and an acknowledgement each 12 s.
const LOCAL_SHARES: u32 = 60;
/// The maximum number of fleets in memory: a warm function must not grow without bound. The least recently served fleet is
/// evicted.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Limits the request rates of fleets.
pub struct RateLimiter<Ports: PortSet> {
    plans: CachedPlans<Ports>,
    counter: Ports::RateCounter,
    clock: Ports::Clock,
    windows: Mutex<LruCache<FleetId, Window>>,
}

/// A fleet's rate limit after a request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// Requests allowed per window.
    pub quota: u32,
    /// Requests remaining in the current window, as known to this instance.
    pub remaining: u32,
    /// Seconds until the next window starts.
    pub reset_s: u32,
    /// Whether this request is allowed.
    pub granted: bool,
}

/// A fleet's requests in a window, as known to this instance.
#[derive(Copy, Clone, Debug)]
struct Window {
    started: Timestamp,
    /// Requests granted by this instance.
    used: u32,
    /// Requests that this instance may grant: its local share and its leases.
    leased: u32,
    /// Requests in the shared counter, as returned by the last lease; 0 before the first lease.
    shared: u32,
}

impl<Ports: PortSet> RateLimiter<Ports> {
    /// Limits rates by the fleets' `plans`; `counter` is shared by all instances.
    pub fn new(plans: CachedPlans<Ports>, counter: Ports::RateCounter, clock: Ports::Clock) -> Self {
        Self { plans, counter, clock, windows: Mutex::new(LruCache::sparse(CAPACITY)) }
    }

    /// Counts a request of the fleet, and returns whether it is allowed.
    pub async fn acquire(&self, fleet_id: &FleetId) -> Result<RateLimitStatus, PortError> {
        let plan = self.plans.get(fleet_id).await?;
        let quota = plan.requests_per_minute();
        let now = self.clock.now();
        let started = Timestamp::from_ms(now.ms().div_euclid(WINDOW_MS) * WINDOW_MS);
        let new = Window { started, used: 0, leased: local_share(plan), shared: 0 };
        let (mut granted, mut window) = self.grant(fleet_id, new, |_| {});
        if !granted && window.shared < quota {
            // The lock is not held meanwhile. Concurrent first leases count the local share more than once, never less.
            let unshared = if window.shared == 0 { local_share(plan) } else { 0 };
            let shared = self.counter.add(fleet_id, started, lease(plan) + unshared).await?;
            // The last lease may be partial.
            let leased = lease(plan).saturating_sub(shared.saturating_sub(quota));
            (granted, window) = self.grant(fleet_id, new, |window| {
                window.leased += leased;
                window.shared = window.shared.max(shared);
            });
        }
        let reset_s = u32::try_from(started.plus_ms(WINDOW_MS).ms_since(now).max(0).div_euclid(1000)).unwrap_or(0).max(1);
        Ok(RateLimitStatus { quota, remaining: window.remaining(plan), reset_s, granted })
    }

    /// Changes the fleet's current window, then grants a request if the window allows one. `new` replaces an older window.
    fn grant(&self, fleet_id: &FleetId, new: Window, change: impl FnOnce(&mut Window)) -> (bool, Window) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut window = windows.get(fleet_id).copied().filter(|window| window.started == new.started).unwrap_or(new);
        change(&mut window);
        let granted = window.used < window.leased;
        window.used += u32::from(granted);
        windows.put(fleet_id.clone(), window);
        (granted, window)
    }
}

impl Window {
    /// The quota minus the requests granted here and leased by other instances; rather an underestimate than an
    /// overestimate.
    fn remaining(&self, plan: Plan) -> u32 {
        let quota = plan.requests_per_minute();
        let used = if self.shared == 0 { self.used } else { self.shared.min(quota).saturating_sub(self.leased - self.used) };
        quota.saturating_sub(used)
    }
}

/// The requests of one lease.
const fn lease(plan: Plan) -> u32 {
    plan.requests_per_minute() / LEASES
}

/// The requests that an instance grants without a lease.
const fn local_share(plan: Plan) -> u32 {
    plan.requests_per_minute() / LOCAL_SHARES
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::fleet::Fleet;
    use roadcast_ports::fleets::Fleets as _;
    use roadcast_testbed::{InMemory, Memory, fixtures};

    use super::*;

    async fn fleet(memory: &Memory, plan: Plan) -> FleetId {
        let fleet_id = FleetId::from_random_bits(7);
        let name = "A fleet".to_owned();
        let fleet = Fleet::new(fleet_id.clone(), name, "bus".to_owned(), plan, memory.clock().now());
        memory.create(&fleet, &fixtures::change(&fleet_id)).await.unwrap();
        fleet_id
    }

    fn instance(memory: &Memory) -> RateLimiter<InMemory> {
        RateLimiter::new(CachedPlans::new(memory.clone(), memory.clock().clone()), memory.clone(), memory.clock().clone())
    }

    async fn granted(instance: &RateLimiter<InMemory>, fleet_id: &FleetId) -> u32 {
        u32::from(instance.acquire(fleet_id).await.unwrap().granted)
    }

    #[tokio::test]
    async fn parallel_instances_grant_the_quota_together() {
        let memory = Memory::default();
        let fleet_id = fleet(&memory, Plan::Standard).await;
        for instances in [1, 3, 12, 20] {
            memory.clock().advance_ms(WINDOW_MS);
            let instances: Vec<_> = (0..instances).map(|_| instance(&memory)).collect();
            let mut total = 0;
            for n in 0..3_000_usize {
                total += granted(&instances[n % instances.len()], &fleet_id).await;
            }
            // Of 20 instances, 15 count 40 requests each; the others find no lease after their local shares.
            let expected = if instances.len() == 20 { 600 + 50 } else { 600 };
            assert_eq!(total, expected, "{} instances", instances.len());
        }
    }

    #[tokio::test]
    async fn late_instance_grants_at_most_a_sixtieth_of_the_quota() {
        let memory = Memory::default();
        let fleet_id = fleet(&memory, Plan::Standard).await;
        let mut total = 0;
        for _ in 0..12 {
            let instance = instance(&memory);
            for _ in 0..1_000 {
                total += granted(&instance, &fleet_id).await;
            }
        }
        assert_eq!(total, 600 + 11 * 10);
    }

    #[tokio::test]
    async fn concurrent_requests_to_an_instance_share_its_window() {
        let memory = Memory::default();
        let fleet_id = fleet(&memory, Plan::Standard).await;
        let limiter = instance(&memory);
        let requests = (0..1_000).map(|_| granted(&limiter, &fleet_id));
        let total: u32 = futures::future::join_all(requests).await.into_iter().sum();
        assert_eq!(total, 600);
    }

    #[tokio::test]
    async fn remaining_decreases_and_resets_in_the_next_window() {
        let memory = Memory::default();
        let fleet_id = fleet(&memory, Plan::Standard).await;
        let limiter = instance(&memory);
        let mut before = u32::MAX;
        for n in 0..700 {
            let status = limiter.acquire(&fleet_id).await.unwrap();
            assert!(status.remaining <= before, "{n}");
            assert_eq!(status.granted, n < 600, "{n}");
            before = status.remaining;
        }
        assert_eq!(before, 0);
        memory.clock().advance_ms(WINDOW_MS);
        let status = limiter.acquire(&fleet_id).await.unwrap();
        assert_eq!(status, RateLimitStatus { quota: 600, remaining: 599, reset_s: status.reset_s, granted: true });
        assert!((1..=60).contains(&status.reset_s));
    }

    #[tokio::test]
    async fn poller_needs_no_shared_lease_and_plan_sets_the_quota() {
        let memory = Memory::default();
        let fleet_id = fleet(&memory, Plan::Plus).await;
        let limiter = instance(&memory);
        for _ in 0..100 {
            assert!(limiter.acquire(&fleet_id).await.unwrap().granted);
        }
        let window = Timestamp::from_ms(memory.clock().now().ms().div_euclid(WINDOW_MS) * WINDOW_MS);
        assert_eq!(memory.add(&fleet_id, window, 0).await.unwrap(), 0, "no shared lease");
        assert_eq!(limiter.acquire(&fleet_id).await.unwrap().quota, 6_000);
    }
}
