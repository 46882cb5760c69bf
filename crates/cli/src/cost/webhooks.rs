//! What webhooks add to the bill, as a table.

use std::fmt::Write as _;

use roadcast_cost::webhooks::{Webhooks, added, run_webhooks};
use roadcast_cost::{Bill, Kind, Line, Prices};
use serde_json::{Value, json};

/// The share of endpoints that fail in the second column.
const FAILING: f64 = 0.01;

/// Returns the table as JSON and as text: the traffic with an event for each vehicle and day, and the usage without traffic.
pub(super) fn report(prices: &Prices, vehicles: u32) -> (Value, String) {
    let webhooks = run_webhooks();
    let traffic = |failing| added(prices, &webhooks.month(vehicles, failing), Kind::Traffic);
    let (healthy, failing) = (traffic(0.0), traffic(FAILING));
    let idle = added(prices, &Webhooks::idle(), Kind::Fixed);
    let object = json!({
        "vehicles": vehicles,
        "eventsPerMonth": vehicles * 30,
        "traffic": healthy.sum(Kind::Traffic),
        "items": healthy.lines,
        "trafficWithFailingEndpoints": failing.sum(Kind::Traffic),
        "failingShare": FAILING,
        "attemptsPerFailingEndpointAndDay": webhooks.failing_attempts,
        "fixed": idle.sum(Kind::Fixed),
        "fixedItems": idle.lines,
    });
    let mut text = format!(
        "Webhooks: {vehicles} vehicles, one event of the size of an alert for each vehicle and day, accepted at once.\n\
         What the event costs without webhooks is not included. No free allowances are deducted: other usage has used them up.\n\n\
         {:<58}{:>14} {:<14}{:>8}{:>14}\n",
        "$ per month", "quantity", "unit", "all up", "1 % down"
    );
    for line in &healthy.lines {
        let dollars = dollars_of(&failing, &line.name);
        let _ =
            writeln!(text, "{:<58}{:>14.1} {:<14}{:>8.2}{dollars:>14.2}", line.what, line.quantity, line.unit, line.dollars);
    }
    let (all_up, some_down) = (healthy.sum(Kind::Traffic), failing.sum(Kind::Traffic));
    let _ = writeln!(text, "{:<87}{all_up:>8.2}{some_down:>14.2}", "traffic");
    let _ = writeln!(text, "\nWithout traffic (part of the fixed costs):");
    for line in &idle.lines {
        let _ = writeln!(text, "{:<58}{:>14.1} {:<14}{:>8.2}", line.what, line.quantity, line.unit, line.dollars);
    }
    let _ = writeln!(text, "{:<87}{:>8.2}", "fixed", idle.sum(Kind::Fixed));
    let _ = writeln!(
        text,
        "\nAn endpoint that times out all day gets {} attempts a day for the events of 1,000 vehicles; the others wait.",
        webhooks.failing_attempts
    );
    (object, text)
}

fn dollars_of(bill: &Bill, name: &str) -> f64 {
    bill.lines.iter().filter(|line: &&Line| line.name == name).fold(0.0, |sum, line| sum + line.dollars)
}
