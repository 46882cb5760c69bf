//! What alerts add to the bill, as a table.

use std::fmt::Write as _;

use roadcast_cost::alerts::{Alerts, FLEETS, RULES, VEHICLES, run_alerts};
use roadcast_cost::webhooks::added;
use roadcast_cost::{Bill, Kind, Prices, Usage};
use serde_json::{Value, json};

/// Returns the table as JSON and as text: the traffic without and with enhanced fan-out, and the usage without traffic.
pub(super) fn report(prices: &Prices) -> (Value, String) {
    let alerts = run_alerts();
    let bill = |usage: &Usage| added(prices, usage, Kind::Traffic);
    let (evaluation, of_alerts, all) = (bill(&alerts.evaluation()), bill(&alerts.alerts()), bill(&alerts.month()));
    let fan_out = bill(&alerts.fan_out());
    let idle = added(prices, &Alerts::idle(), Kind::Fixed);
    let (traffic, of_fan_out) = (all.total(), fan_out.total());
    let object = json!({
        "vehicles": VEHICLES,
        "fleets": FLEETS,
        "rulesPerFleet": RULES,
        "traffic": traffic,
        "trafficWithFanOut": traffic + of_fan_out,
        "evaluation": evaluation.total(),
        "alerts": of_alerts.total(),
        "items": all.lines,
        "fanOutItems": fan_out.lines,
        "fixed": idle.total(),
        "fixedItems": idle.lines,
    });
    let mut text = format!(
        "Alerts: {VEHICLES} vehicles in {FLEETS} fleets with {RULES} rules each, one alert for each vehicle and day, raised and cleared.\n\
         Deliveries to endpoints are not included (--webhooks). No free allowances are deducted: other usage has used them up.\n\n\
         {:<58}{:>14} {:<14}{:>10}{:>10}{:>10}\n",
        "$ per month", "quantity", "unit", "evaluation", "alerts", "both"
    );
    for line in &all.lines {
        let (first, second) = (dollars_of(&evaluation, &line.name), dollars_of(&of_alerts, &line.name));
        let _ = writeln!(
            text,
            "{:<58}{:>14.1} {:<14}{first:>10.2}{second:>10.2}{:>10.2}",
            line.what, line.quantity, line.unit, line.dollars
        );
    }
    let _ = writeln!(text, "{:<87}{:>10.2}{:>10.2}{traffic:>10.2}", "traffic", evaluation.total(), of_alerts.total());
    let _ = writeln!(text, "\nAdded by AlertFanOut, with one shard:");
    write_lines(&mut text, &fan_out);
    let _ = writeln!(text, "{:<107}{:>10.2}", "traffic with AlertFanOut", traffic + of_fan_out);
    let _ = writeln!(text, "\nWithout traffic, besides alarms and idle polls, which are counted from the template:");
    write_lines(&mut text, &idle);
    (object, text)
}

fn write_lines(text: &mut String, bill: &Bill) {
    for line in &bill.lines {
        let _ = writeln!(text, "{:<58}{:>14.1} {:<34}{:>10.2}", line.what, line.quantity, line.unit, line.dollars);
    }
}

fn dollars_of(bill: &Bill, name: &str) -> f64 {
    bill.lines.iter().filter(|line| line.name == name).map(|line| line.dollars).sum()
}
