#![allow(clippy::float_cmp, clippy::unwrap_used)] // exact counts
use super::*;
use crate::{Kind, Prices};

const TEMPLATE: &str = include_str!("../../../../template.yaml");

fn traffic(usage: &Usage) -> f64 {
    added(&Prices::bundled().unwrap(), usage, Kind::Traffic).total()
}

/// Writes: the delivery, the attempt, and the delivery again. Messages: the rule's, and one task, each received and deleted.
#[test]
fn delivered_event_costs_three_writes_and_six_requests() {
    let usage = run_webhooks().delivered;
    assert_eq!(usage.total(Item::DynamodbWriteUnit), 3.0);
    assert_eq!(usage.total(Item::SqsRequest), 6.0);
    assert_eq!(usage.total(Item::LambdaRequest), 2.0);
    assert!(usage.total(Item::KmsRequest) <= 0.2, "opened secrets are cached: {}", usage.total(Item::KmsRequest));
    assert!((2500.0..6000.0).contains(&(usage.total(Item::DataOut) * GIB)), "{}", usage.total(Item::DataOut) * GIB);
}

#[test]
fn webhooks_of_ten_thousand_vehicles_cost_at_most_three_dollars() {
    let webhooks = run_webhooks();
    let (none, some) = (traffic(&webhooks.month(10_000, 0.0)), traffic(&webhooks.month(10_000, 0.01)));
    assert!(none > 0.5 && none <= 3.0, "{none}");
    assert!(some <= 3.0, "{some}");
}

/// A failing endpoint is attempted every 15 minutes at most, once its circuit is open.
#[test]
fn failing_endpoint_makes_few_attempts() {
    let webhooks = run_webhooks();
    assert!((50..250).contains(&webhooks.failing_attempts), "{}", webhooks.failing_attempts);
    assert!(webhooks.failing_day.total(Item::LambdaRequest) < 10.0 * FAILING_EVENTS);
}

#[test]
fn idle_usage_has_the_key_and_the_mappings_of_the_template() {
    assert_eq!(Webhooks::idle().total(Item::KmsKeyMonth), TEMPLATE.matches("    Type: AWS::KMS::Key\n").count() as f64);
}
