//! What alerts add to the bill of 10,000 vehicles.
#![allow(clippy::float_cmp, clippy::unwrap_used)] // exact counts

use roadcast_cost::alerts::{Alerts, run_alerts};
use roadcast_cost::meter::Item;
use roadcast_cost::webhooks::added;
use roadcast_cost::{Kind, Prices, Usage};

const TEMPLATE: &str = include_str!("../../../template.yaml");

fn dollars(usage: &Usage) -> f64 {
    added(&Prices::bundled().unwrap(), usage, Kind::Traffic).total()
}

/// The target was three dollars. `docs/performance.md` states what is measured, and why it is more.
#[test]
fn alerts_of_ten_thousand_vehicles_cost_what_is_stated() {
    let alerts = run_alerts();
    let (evaluation, of_alerts) = (dollars(&alerts.evaluation()), dollars(&alerts.alerts()));
    println!("evaluation {evaluation:.2}, alerts {of_alerts:.2}");
    for (name, usage) in [("evaluation", alerts.evaluation()), ("alerts", alerts.alerts())] {
        for line in added(&Prices::bundled().unwrap(), &usage, Kind::Traffic).lines {
            println!("{name}: {:<50} {:>12.1} {:>6.2}", line.what, line.quantity, line.dollars);
        }
    }
    // Each of two messages: the item of the log, the checkpoint and the pointer; two buses; the rule, the batch of enrichment, the
    // queue of the fleet, and the acknowledgement.
    let counts = [Item::DynamodbWriteUnit, Item::BusChunk, Item::SqsRequest, Item::LambdaRequest, Item::KinesisPutUnit];
    assert_eq!(counts.map(|item| alerts.alert.total(item).round()), [6.0, 4.0, 10.0, 2.0, 2.0]);
    for level in &alerts.levels {
        assert!(level.usage.total(Item::LambdaRequest) <= 1.0, "at most one invocation a second: {:?}", level.usage);
        assert_eq!(level.usage.total(Item::DynamodbWriteUnit), 0.0, "nothing is written without an alert");
    }
    assert!(evaluation <= 3.0, "{evaluation}");
    assert!(of_alerts <= 4.5, "{of_alerts}");
    let fan_out = dollars(&alerts.fan_out());
    assert!((11.0..12.0).contains(&fan_out), "{fan_out}");
    let idle = dollars(&Alerts::idle());
    assert!(idle < 0.1, "{idle}");
}

/// Returns a resource of the template.
fn resource(name: &str) -> &'static str {
    let (_, rest) = TEMPLATE.split_once(&format!("\n  {name}:\n")).unwrap();
    rest.split_once("\n\n").unwrap().0
}

#[test]
fn meter_has_the_settings_of_the_template() {
    let evaluator = resource("AlertEvaluator");
    assert!(evaluator.contains("      MemorySize: 512\n"));
    // By fan-out, Lambda would otherwise invoke the function for nearly each record.
    assert!(evaluator.contains("            MaximumBatchingWindowInSeconds: !If [AlertsFanOut, 1, 0]\n"));
    assert!(evaluator.contains("            ParallelizationFactor: 1\n"));
    assert!(evaluator.contains("SystemLogLevel: WARN"), "Lambda logs failed invocations only");
    assert!(resource("AlertClock").contains("      MemorySize: 128\n"));
}
