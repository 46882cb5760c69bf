//! The monthly bill, priced from usage.

use std::collections::BTreeMap;

use crate::meter::{Item, Usage};
use roadcast_domain::ids::FleetId;
use serde::Serialize;

use crate::Prices;

/// Whether a line grows with uploads and queries, or is constant every month.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Billed by usage: requests, bytes, units, shards.
    Traffic,
    /// Billed monthly for existing resources: clients and their tokens, alarms, metrics.
    Fixed,
}

/// A line of a bill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The item's name in the price sheet.
    pub name: String,
    /// Service and description of the item.
    pub what: String,
    /// Quantity.
    pub quantity: f64,
    /// Unit of the quantity.
    pub unit: String,
    /// Amount in dollars.
    pub dollars: f64,
    /// See [`Kind`].
    pub kind: Kind,
}

/// A monthly bill.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bill {
    /// The lines: traffic first, then by descending amount.
    pub lines: Vec<Line>,
}

/// The share of a fleet in a bill, in dollars.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetShare {
    /// The fleet.
    pub fleet_id: FleetId,
    /// Cost of the usage that was counted for this fleet.
    pub own: f64,
    /// Its share of the cost of common usage.
    pub shared: f64,
    /// Sum of both.
    pub total: f64,
}

impl Bill {
    /// Returns the bill for the usage of a month. Free allowances are deducted once, from both kinds in proportion.
    pub fn of(prices: &Prices, traffic: &Usage, fixed: &Usage) -> Self {
        let mut lines = Vec::new();
        for item in Item::ALL {
            let (by_usage, constant) = (traffic.total(item), fixed.total(item));
            let dollars = prices.dollars(item, by_usage + constant);
            for (quantity, kind) in [(by_usage, Kind::Traffic), (constant, Kind::Fixed)] {
                if quantity > 0.0 {
                    let price = prices.of(item);
                    lines.push(Line {
                        name: item.name().to_owned(),
                        what: format!("{}: {}", price.service, price.what),
                        quantity,
                        unit: price.unit.clone(),
                        dollars: dollars * quantity / (by_usage + constant),
                        kind,
                    });
                }
            }
        }
        lines.sort_by(|a, b| (a.kind as u8).cmp(&(b.kind as u8)).then(b.dollars.total_cmp(&a.dollars)));
        Self { lines }
    }

    /// Returns a bill with one line, for a published total without details.
    pub fn single_line(what: &str, dollars: f64) -> Self {
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

    /// Returns the amount of one kind, in dollars.
    pub fn sum(&self, kind: Kind) -> f64 {
        self.lines.iter().filter(|line| line.kind == kind).fold(0.0, |sum, line| sum + line.dollars)
    }

    /// Returns the part of the fixed costs that Cognito charges for each machine client, in dollars. It is stated apart, because
    /// the documentation of Cognito names the tokens only. See `docs/decisions/0050-validity-of-tokens.md`.
    pub fn client_fees(&self) -> f64 {
        let fees = self.lines.iter().filter(|line| line.name == Item::CognitoClientMonth.name());
        fees.fold(0.0, |sum, line| sum + line.dollars)
    }

    /// Returns the total amount, in dollars.
    pub fn total(&self) -> f64 {
        self.sum(Kind::Traffic) + self.sum(Kind::Fixed)
    }

    /// Splits the bill by fleet. A fleet is charged the usage that was counted for it and, of all other usage, its share of
    /// the delivered samples. The shares add up to the bill to the cent, and each differs by less than a cent from its value
    /// without rounding.
    pub fn split(&self, used: &Usage, samples: &BTreeMap<FleetId, f64>) -> Vec<FleetShare> {
        let all: f64 = samples.values().sum();
        // Without deliveries, all fleets are charged equally.
        let part = |delivered: f64| if all > 0.0 { delivered / all } else { 1.0 / samples.len() as f64 };
        let mut exact: Vec<(&FleetId, f64, f64)> = samples.keys().map(|fleet_id| (fleet_id, 0.0, 0.0)).collect();
        // Sums of floats depend on their order; sorting makes the result independent of the order of lines.
        let mut lines: Vec<&Line> = self.lines.iter().collect();
        lines.sort_by(|a, b| a.name.cmp(&b.name).then(a.dollars.total_cmp(&b.dollars)));
        for line in lines {
            // A line without a known item was not counted for any single fleet.
            let item = Item::from_name(&line.name);
            let counted = item.map_or(0.0, |item| used.total(item));
            let own_part = |fleet_id: &FleetId| match item {
                Some(item) if counted > 0.0 => used.of_fleet(item, fleet_id) / counted,
                _ => 0.0,
            };
            let mut common = 1.0;
            for (fleet_id, own, _) in &mut exact {
                let own_part = own_part(fleet_id);
                common -= own_part;
                *own += line.dollars * own_part;
            }
            // Includes the usage of fleets that are not in `samples`: it is distributed over the others.
            let common = line.dollars * common.max(0.0);
            for (fleet_id, _, shared) in &mut exact {
                *shared += common * part(samples[*fleet_id]);
            }
        }
        let totals = in_cents(self.total(), &exact.iter().map(|(_, own, shared)| own + shared).collect::<Vec<_>>());
        let share = |((fleet_id, own, _), total): ((&FleetId, f64, f64), i64)| {
            let own = rounded(own * 100.0).clamp(0, total.max(0));
            let dollars = |cents: i64| cents as f64 / 100.0;
            FleetShare { fleet_id: fleet_id.clone(), own: dollars(own), shared: dollars(total - own), total: dollars(total) }
        };
        exact.into_iter().zip(totals).map(share).collect()
    }
}

/// Resolution for comparing remainders, in parts of a cent: coarser than float noise, so that equal shares compare equal.
const PARTS_OF_A_CENT: i64 = 1_000_000;

/// Rounds parts of a sum to cents by the largest remainder method: each part is rounded down, and the remaining cents go,
/// one each, to the parts with the largest remainders, of equal ones to the first. The parts add up to the sum in cents.
fn in_cents(sum: f64, parts: &[f64]) -> Vec<i64> {
    let fine: Vec<i64> = parts.iter().map(|dollars| rounded(dollars * 100.0 * PARTS_OF_A_CENT as f64)).collect();
    let mut cents: Vec<i64> = fine.iter().map(|fine| fine.div_euclid(PARTS_OF_A_CENT)).collect();
    let remaining = rounded(sum * 100.0) - cents.iter().sum::<i64>();
    let mut indices: Vec<usize> = (0..parts.len()).collect();
    indices.sort_by_key(|index| std::cmp::Reverse(fine[*index].rem_euclid(PARTS_OF_A_CENT)));
    // There are never more remaining cents than parts that were rounded down.
    for index in indices.into_iter().take(usize::try_from(remaining).unwrap_or(0)) {
        cents[index] += 1;
    }
    cents
}

/// Returns the nearest integer.
#[allow(clippy::cast_possible_truncation)] // sums of money are far below 2^53 parts of a cent
fn rounded(number: f64) -> i64 {
    number.round() as i64
}

#[cfg(test)]
mod tests;
