//! Rules on recordings of real vehicles.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod drives;
#[path = "../../../blocks/benches/blocks/recordings.rs"]
mod recordings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roadcast_alerts::limits::ALLOWED_LATENESS_MS;
use roadcast_alerts::rule::Rule;
use roadcast_alerts::transition::Transition;
use roadcast_alerts::{BackTest, Buffers, RuleSet, RuleVersion, Tracker, VehicleRules};
use roadcast_domain::alert::{RuleOwner, TransitionKind};
use roadcast_domain::event::{Body, Event, Telemetry};
use roadcast_domain::ids::{AlertId, Eid, RuleId, VehicleId};
use roadcast_signals::{Sample, Timestamp};
use serde_json::json;

use crate::drives::{EVENT_SPAN_MS, METRES_PER_DEGREE, distance_m, position};

fn vid() -> VehicleId {
    VehicleId::from_random_bits(1)
}

fn parse(condition: &serde_json::Value) -> Rule {
    Rule::from_value(&json!({"name": "r", "severity": "info", "condition": condition})).unwrap()
}

fn rules_of(conditions: &[serde_json::Value]) -> VehicleRules {
    let version = |(index, condition): (usize, &serde_json::Value)| RuleVersion {
        owner: RuleOwner::Operator,
        rule_id: RuleId::from_random_bits(index as u128),
        version: 1,
        active_from: Timestamp::default(),
        rule: Arc::new(Rule { cooldown_s: 0, ..parse(condition) }),
    };
    RuleSet::new(conditions.iter().enumerate().map(version)).for_vehicle(&vid(), &BTreeMap::new())
}

/// Returns the samples of a vehicle in events.
fn events_of(samples: &[Sample]) -> Vec<Event> {
    let event = |(index, group): (usize, Vec<Sample>)| Event {
        eid: Eid::for_event(&vid(), "recording", &index.to_string(), group[0].at),
        vid: vid(),
        received: group[group.len() - 1].at.plus_ms(1000),
        body: Body::Telemetry(Telemetry { samples: group.into() }),
    };
    drives::events_of(samples).into_iter().enumerate().map(event).collect()
}

fn back_test(rules: &VehicleRules, events: &[Event]) -> Vec<Transition> {
    let mut back_test = BackTest::new(rules);
    back_test.push(events.iter().filter_map(|event| rules.select(event, |_| true, true)));
    back_test.finish(events.iter().map(|event| event.received).max().unwrap())
}

/// Returns what a consumer of the stream has: what was published and not withdrawn.
fn stream(rules: &VehicleRules, events: &[Event]) -> BTreeSet<(Timestamp, AlertId, TransitionKind)> {
    let (mut tracker, mut buffers) = (Tracker::new(vid(), rules.clone(), ALLOWED_LATENESS_MS), Buffers::default());
    let mut present = BTreeSet::new();
    let mut receive = |update: roadcast_alerts::Update| {
        for alert in update.alerts {
            let key = (alert.at, alert.alert_id, alert.transition_kind());
            if alert.revision % 2 == 1 { assert!(present.insert(key)) } else { assert!(present.remove(&key)) }
        }
    };
    for event in events {
        receive(tracker.push(rules.select(event, |_| true, true), &mut buffers));
    }
    receive(tracker.advance(events.iter().map(|event| event.received).max().unwrap()));
    present
}

/// Delays events within the allowed lateness, and repeats each some events later.
fn shuffled_and_repeated(events: &[Event]) -> Vec<Event> {
    let arrival = |(index, event): &(usize, &Event)| {
        let delay_ms = index.wrapping_mul(0x9E37_79B9) % usize::try_from(ALLOWED_LATENESS_MS - EVENT_SPAN_MS).unwrap();
        event.time().plus_ms(i64::try_from(delay_ms).unwrap())
    };
    let mut arrivals: Vec<(usize, &Event)> = events.iter().enumerate().collect();
    arrivals.sort_by_key(arrival);
    let event = |index: Option<usize>| index.and_then(|index| arrivals.get(index)).map(|(_, event)| (*event).clone());
    let both = (0..arrivals.len() + 7).flat_map(|index| [event(Some(index)), event(index.checked_sub(7))]);
    both.flatten().collect()
}

