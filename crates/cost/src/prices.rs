//! The price sheet.

use std::collections::BTreeMap;

use crate::meter::Item;
use serde::Deserialize;

/// What an item costs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Price {
    #[serde(rename = "item")]
    name: String,
    /// The service that bills it.
    pub service: String,
    /// What it is.
    pub what: String,
    /// What one of it is called.
    pub unit: String,
    #[serde(rename = "price")]
    dollars: f64,
    tiers: String,
    /// How many are free each month.
    pub free_per_month: f64,
    /// When the price was read.
    pub as_of: String,
    /// What else there is to say.
    pub note: String,
}

/// Prices by item, for one region.
#[derive(Clone, Debug)]
pub struct Prices(BTreeMap<Item, (Price, Vec<(f64, f64)>)>);

/// Why a price sheet cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    /// Not a table of prices.
    #[error("the price sheet cannot be read")]
    Form(#[from] csv::Error),
    /// A row about something that nothing counts.
    #[error("no item is called {0:?}")]
    Item(String),
    /// Tiers that are not `quantity:price`, separated by bars.
    #[error("the tiers of {0} cannot be read")]
    Tiers(String),
    /// An item without a price.
    #[error("{0} has no price")]
    Missing(&'static str),
}

impl Prices {
    /// The sheet that comes with this release: us-east-1.
    pub fn ours() -> Result<Self, PriceError> {
        Self::read(include_str!("../../../infra/prices.csv"))
    }

    /// A sheet: every item once.
    pub fn read(sheet: &str) -> Result<Self, PriceError> {
        let mut prices = BTreeMap::new();
        for row in csv::Reader::from_reader(sheet.as_bytes()).deserialize() {
            let price: Price = row?;
            let item = Item::from_name(&price.name).ok_or_else(|| PriceError::Item(price.name.clone()))?;
            let tiers = read_tiers(&price.tiers).ok_or_else(|| PriceError::Tiers(price.name.clone()))?;
            prices.insert(item, (price, tiers));
        }
        match Item::ALL.into_iter().find(|item| !prices.contains_key(item)) {
            Some(missing) => Err(PriceError::Missing(missing.name())),
            None => Ok(Self(prices)),
        }
    }

    /// The price of an item.
    pub fn of(&self, item: Item) -> &Price {
        // Every item has one: `read` saw to it.
        &self.0[&item].0
    }

    /// Dollars for so many of an item in a month, beyond what is free.
    pub fn dollars(&self, item: Item, quantity: f64) -> f64 {
        let (price, tiers) = &self.0[&item];
        let billed = (quantity - price.free_per_month).max(0.0);
        let mut dollars = 0.0;
        let mut from = 0.0;
        let mut each = price.dollars;
        for (start, next) in tiers {
            dollars += (billed.min(*start) - from).max(0.0) * each;
            from = *start;
            each = *next;
        }
        dollars + (billed - from).max(0.0) * each
    }
}

fn read_tiers(text: &str) -> Option<Vec<(f64, f64)>> {
    let tier = |tier: &str| {
        let (start, price) = tier.split_once(':')?;
        Some((start.parse().ok()?, price.parse().ok()?))
    };
    text.split('|').filter(|tier| !tier.is_empty()).map(tier).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn our_sheet_prices_every_item_and_dates_each() {
        let prices = Prices::ours().unwrap();
        assert!(Item::ALL.into_iter().all(|item| prices.of(item).as_of.starts_with("20")));
    }

    #[test]
    fn what_is_free_is_free_and_what_is_much_is_cheaper() {
        let prices = Prices::ours().unwrap();
        assert!(prices.dollars(Item::LambdaRequest, 1e6).abs() < 1e-9);
        assert!((prices.dollars(Item::LambdaRequest, 2e6) - 0.2).abs() < 1e-9);
        let rest = prices.dollars(Item::RestRequest, 500e6);
        assert!((rest - (333.0 * 3.5 + 167.0 * 2.8)).abs() < 1e-6, "{rest}");
    }

    #[test]
    fn a_sheet_that_lacks_a_price_is_refused() {
        let error = Prices::read("item,service,what,unit,price,tiers,free_per_month,as_of,note\n").unwrap_err();
        assert!(matches!(error, PriceError::Missing(_)));
    }
}
