//! What is published and stored about a vehicle is bounded, however often the condition of a rule changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use roadcast_alerts::limits::{ALLOWED_LATENESS_MS, KEPT_TRANSITION_BYTES, SIGNALS_PER_RULE};
use roadcast_alerts::rule::Rule;
use roadcast_alerts::{BackTest, Buffers, RuleSet, RuleVersion, Tracker, VehicleRules};
use roadcast_codec::alert_checkpoint;
use roadcast_domain::Timestamp;
use roadcast_domain::alert::{AlertChange, RuleOwner, TransitionKind};
use roadcast_domain::event::{Body, Event, Telemetry};
use roadcast_domain::ids::{Eid, RuleId, VehicleId};
use roadcast_ports::clock::Randomness as _;
use roadcast_signals::{Catalogue, Sample, SignalDef, SignalPath, Value};
use roadcast_testbed::SeededRandomness;
use serde_json::json;

/// Maximum bytes of an item of DynamoDB, with its key and its other attributes.
const CONTENT_BYTES: usize = 400_000 - 1000;
const HOUR_MS: i64 = 60 * 60 * 1000;

fn vid() -> VehicleId {
    VehicleId::from_random_bits(1)
}

fn signals(number: usize) -> Vec<&'static SignalDef> {
    Catalogue::get().iter().filter(|signal| signal.datatype.is_numeric()).take(number).collect()
}

/// A rule about the first of these signals, which reads the others as well.
fn rules(signals: &[&'static SignalDef], cooldown_s: Option<u32>) -> VehicleRules {
    let above = json!({"threshold": {"signal": signals[0].path, "above": 50}});
    let paths: Vec<&str> = signals.iter().map(|signal| signal.path).collect();
    let missing = paths.chunks(32).map(|paths| json!({"noData": {"afterS": 600_000, "signals": paths}}));
    let all: Vec<_> = std::iter::once(above.clone()).chain(missing).collect();
    let condition = if signals.len() == 1 { above } else { json!({ "any": all }) };
    let rule = Rule::from_value(&json!({"name": "Flapping", "severity": "info", "condition": condition})).unwrap();
    let version = RuleVersion {
        owner: RuleOwner::Operator,
        rule_id: RuleId::from_random_bits(1),
        version: 1,
        active_from: Timestamp::from_ms(0),
        rule: Arc::new(Rule { cooldown_s: cooldown_s.unwrap_or(rule.cooldown_s), ..rule }),
    };
    RuleSet::new([version]).for_vehicle(&vid(), &BTreeMap::new())
}

/// An event with one sample, of which the first signal is beyond its limit every second time.
fn event(number: i64, interval_ms: i64, signals: &[&'static SignalDef], randomness: &SeededRandomness) -> Event {
    let at = Timestamp::from_ms(1_800_000_000_000 + number * interval_ms);
    let value = |(index, signal): (usize, &&'static SignalDef)| {
        let random = f64::from(u32::try_from(randomness.bits() % 1_000_000).unwrap()) / 1000.0;
        let value = if index == 0 { f64::from(i32::from(number % 2 == 0)) * 100.0 + random / 1e5 } else { random };
        (SignalPath::Known(signal), Value::Number(value))
    };
    let samples = [Sample { at, signals: signals.iter().enumerate().map(value).collect() }].into();
    let eid = Eid::for_event(&vid(), "test", &number.to_string(), at);
    Event { eid, vid: vid(), received: at.plus_ms(700), body: Body::Telemetry(Telemetry { samples }) }
}

#[test]
fn checkpoint_of_a_rule_that_changes_with_each_sample_fits_into_an_item() {
    for number in [1, SIGNALS_PER_RULE] {
        let (signals, randomness) = (signals(number), SeededRandomness::new(7));
        let rules = rules(&signals, Some(0));
        let mut tracker = Tracker::new(vid(), rules.clone(), ALLOWED_LATENESS_MS);
        let (mut buffers, mut largest, mut made) = (Buffers::default(), 0, 0);
        for n in 0..5000 {
            let event = rules.select(&event(n, 100, &signals, &randomness), |_| true, true);
            made += tracker.push(event, &mut buffers).alerts.len();
            if n % 100 == 99 {
                largest = alert_checkpoint::encode(&tracker.checkpoint()).unwrap().len().max(largest);
            }
        }
        assert!(made * (512 + 128 * number) > 2 * KEPT_TRANSITION_BYTES, "{made} transitions: the limit is reached");
        println!("{number} signals: {made} transitions, {largest} bytes");
        assert!(largest <= CONTENT_BYTES, "{number} signals: {largest} bytes");
    }
}

#[test]
fn rule_that_changes_with_each_sample_raises_an_alert_a_minute() {
    let (signals, randomness) = (signals(1), SeededRandomness::new(7));
    let rules = rules(&signals, None);
    let events: Vec<Event> =
        (0..HOUR_MS / 1000).filter_map(|n| rules.select(&event(n, 1000, &signals, &randomness), |_| true, true)).collect();
    let mut tracker = Tracker::new(vid(), rules.clone(), ALLOWED_LATENESS_MS);
    let mut buffers = Buffers::default();
    let alerts: Vec<_> = events.iter().flat_map(|event| tracker.push([event.clone()], &mut buffers).alerts).collect();
    let raised = |change: &AlertChange| *change == AlertChange::Raised;
    let live = alerts.iter().map(|alert| alert.change).filter(raised).count();
    let mut test = BackTest::new(&rules);
    test.push(events.iter().cloned());
    let transitions = test.finish(events[events.len() - 1].received);
    let tested = transitions.iter().filter(|made| made.kind == TransitionKind::Raised).count();
    assert_eq!((live, tested), (60, 60));
}
