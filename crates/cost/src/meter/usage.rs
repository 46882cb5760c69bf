use std::collections::BTreeMap;

use roadcast_domain::ids::FleetId;

use super::Item;

/// Quantities of billed items, by fleet or common to all fleets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage(BTreeMap<(Item, Option<FleetId>), f64>);

impl Usage {
    /// Adds a quantity of an item, for one fleet or, with `None`, common to all.
    pub fn add(&mut self, item: Item, fleet_id: Option<&FleetId>, quantity: f64) {
        *self.0.entry((item, fleet_id.cloned())).or_default() += quantity;
    }

    /// Adds another usage, multiplied by `times`.
    pub fn add_scaled(&mut self, other: &Self, times: f64) {
        for ((item, fleet_id), quantity) in &other.0 {
            self.add(*item, fleet_id.as_ref(), quantity * times);
        }
    }

    /// Returns the total quantity of an item.
    pub fn total(&self, item: Item) -> f64 {
        self.0.iter().filter(|((counted, _), _)| *counted == item).map(|(_, quantity)| quantity).sum()
    }

    /// Returns the quantity of an item that was counted for one fleet.
    pub fn of_fleet(&self, item: Item, fleet_id: &FleetId) -> f64 {
        self.0.get(&(item, Some(fleet_id.clone()))).copied().unwrap_or_default()
    }

    /// Returns the quantity of an item that is common to all fleets.
    pub fn shared(&self, item: Item) -> f64 {
        self.0.get(&(item, None)).copied().unwrap_or_default()
    }

    /// Iterates over all quantities, ordered by item and fleet.
    pub fn iter(&self) -> impl Iterator<Item = (Item, Option<&FleetId>, f64)> {
        self.0.iter().map(|((item, fleet_id), quantity)| (*item, fleet_id.as_ref(), *quantity))
    }
}
