//! From what was used to dollars.

use std::collections::BTreeMap;

use crate::meter::{Item, Usage};
use roadcast_domain::ids::FleetId;
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

    /// The bill split by fleet. Each bears what was counted for it, and of everything else as much as its share in the
    /// samples that were delivered. The parts add up to the whole, to the cent, and none is a cent or more from what it
    /// would be without rounding.
    pub fn split(&self, used: &Usage, samples: &BTreeMap<FleetId, f64>) -> Vec<Share> {
        let all: f64 = samples.values().sum();
        // Where nothing was delivered, all bear the same.
        let part = |delivered: f64| if all > 0.0 { delivered / all } else { 1.0 / samples.len() as f64 };
        let mut exact: Vec<(&FleetId, f64, f64)> = samples.keys().map(|fleet_id| (fleet_id, 0.0, 0.0)).collect();
        // Sums of floats depend on their order, and the order of lines means nothing.
        let mut lines: Vec<&Line> = self.lines.iter().collect();
        lines.sort_by(|a, b| a.name.cmp(&b.name).then(a.dollars.total_cmp(&b.dollars)));
        for line in lines {
            // A line that is no item of ours was counted for nobody alone.
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
            // Also what a fleet used that got no samples: somebody has to bear it.
            let common = line.dollars * common.max(0.0);
            for (fleet_id, _, shared) in &mut exact {
                *shared += common * part(samples[*fleet_id]);
            }
        }
        let totals = in_whole_cents(self.total(), &exact.iter().map(|(_, own, shared)| own + shared).collect::<Vec<_>>());
        let share = |((fleet_id, own, _), total): ((&FleetId, f64, f64), i64)| {
            let own = whole(own * 100.0).clamp(0, total.max(0));
            let dollars = |cents: i64| cents as f64 / 100.0;
            Share { fleet_id: fleet_id.clone(), own: dollars(own), shared: dollars(total - own), total: dollars(total) }
        };
        exact.into_iter().zip(totals).map(share).collect()
    }
}

/// A cent in the parts in which remainders are compared: coarser than the noise of floats, so that equal parts are equal.
const PARTS_OF_A_CENT: i64 = 1_000_000;

/// Parts of a sum in whole cents, by the largest remainder: each is rounded down, and the cents that are left go, one each, to
/// those that lost most by it; of equal ones, to the first. The parts add up to the sum in whole cents.
fn in_whole_cents(sum: f64, parts: &[f64]) -> Vec<i64> {
    let fine: Vec<i64> = parts.iter().map(|dollars| whole(dollars * 100.0 * PARTS_OF_A_CENT as f64)).collect();
    let mut cents: Vec<i64> = fine.iter().map(|fine| fine.div_euclid(PARTS_OF_A_CENT)).collect();
    let left = whole(sum * 100.0) - cents.iter().sum::<i64>();
    let mut places: Vec<usize> = (0..parts.len()).collect();
    places.sort_by_key(|place| std::cmp::Reverse(fine[*place].rem_euclid(PARTS_OF_A_CENT)));
    // There are never more cents left than parts that lost some by rounding.
    for place in places.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        cents[place] += 1;
    }
    cents
}

