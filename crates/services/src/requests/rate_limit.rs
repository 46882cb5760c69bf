//! Rate limit: the requests per minute that a fleet's plan allows.
//!
//! Counting every request in a table would cost more than most requests do. Therefore each function instance grants a
//! twentieth of the quota per minute locally, which suffices for a poller, and leases further twentieths from a counter
//! that all instances share. A fleet gets its quota, plus at most a twentieth of it per function instance.

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
    /// Requests that this instance may grant.
    leased: u32,
    /// Requests that all instances have leased, as returned by the last lease.
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
        let now = self.clock.now();
        let started = Timestamp::from_ms(now.ms().div_euclid(WINDOW_MS) * WINDOW_MS);
        let lease = lease(plan);
        let mut window = self.window(fleet_id, started, lease);
        if window.used == window.leased && window.shared < plan.requests_per_minute() {
            window.shared = self.counter.add(fleet_id, started, lease).await?;
            // The last lease may be partial.
            let over = window.shared.saturating_sub(plan.requests_per_minute());
            window.leased += lease.saturating_sub(over);
        }
        let granted = window.used < window.leased;
        window.used += u32::from(granted);
        self.save(fleet_id, window);
        let reset_s = u32::try_from(started.plus_ms(WINDOW_MS).ms_since(now).max(0).div_euclid(1000)).unwrap_or(0).max(1);
        Ok(RateLimitStatus { quota: plan.requests_per_minute(), remaining: window.remaining(plan), reset_s, granted })
    }

    fn window(&self, fleet_id: &FleetId, started: Timestamp, lease: u32) -> Window {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let current = windows.get(fleet_id).copied().filter(|window| window.started == started);
        current.unwrap_or(Window { started, used: 0, leased: lease, shared: 0 })
    }

    fn save(&self, fleet_id: &FleetId, window: Window) {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).put(fleet_id.clone(), window);
    }
}

impl Window {
    /// The quota minus the requests granted here and leased by other instances; rather an underestimate than an
    /// overestimate.
    fn remaining(&self, plan: Plan) -> u32 {
        let from_local_lease = self.used.min(lease(plan));
        let from_shared_leases = if self.shared == 0 { 0 } else { self.shared.saturating_sub(self.leased - self.used) };
        plan.requests_per_minute().saturating_sub(from_local_lease + from_shared_leases)
    }
}

/// The requests of one lease.
const fn lease(plan: Plan) -> u32 {
    plan.requests_per_minute() / LEASES
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

    #[tokio::test]
    async fn grants_the_quota_plus_a_twentieth_per_instance() {
        let memory = Memory::default();
        let fleet_id = fleet(&memory, Plan::Standard).await;
        for instances in [1_u32, 3] {
            memory.clock().advance_ms(WINDOW_MS);
            let instances: Vec<_> = (0..instances).map(|_| instance(&memory)).collect();
            let mut granted = 0;
            for n in 0..3_000_usize {
                granted += u32::from(instances[n % instances.len()].acquire(&fleet_id).await.unwrap().granted);
            }
            assert_eq!(granted, 600 + 30 * u32::try_from(instances.len()).unwrap());
        }
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
            assert_eq!(status.granted, n < 630, "{n}");
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
        for _ in 0..300 {
            assert!(limiter.acquire(&fleet_id).await.unwrap().granted);
        }
        let window = Timestamp::from_ms(memory.clock().now().ms().div_euclid(WINDOW_MS) * WINDOW_MS);
        assert_eq!(memory.add(&fleet_id, window, 0).await.unwrap(), 0, "no shared lease");
        assert_eq!(limiter.acquire(&fleet_id).await.unwrap().quota, 6_000);
    }
}
