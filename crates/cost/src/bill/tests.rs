#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

#[test]
fn free_allowance_is_deducted_once() {
    let prices = Prices::bundled().unwrap();
    let (mut traffic, mut fixed) = (Usage::default(), Usage::default());
    traffic.add(Item::SqsRequest, None, 3e6);
    fixed.add(Item::SqsRequest, None, 1e6);
    let bill = Bill::of(&prices, &traffic, &fixed);
    assert!((bill.total() - 1.2).abs() < 1e-9);
    assert!((bill.sum(Kind::Fixed) - 0.3).abs() < 1e-9);
}

#[test]
fn shares_of_fleets_add_up_to_the_bill() {
    let prices = Prices::bundled().unwrap();
    let fleets: Vec<FleetId> = (1..8).map(FleetId::from_random_bits).collect();
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
    (1..=count).map(FleetId::from_random_bits).collect()
}

fn cents(dollars: f64) -> i64 {
    rounded(dollars * 100.0)
}

#[test]
fn a_thousand_equal_fleets_are_charged_equally_to_the_cent() {
    let samples: BTreeMap<FleetId, f64> = fleets(1000).into_iter().map(|fleet_id| (fleet_id, 7.0)).collect();
    let bill = Bill::single_line("a month", 7652.04);
    let totals: Vec<i64> = bill.split(&Usage::default(), &samples).iter().map(|share| cents(share.total)).collect();
    assert_eq!(totals.iter().sum::<i64>(), 765_204);
    assert_eq!(totals.iter().filter(|cents| **cents == 766).count(), 204);
    assert_eq!(totals.iter().filter(|cents| **cents == 765).count(), 796);
}

#[test]
fn month_without_deliveries_is_charged_equally() {
    let samples = fleets(3).into_iter().map(|fleet_id| (fleet_id, 0.0)).collect();
    let shares = Bill::single_line("a month", 1.0).split(&Usage::default(), &samples);
    assert_eq!(shares.iter().map(|share| cents(share.total)).collect::<Vec<_>>(), [34, 33, 33]);
}

#[test]
fn usage_of_a_fleet_without_deliveries_is_charged_to_the_others() {
    let all = fleets(3);
    let mut used = Usage::default();
    used.add(Item::BusChunk, Some(&all[0]), 50.0);
    used.add(Item::BusChunk, Some(&all[2]), 50.0);
    let line = Line { name: Item::BusChunk.name().to_owned(), ..Bill::single_line("a month", 1.0).lines.remove(0) };
    let samples = all[..2].iter().map(|fleet_id| (fleet_id.clone(), 5.0)).collect();
    let shares = Bill { lines: vec![line] }.split(&used, &samples);
    assert_eq!(shares.iter().map(|share| cents(share.total)).collect::<Vec<_>>(), [75, 25]);
    assert_eq!(shares.iter().map(|share| cents(share.own)).collect::<Vec<_>>(), [50, 0]);
}

/// Usage of two items by a fleet, and its delivered samples.
type FleetUsage = (f64, f64, f64);

fn split(lines: &[Line], fleets: &[(FleetId, FleetUsage)], common: f64) -> Vec<FleetShare> {
    let mut used = Usage::default();
    for (fleet_id, (first, second, _)) in fleets {
        used.add(Item::BusChunk, Some(fleet_id), *first);
        used.add(Item::SqsRequest, Some(fleet_id), *second);
    }
    used.add(Item::BusChunk, None, common);
    let samples = fleets.iter().map(|(fleet_id, (.., samples))| (fleet_id.clone(), *samples)).collect();
    Bill { lines: lines.to_vec() }.split(&used, &samples)
}

proptest! {
    #[test]
    fn shares_are_proportional_to_the_cent(
        dollars in prop::collection::vec(0.0_f64..5000.0, 4),
        fleet_usages in prop::collection::vec((0.0_f64..1e6, 0.0_f64..1e3, 0.1_f64..1e6), 1..40),
        copies in 1_usize..30,
        common in 0.0_f64..1e6,
        rotation in 0_usize..1000,
    ) {
        // Some fleets are equal: each of the first few is repeated.
        let equal = fleet_usages.iter().take(3).cycle().take(3 * copies);
        let all: Vec<FleetUsage> = equal.chain(&fleet_usages).copied().collect();
        let fleet_usages: Vec<(FleetId, FleetUsage)> = fleets(all.len() as u128).into_iter().zip(all).collect();
        let names = [Item::BusChunk.name(), Item::SqsRequest.name(), Item::DynamodbWriteUnit.name(), "published"];
        let single_line = |dollars| Bill::single_line("a month", dollars).lines.remove(0);
        let lines: Vec<Line> =
            names.iter().zip(dollars).map(|(name, dollars)| Line { name: (*name).to_owned(), ..single_line(dollars) }).collect();
        let shares = split(&lines, &fleet_usages, common);

        let bill = Bill { lines: lines.clone() };
        prop_assert_eq!(shares.iter().map(|share| cents(share.total)).sum::<i64>(), cents(bill.total()));
        let sum = |of: fn(&FleetUsage) -> f64| fleet_usages.iter().map(|(_, used)| of(used)).sum::<f64>();
        let (first, second, samples) = (sum(|u| u.0) + common, sum(|u| u.1), sum(|u| u.2));
        let mut of_usage: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for ((_, used), share) in fleet_usages.iter().zip(&shares) {
            let counted = |own: f64, all: f64| if all > 0.0 { own / all } else { used.2 / samples };
            let exact = lines[0].dollars * (counted(used.0, first) + if first > 0.0 { common / first * used.2 / samples } else { 0.0 })
                + lines[1].dollars * counted(used.1, second)
                + (lines[2].dollars + lines[3].dollars) * used.2 / samples;
            prop_assert!((share.total - exact).abs() < 0.01 + 1e-7, "{} instead of {exact}", share.total);
            prop_assert_eq!(cents(share.own) + cents(share.shared), cents(share.total));
            prop_assert!(share.own >= 0.0 && share.shared >= 0.0);
            let (min, max) = of_usage.entry(format!("{used:?}")).or_insert((i64::MAX, i64::MIN));
            (*min, *max) = ((*min).min(cents(share.total)), (*max).max(cents(share.total)));
        }
        prop_assert!(of_usage.values().all(|(min, max)| max - min <= 1), "{of_usage:?}");

        let (mut lines, mut fleet_usages) = (lines, fleet_usages);
        lines.rotate_left(rotation % 4);
        let count = fleet_usages.len();
        fleet_usages.rotate_left(rotation % count);
        prop_assert_eq!(split(&lines, &fleet_usages, common), shares);
    }
}
