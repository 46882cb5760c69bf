use std::collections::BTreeMap;

use roadcast_domain::ids::FleetId;

use super::Item;

/// How much of what was used, by whom: a fleet, or all together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage(BTreeMap<(Item, Option<FleetId>), f64>);

impl Usage {
    /// Adds so much.
    pub fn add(&mut self, item: Item, fleet_id: Option<&FleetId>, quantity: f64) {
        *self.0.entry((item, fleet_id.cloned())).or_default() += quantity;
    }

    /// Adds another, so many times.
    pub fn add_times(&mut self, other: &Self, times: f64) {
        for ((item, fleet_id), quantity) in &other.0 {
            self.add(*item, fleet_id.as_ref(), quantity * times);
        }
    }

    /// How much of an item was used by everybody.
    pub fn total(&self, item: Item) -> f64 {
        self.0.iter().filter(|((counted, _), _)| *counted == item).map(|(_, quantity)| quantity).sum()
    }

    /// How much of an item was used for one fleet alone.
    pub fn of_fleet(&self, item: Item, fleet_id: &FleetId) -> f64 {
        self.0.get(&(item, Some(fleet_id.clone()))).copied().unwrap_or_default()
    }

    /// How much of an item was used for all fleets together.
    pub fn shared(&self, item: Item) -> f64 {
        self.0.get(&(item, None)).copied().unwrap_or_default()
    }

    /// Everything, by item and fleet.
    pub fn iter(&self) -> impl Iterator<Item = (Item, Option<&FleetId>, f64)> {
        self.0.iter().map(|((item, fleet_id), quantity)| (*item, fleet_id.as_ref(), *quantity))
    }
}
