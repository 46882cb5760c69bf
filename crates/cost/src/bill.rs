//! From what was used to dollars.

use std::collections::BTreeMap;

use roadcast_domain::ids::FleetId;
use roadcast_testbed::meter::{Item, Usage};
use serde::Serialize;

use crate::Prices;

/// Whether a line grows with what vehicles send and fleets ask, or stands there every month.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Billed by use: requests, bytes, units, shards.
    Traffic,
    /// Billed by the month for what exists: clients and their tokens, alarms, metrics.
    Fixed,
}

/// A line of a bill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The item's name in the price sheet.
    pub name: String,
    /// The service, and what it is.
    pub what: String,
    /// How many.
    pub quantity: f64,
    /// Of what.
    pub unit: String,
    /// Dollars.
    pub dollars: f64,
    /// See [`Kind`].
    pub kind: Kind,
}

/// A month's bill.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bill {
    /// Its lines: traffic first, the dearest first.
    pub lines: Vec<Line>,
}

/// A fleet's part of a bill.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// The fleet.
    pub fleet_id: FleetId,
    /// What it used by itself.
    pub own: f64,
    /// Its part of what all used together.
    pub shared: f64,
    /// Both.
    pub total: f64,
}

impl Bill {
    /// The bill of a month in which this was used. What is free is taken off once, from both kinds in proportion.
    pub fn of(prices: &Prices, traffic: &Usage, fixed: &Usage) -> Self {
        let mut lines = Vec::new();
        for item in Item::ALL {
            let (by_use, standing) = (traffic.total(item), fixed.total(item));
            let dollars = prices.dollars(item, by_use + standing);
            for (quantity, kind) in [(by_use, Kind::Traffic), (standing, Kind::Fixed)] {
                if quantity > 0.0 {
                    let price = prices.of(item);
                    lines.push(Line {
                        name: item.name().to_owned(),
                        what: format!("{}: {}", price.service, price.what),
                        quantity,
                        unit: price.unit.clone(),
                        dollars: dollars * quantity / (by_use + standing),
                        kind,
                    });
                }
            }
        }
        lines.sort_by(|a, b| (a.kind as u8).cmp(&(b.kind as u8)).then(b.dollars.total_cmp(&a.dollars)));
        Self { lines }
    }

    /// A bill of one line, of which no more is known than its sum.
    pub fn of_sum(what: &str, dollars: f64) -> Self {
        let line = Line {
            name: "published".to_owned(),
            what: what.to_owned(),
            quantity: 1.0,
            unit: "month".to_owned(),
            dollars,
            kind: Kind::Traffic,
        };
        Self { lines: vec![line] }
    }

    /// Dollars of one kind.
    pub fn sum(&self, kind: Kind) -> f64 {
        self.lines.iter().filter(|line| line.kind == kind).fold(0.0, |sum, line| sum + line.dollars)
    }

    /// Dollars.
    pub fn total(&self) -> f64 {
        self.sum(Kind::Traffic) + self.sum(Kind::Fixed)
    }

    /// The bill split by fleet. Each bears what was counted for it, and of what all used together as much as its share in the
    /// samples that were delivered. The parts add up to the whole, to the cent.
    pub fn split(&self, used: &Usage, samples: &BTreeMap<FleetId, f64>) -> Vec<Share> {
        let all: f64 = samples.values().sum();
        let mut shares: Vec<Share> =
            samples.keys().map(|fleet_id| Share { fleet_id: fleet_id.clone(), own: 0.0, shared: 0.0, total: 0.0 }).collect();
        for line in &self.lines {
            let Some(item) = Item::from_name(&line.name) else { continue };
            let counted = used.total(item);
            for share in &mut shares {
                let own = if counted > 0.0 { used.of_fleet(item, &share.fleet_id) / counted } else { 0.0 };
                let common = if counted > 0.0 { used.shared(item) / counted } else { 1.0 };
                share.own += line.dollars * own;
                share.shared += line.dollars * common * samples[&share.fleet_id] / all;
            }
        }
        // In whole cents the largest part takes what rounding left over.
        let cents = |dollars: f64| (dollars * 100.0).round() / 100.0;
        for share in &mut shares {
            (share.own, share.shared) = (cents(share.own), cents(share.shared));
            share.total = cents(share.own + share.shared);
        }
        let left = cents(cents(self.total()) - shares.iter().map(|share| share.total).sum::<f64>());
        if let Some(largest) = shares.iter_mut().max_by(|a, b| a.total.total_cmp(&b.total)) {
            largest.shared = cents(largest.shared + left);
            largest.total = cents(largest.total + left);
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn free_allowances_are_taken_off_once() {
        let prices = Prices::ours().unwrap();
        let (mut traffic, mut fixed) = (Usage::default(), Usage::default());
        traffic.add(Item::SqsRequest, None, 3e6);
        fixed.add(Item::SqsRequest, None, 1e6);
        let bill = Bill::of(&prices, &traffic, &fixed);
        assert!((bill.total() - 1.2).abs() < 1e-9);
        assert!((bill.sum(Kind::Fixed) - 0.3).abs() < 1e-9);
    }

    #[test]
    fn the_fleets_parts_add_up_to_the_whole() {
        let prices = Prices::ours().unwrap();
        let fleets: Vec<FleetId> = (1..8).map(FleetId::from_random).collect();
        let mut used = Usage::default();
        for (n, fleet_id) in fleets.iter().enumerate() {
            used.add(Item::BusChunk, Some(fleet_id), 1e6 * n as f64 / 3.0);
        }
        used.add(Item::DynamodbWriteUnit, None, 12_345_678.0);
        let bill = Bill::of(&prices, &used, &Usage::default());
        let samples: BTreeMap<FleetId, f64> = fleets.into_iter().zip([1.0, 7.0, 3.0, 0.5, 9.0, 2.0, 4.0]).collect();
        let shares = bill.split(&used, &samples);
        let sum: f64 = shares.iter().map(|share| share.total).sum();
        assert!((sum - (bill.total() * 100.0).round() / 100.0).abs() < 1e-6, "{sum} of {}", bill.total());
        assert!(shares.iter().all(|share| share.total >= 0.0));
    }
}
