//! Placement: the delivery bus of a new fleet.
//!
//! Each fleet has one rule on its bus, beside that of webhooks, and EventBridge limits the rules of a bus. The first bus is that of the template;
//! provisioning creates the others when it creates the first rule on them.

use std::collections::BTreeMap;

/// The number of delivery buses that fleets are distributed over, at most. An account has at most 100 buses by default.
const MAX_BUSES: u32 = 90;
/// The number of rules of a bus that belong to no fleet: that of webhooks.
const SHARED_RULES: u32 = 1;

/// The delivery buses of a stack, and how many rules each of them can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryBuses {
    /// The name of the first bus. The others have it as prefix, followed by a hyphen and their number.
    pub first: String,
    /// The maximum number of rules on a bus, its quota: one of webhooks, and one of each fleet. If it is lowered, fleets stay where
    /// they are.
    pub rules_per_bus: u32,
}

impl DeliveryBuses {
    /// Returns the maximum number of fleets on a bus.
    pub(super) const fn fleets_per_bus(&self) -> u32 {
        self.rules_per_bus.saturating_sub(SHARED_RULES)
    }

    /// Returns the buses that have room according to `counts`, the first one first.
    pub(super) fn with_room(&self, counts: &BTreeMap<String, u32>) -> impl Iterator<Item = String> {
        let has_room = |name: &String| counts.get(name).is_none_or(|count| *count < self.fleets_per_bus());
        (1..=MAX_BUSES).map(|number| self.name(number)).filter(has_room)
    }

    fn name(&self, number: u32) -> String {
        if number == 1 { self.first.clone() } else { format!("{}-{number}", self.first) }
    }
}
