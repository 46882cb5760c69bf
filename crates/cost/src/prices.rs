//! The price sheet.

use std::collections::BTreeMap;

use crate::meter::Item;
use serde::Deserialize;

/// The price of an item.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Price {
    #[serde(rename = "item")]
    name: String,
    /// The AWS service.
    pub service: String,
    /// Description of the item.
    pub what: String,
    /// Unit of the quantity.
    pub unit: String,
    /// Dollars for one unit of the first tier.
    #[serde(rename = "price")]
    pub dollars: f64,
    tiers: String,
    /// Free quantity per month.
    pub free_per_month: f64,
    /// Date of the price.
    pub as_of: String,
    /// Remark.
    pub note: String,
}

/// Prices by item, for one region.
#[derive(Clone, Debug)]
pub struct Prices(BTreeMap<Item, (Price, Vec<(f64, f64)>)>);

/// Why a price sheet cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    /// The sheet is not a valid table of prices.
    #[error("the price sheet is not a valid table of prices")]
    Format(#[from] csv::Error),
    /// A row for an unknown item.
    #[error("unknown item {0:?} in the price sheet")]
    UnknownItem(String),
    /// The tiers are not `quantity:price`, separated by `|`.
    #[error("the tiers of {0} are not quantity:price, separated by |")]
    Tiers(String),
    /// An item without a price.
    #[error("{0} has no price in the price sheet")]
    Missing(&'static str),
}

impl Prices {
    /// Returns the prices of this release, for us-east-1.
    pub fn bundled() -> Result<Self, PriceError> {
        Self::read(include_str!("../../../infra/prices.csv"))
    }

    /// Parses a price sheet. Fails unless every item has a price.
    pub fn read(sheet: &str) -> Result<Self, PriceError> {
        let mut prices = BTreeMap::new();
        for row in csv::Reader::from_reader(sheet.as_bytes()).deserialize() {
            let price: Price = row?;
            let item = Item::from_name(&price.name).ok_or_else(|| PriceError::UnknownItem(price.name.clone()))?;
            let tiers = read_tiers(&price.tiers).ok_or_else(|| PriceError::Tiers(price.name.clone()))?;
            prices.insert(item, (price, tiers));
        }
        match Item::ALL.into_iter().find(|item| !prices.contains_key(item)) {
            Some(missing) => Err(PriceError::Missing(missing.name())),
            None => Ok(Self(prices)),
        }
    }

    /// Returns the price of an item.
    pub fn of(&self, item: Item) -> &Price {
        // `read` ensures that every item has a price.
        &self.0[&item].0
    }

    /// Returns the cost in dollars of a monthly quantity of an item, after the free quantity.
    pub fn dollars(&self, item: Item, quantity: f64) -> f64 {
        let (price, tiers) = &self.0[&item];
        let billed = (quantity - price.free_per_month).max(0.0);
        let mut dollars = 0.0;
        let mut from = 0.0;
        let mut unit_price = price.dollars;
        for (start, next) in tiers {
            dollars += (billed.min(*start) - from).max(0.0) * unit_price;
            from = *start;
            unit_price = *next;
        }
        dollars + (billed - from).max(0.0) * unit_price
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
    fn bundled_sheet_prices_and_dates_every_item() {
        let prices = Prices::bundled().unwrap();
        assert!(Item::ALL.into_iter().all(|item| prices.of(item).as_of.starts_with("20")));
    }

    #[test]
    fn free_quantity_and_tiers_reduce_the_cost() {
        let prices = Prices::bundled().unwrap();
        assert!(prices.dollars(Item::LambdaRequest, 1e6).abs() < 1e-9);
        assert!((prices.dollars(Item::LambdaRequest, 2e6) - 0.2).abs() < 1e-9);
        let rest = prices.dollars(Item::RestRequest, 500e6);
        assert!((rest - (333.0 * 3.5 + 167.0 * 2.8)).abs() < 1e-6, "{rest}");
    }

    #[test]
    fn sheet_without_a_price_is_rejected() {
        let error = Prices::read("item,service,what,unit,price,tiers,free_per_month,as_of,note\n").unwrap_err();
        assert!(matches!(error, PriceError::Missing(_)));
    }
}