/// The nearest whole number.
#[allow(clippy::cast_possible_truncation)] // sums of money are far below 2^53 parts of a cent
fn whole(number: f64) -> i64 {
    number.round() as i64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

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

    fn fleets(count: u128) -> Vec<FleetId> {
        (1..=count).map(FleetId::from_random).collect()
    }

    fn cents(dollars: f64) -> i64 {
        whole(dollars * 100.0)
    }

    #[test]
    fn a_thousand_equal_fleets_pay_the_same_to_the_cent() {
        let samples: BTreeMap<FleetId, f64> = fleets(1000).into_iter().map(|fleet_id| (fleet_id, 7.0)).collect();
        let bill = Bill::of_sum("a month", 7652.04);
        let totals: Vec<i64> = bill.split(&Usage::default(), &samples).iter().map(|share| cents(share.total)).collect();
        assert_eq!(totals.iter().sum::<i64>(), 765_204);
        assert_eq!(totals.iter().filter(|cents| **cents == 766).count(), 204);
        assert_eq!(totals.iter().filter(|cents| **cents == 765).count(), 796);
    }

    #[test]
    fn a_month_without_deliveries_is_borne_by_all_alike() {
        let samples = fleets(3).into_iter().map(|fleet_id| (fleet_id, 0.0)).collect();
        let shares = Bill::of_sum("a month", 1.0).split(&Usage::default(), &samples);
        assert_eq!(shares.iter().map(|share| cents(share.total)).collect::<Vec<_>>(), [34, 33, 33]);
    }

    #[test]
    fn what_was_used_for_a_fleet_that_got_nothing_is_borne_by_the_others() {
        let all = fleets(3);
        let mut used = Usage::default();
        used.add(Item::BusChunk, Some(&all[0]), 50.0);
        used.add(Item::BusChunk, Some(&all[2]), 50.0);
        let line = Line { name: Item::BusChunk.name().to_owned(), ..Bill::of_sum("a month", 1.0).lines.remove(0) };
        let samples = all[..2].iter().map(|fleet_id| (fleet_id.clone(), 5.0)).collect();
        let shares = Bill { lines: vec![line] }.split(&used, &samples);
        assert_eq!(shares.iter().map(|share| cents(share.total)).collect::<Vec<_>>(), [75, 25]);
        assert_eq!(shares.iter().map(|share| cents(share.own)).collect::<Vec<_>>(), [50, 0]);
    }

    /// What a fleet used of two items, and the samples that it got.
    type Use = (f64, f64, f64);

    fn split(lines: &[Line], fleets: &[(FleetId, Use)], together: f64) -> Vec<Share> {
        let mut used = Usage::default();
        for (fleet_id, (first, second, _)) in fleets {
            used.add(Item::BusChunk, Some(fleet_id), *first);
            used.add(Item::SqsRequest, Some(fleet_id), *second);
        }
        used.add(Item::BusChunk, None, together);
        let samples = fleets.iter().map(|(fleet_id, (.., samples))| (fleet_id.clone(), *samples)).collect();
        Bill { lines: lines.to_vec() }.split(&used, &samples)
    }

    proptest! {
        #[test]
        fn parts_are_fair_to_the_cent(
            dollars in prop::collection::vec(0.0_f64..5000.0, 4),
            uses in prop::collection::vec((0.0_f64..1e6, 0.0_f64..1e3, 0.1_f64..1e6), 1..40),
            copies in 1_usize..30,
            together in 0.0_f64..1e6,
            turn in 0_usize..1000,
        ) {
            // Some fleets are alike: each of the first few stands there several times.
            let alike = uses.iter().take(3).cycle().take(3 * copies);
            let all: Vec<Use> = alike.chain(&uses).copied().collect();
            let uses: Vec<(FleetId, Use)> = fleets(all.len() as u128).into_iter().zip(all).collect();
            let names = [Item::BusChunk.name(), Item::SqsRequest.name(), Item::DynamodbWriteUnit.name(), "published"];
            let of_sum = |dollars| Bill::of_sum("a month", dollars).lines.remove(0);
            let lines: Vec<Line> =
                names.iter().zip(dollars).map(|(name, dollars)| Line { name: (*name).to_owned(), ..of_sum(dollars) }).collect();
            let shares = split(&lines, &uses, together);

            let bill = Bill { lines: lines.clone() };
            prop_assert_eq!(shares.iter().map(|share| cents(share.total)).sum::<i64>(), cents(bill.total()));
            let sum = |of: fn(&Use) -> f64| uses.iter().map(|(_, used)| of(used)).sum::<f64>();
            let (first, second, samples) = (sum(|u| u.0) + together, sum(|u| u.1), sum(|u| u.2));
            let mut of_use: BTreeMap<String, (i64, i64)> = BTreeMap::new();
            for ((_, used), share) in uses.iter().zip(&shares) {
                let counted = |own: f64, all: f64| if all > 0.0 { own / all } else { used.2 / samples };
                let exact = lines[0].dollars * (counted(used.0, first) + if first > 0.0 { together / first * used.2 / samples } else { 0.0 })
                    + lines[1].dollars * counted(used.1, second)
                    + (lines[2].dollars + lines[3].dollars) * used.2 / samples;
                prop_assert!((share.total - exact).abs() < 0.01 + 1e-7, "{} is not {exact}", share.total);
                prop_assert_eq!(cents(share.own) + cents(share.shared), cents(share.total));
                prop_assert!(share.own >= 0.0 && share.shared >= 0.0);
                let (least, most) = of_use.entry(format!("{used:?}")).or_insert((i64::MAX, i64::MIN));
                (*least, *most) = ((*least).min(cents(share.total)), (*most).max(cents(share.total)));
            }
            prop_assert!(of_use.values().all(|(least, most)| most - least <= 1), "{of_use:?}");

            let (mut lines, mut uses) = (lines, uses);
            lines.rotate_left(turn % 4);
            let places = uses.len();
            uses.rotate_left(turn % places);
            prop_assert_eq!(split(&lines, &uses, together), shares);
        }
    }
}
