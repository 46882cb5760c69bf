//! How much a fleet may ask for: so many requests a minute, by its plan.
//!
//! To count every request in a table would cost more than most requests do. So a copy of a function grants a twentieth of a
//! minute's quota by itself, which is all that a poller ever uses, and leases further twentieths from a count that all copies
//! share. A fleet gets its quota, and at most a twentieth for each copy more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use roadcast_domain::Timestamp;
use roadcast_domain::ids::FleetId;
use roadcast_domain::plan::Plan;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::requests::RateCounter;

use crate::cache::CachedPlans;

/// The length of a window, in milliseconds.
pub const WINDOW_MS: i64 = 60_000;
/// Into how many leases a quota is cut.
const LEASES: u32 = 20;
/// Fleets remembered at a time: a warm function must not grow without end.
const CAPACITY: usize = 10_000;

/// Grants requests to fleets.
pub struct RateLimiter<F, R, K> {
    plans: CachedPlans<F, K>,
    counts: R,
    clock: K,
    windows: Mutex<HashMap<FleetId, Window>>,
}

/// How a fleet stands with its quota after a request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// Requests that it may make in a window.
    pub quota: u32,
    /// Requests that it may still make in this one, as far as is known here.
    pub remaining: u32,
    /// Seconds until the next window begins.
    pub reset_s: u32,
    /// Whether this request is granted.
    pub granted: bool,
}

/// A fleet's requests in a window, as far as they are known here.
#[derive(Copy, Clone, Debug)]
struct Window {
    began: Timestamp,
    /// Requests granted here.
    used: u32,
    /// Requests that may be granted here.
    leased: u32,
    /// Requests that all copies have leased, as the last lease told.
    shared: u32,
}

impl<F: Fleets, R: RateCounter, K: Clock> RateLimiter<F, R, K> {
    /// Grants requests by the plans of `plans`, counted in `counts`.
    pub fn new(plans: CachedPlans<F, K>, counts: R, clock: K) -> Self {
        Self { plans, counts, clock, windows: Mutex::default() }
    }

    /// Grants a request of the fleet, or does not.
    pub async fn take(&self, fleet_id: &FleetId) -> Result<RateLimitStatus, PortError> {
        let plan = self.plans.of(fleet_id).await?;
        let now = self.clock.now();
        let began = Timestamp::from_ms(now.ms().div_euclid(WINDOW_MS) * WINDOW_MS);
        let lease = lease(plan);
        let mut window = self.window(fleet_id, began, lease);
        if window.used == window.leased && window.shared < plan.requests_per_minute() {
            window.shared = self.counts.add(fleet_id, began, lease).await?;
            // The last lease may be a part of one.
            let over = window.shared.saturating_sub(plan.requests_per_minute());
            window.leased += lease.saturating_sub(over);
        }
        let granted = window.used < window.leased;
        window.used += u32::from(granted);
        self.remember(fleet_id, window);
        let reset_s = u32::try_from(began.plus_ms(WINDOW_MS).ms_since(now).max(0).div_euclid(1000)).unwrap_or(0).max(1);
        Ok(RateLimitStatus { quota: plan.requests_per_minute(), remaining: window.remaining(plan), reset_s, granted })
    }

    fn window(&self, fleet_id: &FleetId, began: Timestamp, lease: u32) -> Window {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let known = windows.get(fleet_id).copied().filter(|window| window.began == began);
        known.unwrap_or(Window { began, used: 0, leased: lease, shared: 0 })
    }

    fn remember(&self, fleet_id: &FleetId, window: Window) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= CAPACITY {
            windows.clear();
        }
        windows.insert(fleet_id.clone(), window);
    }
}

impl Window {
    /// The quota without what was used here and what others leased: rather less than is left than more.
    fn remaining(&self, plan: Plan) -> u32 {
        let of_the_first_lease = self.used.min(lease(plan));
        let of_shared_leases = if self.shared == 0 { 0 } else { self.shared.saturating_sub(self.leased - self.used) };
        plan.requests_per_minute().saturating_sub(of_the_first_lease + of_shared_leases)
    }
}

const fn lease(plan: Plan) -> u32 {
    plan.requests_per_minute() / LEASES
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::fleet::Fleet;
    use roadcast_ports::fleets::Fleets as _;
    use roadcast_testbed::{ManualClock, Memory};

    use super::*;

    async fn fleet(memory: &Memory, plan: Plan) -> FleetId {
        let fleet_id = FleetId::from_random(7);
        let name = "A fleet".to_owned();
        let fleet = Fleet::new(fleet_id.clone(), name, "bus".to_owned(), plan, memory.clock().now());
        memory.create(&fleet, None).await.unwrap();
        fleet_id
    }

    fn copy(memory: &Memory) -> RateLimiter<Memory, Memory, ManualClock> {
        RateLimiter::new(CachedPlans::new(memory.clone(), memory.clock().clone()), memory.clone(), memory.clock().clone())
    }

    #[tokio::test]
    async fn a_fleet_gets_its_quota_a_minute_and_a_twentieth_for_each_copy_more() {
        let memory = Memory::default();
        let fleet_id = fleet(&memory, Plan::Standard).await;
        for copies in [1_u32, 3] {
            memory.clock().advance_ms(WINDOW_MS);
            let copies: Vec<_> = (0..copies).map(|_| copy(&memory)).collect();
            let mut granted = 0;
            for n in 0..3_000_usize {
                granted += u32::from(copies[n % copies.len()].take(&fleet_id).await.unwrap().granted);
            }
            assert_eq!(granted, 600 + 30 * u32::try_from(copies.len()).unwrap());
        }
    }

    #[tokio::test]
    async fn what_remains_falls_with_each_request_and_is_back_in_the_next_minute() {
        let memory = Memory::default();
        let fleet_id = fleet(&memory, Plan::Standard).await;
        let quota = copy(&memory);
        let mut before = u32::MAX;
        for n in 0..700 {
            let standing = quota.take(&fleet_id).await.unwrap();
            assert!(standing.remaining <= before, "{n}");
            assert_eq!(standing.granted, n < 630, "{n}");
            before = standing.remaining;
        }
        assert_eq!(before, 0);
        memory.clock().advance_ms(WINDOW_MS);
        let standing = quota.take(&fleet_id).await.unwrap();
        assert_eq!(standing, RateLimitStatus { quota: 600, remaining: 599, reset_s: standing.reset_s, granted: true });
        assert!((1..=60).contains(&standing.reset_s));
    }

    #[tokio::test]
    async fn a_poller_costs_no_write_and_a_plan_is_a_larger_quota() {
        let memory = Memory::default();
        let fleet_id = fleet(&memory, Plan::Plus).await;
        let quota = copy(&memory);
        for _ in 0..300 {
            assert!(quota.take(&fleet_id).await.unwrap().granted);
        }
        let window = Timestamp::from_ms(memory.clock().now().ms().div_euclid(WINDOW_MS) * WINDOW_MS);
        assert_eq!(memory.add(&fleet_id, window, 0).await.unwrap(), 0, "nothing was leased");
        assert_eq!(quota.take(&fleet_id).await.unwrap().quota, 6_000);
    }
}