fn check_agreement(name: &str, conditions: &[serde_json::Value], min_raised: usize) {
    let Some(recorded) = recordings::read(name) else { return };
    let rules = rules_of(conditions);
    let mut raised = 0;
    for samples in &recorded.vehicles {
        let events = events_of(samples);
        let transitions = back_test(&rules, &events);
        let expected: BTreeSet<_> =
            transitions.iter().map(|transition| (transition.at, transition.alert_id(&vid()), transition.kind)).collect();
        assert_eq!(stream(&rules, &events), expected);
        assert_eq!(stream(&rules, &shuffled_and_repeated(&events)), expected);
        raised += transitions.iter().filter(|transition| transition.kind == TransitionKind::Raised).count();
    }
    println!("{name}: {raised} alerts of {} vehicles", recorded.vehicles.len());
    assert!(raised >= min_raised, "{raised}");
}

#[test]
fn stream_and_back_test_agree_on_envirocar_trips() {
    check_agreement("envirocar", &drives::trip_conditions(), 50);
}

#[test]
fn stream_and_back_test_agree_on_the_charge_of_a_twizy() {
    check_agreement("twizy", &drives::charge_conditions(), 20);
}

#[test]
fn stream_and_back_test_agree_on_geofences_of_buses() {
    check_agreement("capmetro", &drives::geofence_conditions(), 500);
}

fn raised(transitions: &[Transition]) -> usize {
    transitions.iter().filter(|transition| transition.kind == TransitionKind::Raised).count()
}

/// Returns the times in which buses do not move, of at least 30 samples.
fn stationary(vehicles: &[Vec<Sample>]) -> Vec<Vec<Sample>> {
    let mut found = Vec::new();
    for samples in vehicles {
        let mut samples = samples.clone();
        samples.sort_by_key(|sample| sample.at);
        let mut run: Vec<Sample> = Vec::new();
        for sample in samples {
            if run.first().is_some_and(|first| distance_m(position(first), position(&sample)) > 15.0) {
                found.push(std::mem::take(&mut run));
            }
            run.push(sample);
        }
        found.push(run);
    }
    found.retain(|run| run.len() >= 30);
    found
}

#[test]
fn geofence_at_a_stationary_bus_does_not_flap() {
    let Some(recorded) = recordings::read("capmetro") else { return };
    let runs = stationary(&recorded.vehicles);
    let mut without_hysteresis = 0;
    for run in &runs {
        #[allow(clippy::cast_precision_loss)]
        let mean = |axis: usize| run.iter().map(|sample| position(sample)[axis]).sum::<f64>() / run.len() as f64;
        // The edge of the area is where the bus is.
        let radius_m = 500.0;
        let center = [mean(0) + radius_m / METRES_PER_DEGREE / mean(1).to_radians().cos(), mean(1)];
        let fence = |hysteresis: f64| json!({"geofence": {"event": "dwell", "circle": {"center": center, "radiusM": radius_m}, "hysteresisM": hysteresis}});
        let events = events_of(run);
        without_hysteresis += raised(&back_test(&rules_of(&[fence(0.0)]), &events));
        assert!(raised(&back_test(&rules_of(&[fence(30.0)]), &events)) <= 1);
    }
    println!("{} stationary buses: {without_hysteresis} alerts without hysteresis", runs.len());
    assert!(without_hysteresis > runs.len(), "the positions are noisy");
}

#[test]
fn bus_that_crosses_ten_fences_enters_each_once() {
    let Some(recorded) = recordings::read("capmetro") else { return };
    let (trip, fences) = drives::trip_with_fences(&recorded.vehicles);
    let rules = rules_of(&fences);
    let transitions = back_test(&rules, &events_of(&trip));
    let entered: Vec<RuleId> = transitions
        .iter()
        .filter(|transition| transition.kind == TransitionKind::Raised)
        .map(|transition| transition.rule_id.clone())
        .collect();
    let expected: Vec<RuleId> = (0..10).map(RuleId::from_random_bits).collect();
    assert_eq!(entered, expected, "each once, in the order of the line");
}
