//! Rules on recordings of real vehicles.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "../../blocks/benches/blocks/recordings.rs"]
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
use roadcast_signals::{POSITION, Sample, Timestamp, Value};
use serde_json::json;

/// Maximum time between samples of an event.
const EVENT_SPAN_MS: i64 = 5 * 60 * 1000;
const METRES_PER_DEGREE: f64 = 111_195.0;

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

/// Groups samples, which it sorts by time, into events of at most ten.
fn events_of(samples: &[Sample]) -> Vec<Event> {
    let mut samples = samples.to_vec();
    samples.sort_by_key(|sample| sample.at);
    let mut groups: Vec<Vec<Sample>> = Vec::new();
    for sample in samples {
        match groups.last_mut() {
            Some(group) if group.len() < 10 && sample.at.ms_since(group[0].at) <= EVENT_SPAN_MS => group.push(sample),
            _ => groups.push(vec![sample]),
        }
    }
    let event = |(index, group): (usize, Vec<Sample>)| Event {
        eid: Eid::for_event(&vid(), "recording", &index.to_string(), group[0].at),
        vid: vid(),
        received: group[group.len() - 1].at.plus_ms(1000),
        body: Body::Telemetry(Telemetry { samples: group.into() }),
    };
    groups.into_iter().enumerate().map(event).collect()
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
    let conditions = [
        json!({"threshold": {"signal": "Vehicle.Speed", "above": 100, "hysteresis": 10}, "forS": 20}),
        json!({"harshBraking": {"aboveMps2": 2}}),
        json!({"noData": {"afterS": 60}}),
        json!({"all": [
            {"threshold": {"signal": "Vehicle.OBD.EngineSpeed", "above": 2500}},
            {"threshold": {"signal": "Vehicle.Speed", "below": 50}},
        ]}),
    ];
    check_agreement("envirocar", &conditions, 50);
}

#[test]
fn stream_and_back_test_agree_on_the_charge_of_a_twizy() {
    let charge = "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current";
    let conditions = [
        json!({"threshold": {"signal": charge, "below": 40, "hysteresis": 5}}),
        json!({"threshold": {"signal": charge, "below": 20}, "forS": 60}),
        json!({"rate": {"signal": charge, "below": -60, "hysteresis": 10, "per": "hour", "windowS": 300}}),
        json!({"harshAcceleration": {"aboveMps2": 2}}),
    ];
    check_agreement("twizy", &conditions, 20);
}

#[test]
fn stream_and_back_test_agree_on_geofences_of_buses() {
    let center = [-97.7431, 30.2672];
    let line = json!([[-97.7431, 30.26], [-97.738, 30.285], [-97.72, 30.32]]);
    let ring = json!([[-97.76, 30.25], [-97.72, 30.25], [-97.72, 30.29], [-97.76, 30.29], [-97.76, 30.25]]);
    let conditions = [
        json!({"geofence": {"event": "enter", "circle": {"center": center, "radiusM": 1000}, "hysteresisM": 50}}),
        json!({"geofence": {"event": "leave", "polygon": [ring], "hysteresisM": 50}}),
        json!({"geofence": {"event": "dwell", "corridor": {"line": line, "widthM": 300}}, "forS": 300}),
        json!({"noData": {"afterS": 600}}),
    ];
    check_agreement("capmetro", &conditions, 500);
}

fn number(sample: &Sample, path: &str) -> f64 {
    sample.signals[path].as_number().unwrap()
}

/// Returns longitude and latitude.
fn position(sample: &Sample) -> [f64; 2] {
    let [latitude, longitude] = POSITION.map(|path| number(sample, path));
    [longitude, latitude]
}

fn distance_m([x, y]: [f64; 2], [other_x, other_y]: [f64; 2]) -> f64 {
    ((x - other_x) * y.to_radians().cos()).hypot(y - other_y) * METRES_PER_DEGREE
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
    let is_of_trip = |sample: &&Sample| sample.signals.get("Vehicle.Transit.TripId") == Some(&Value::from("1400625"));
    let mut trip: Vec<Sample> = recorded.vehicles.iter().flatten().filter(is_of_trip).cloned().collect();
    trip.sort_by_key(|sample| sample.at);
    let mut centers: Vec<[f64; 2]> = Vec::new();
    for sample in trip.iter().skip(1) {
        let here = position(sample);
        // Far enough from the start that the bus is outside before it enters.
        let is_apart = centers.iter().chain([&position(&trip[0])]).all(|other| distance_m(here, *other) > 800.0);
        if is_apart && centers.len() < 10 {
            centers.push(here);
        }
    }
    assert_eq!(centers.len(), 10);
    let fence = |center: &[f64; 2]| json!({"geofence": {"event": "enter", "circle": {"center": center, "radiusM": 150}, "hysteresisM": 50}});
    let rules = rules_of(&centers.iter().map(fence).collect::<Vec<_>>());
    let transitions = back_test(&rules, &events_of(&trip));
    let entered: Vec<RuleId> = transitions
        .iter()
        .filter(|transition| transition.kind == TransitionKind::Raised)
        .map(|transition| transition.rule_id.clone())
        .collect();
    let expected: Vec<RuleId> = (0..10).map(RuleId::from_random_bits).collect();
    assert_eq!(entered, expected, "each once, in the order of the line");
}
