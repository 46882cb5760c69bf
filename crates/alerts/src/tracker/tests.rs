use std::collections::BTreeMap;
use std::sync::Arc;

use roadcast_domain::alert::{AlertChange, RuleOwner};
use roadcast_domain::entitlement::Coverage;
use roadcast_domain::event::{Body, Telemetry};
use roadcast_domain::ids::RuleId;
use roadcast_domain::package::{PackageName, Packages};
use roadcast_signals::{Sample, SignalPath, Value};
use serde_json::json;

use super::*;
use crate::rule::Rule;
use crate::{BackTest, RuleSet, RuleVersion};

const SPEED: &str = "Vehicle.Speed";

fn vid() -> VehicleId {
    VehicleId::from_random_bits(1)
}

fn at(seconds: i64) -> Timestamp {
    "2026-11-27T12:00:00Z".parse::<Timestamp>().unwrap().plus_ms(seconds * 1000)
}

fn version(id: u128, condition: &serde_json::Value) -> RuleVersion {
    let rule = json!({"name": "Fast", "severity": "warning", "condition": condition});
    RuleVersion {
        owner: RuleOwner::Operator,
        rule_id: RuleId::from_random_bits(id),
        version: 1,
        active_from: at(0),
        rule: Arc::new(Rule { cooldown_s: 0, ..Rule::from_value(&rule).unwrap() }),
    }
}

fn fast() -> RuleVersion {
    version(1, &json!({"threshold": {"signal": SPEED, "above": 100}}))
}

fn silent() -> RuleVersion {
    version(2, &json!({"noData": {"afterS": 60}}))
}

fn rules(versions: impl IntoIterator<Item = RuleVersion>) -> VehicleRules {
    RuleSet::new(versions).for_vehicle(&vid(), &BTreeMap::new())
}

fn tracker(versions: impl IntoIterator<Item = RuleVersion>) -> Tracker {
    Tracker::new(vid(), rules(versions), limits::ALLOWED_LATENESS_MS)
}

fn event_of(samples: impl IntoIterator<Item = Sample>) -> Event {
    let samples: Vec<Sample> = samples.into_iter().collect();
    let time = samples[0].at;
    let received = samples[samples.len() - 1].at.plus_ms(500);
    let body = Body::Telemetry(Telemetry { samples: samples.into() });
    Event { eid: Eid::for_event(&vid(), "test", &time.to_string(), time), vid: vid(), received, body }
}

fn sample(seconds: i64, signals: &[(&str, f64)]) -> Sample {
    let value = |(path, number): &(&str, f64)| (SignalPath::parse(path).unwrap(), Value::Number(*number));
    Sample { at: at(seconds), signals: signals.iter().map(value).collect() }
}

/// An event with one sample of the speed.
fn speed(seconds: i64, speed: f64) -> Event {
    event_of([sample(seconds, &[(SPEED, speed)])])
}

fn push(tracker: &mut Tracker, event: Event) -> Update {
    tracker.push([event], &mut Buffers::default())
}

/// The messages of an update: what is stated, at which second, and the revision.
fn messages(update: &Update) -> Vec<(AlertChange, i64, u32)> {
    update.alerts.iter().map(|alert| (alert.change, alert.at.ms_since(at(0)) / 1000, alert.revision)).collect()
}

#[test]
fn late_sample_withdraws_an_alert_and_raises_another() {
    use AlertChange::{Cleared, Raised, Withdrawn};
    let mut tracker = tracker([fast()]);
    assert_eq!(messages(&push(&mut tracker, speed(10, 120.0))), [(Raised, 10, 1)]);
    assert_eq!(messages(&push(&mut tracker, speed(20, 50.0))), [(Cleared, 20, 1)]);
    let update = push(&mut tracker, speed(5, 110.0));
    assert_eq!(messages(&update), [(Withdrawn, 10, 2), (Withdrawn, 20, 2), (Raised, 5, 1), (Cleared, 20, 1)]);
    assert!(update.alerts.iter().all(|alert| alert.late));
    assert_eq!(update.evaluated_again, 3);
    // Another late sample makes the first alert right again.
    assert_eq!(
        messages(&push(&mut tracker, speed(7, 60.0))),
        [(Withdrawn, 20, 2), (Cleared, 7, 1), (Raised, 10, 3), (Cleared, 20, 3)]
    );
}

#[test]
fn message_that_is_stated_again_has_another_event_id() {
    let mut tracker = tracker([fast()]);
    let first = push(&mut tracker, speed(10, 120.0)).alerts;
    let withdrawn = push(&mut tracker, speed(5, 110.0)).alerts;
    let again = push(&mut tracker, speed(7, 60.0)).alerts;
    let of_ten =
        |alerts: &[Alert]| alerts.iter().find(|alert| alert.at == at(10)).map(|alert| (alert.alert_id, alert.eid(&vid())));
    let [first, withdrawn, again] = [first, withdrawn, again].map(|alerts| of_ten(&alerts).unwrap());
    assert!(first.0 == withdrawn.0 && withdrawn.0 == again.0, "the same alert");
    assert!(first.1 != withdrawn.1 && withdrawn.1 != again.1 && again.1 != first.1);
    assert_eq!(first.1.time(), at(10));
}

#[test]
fn repeated_event_changes_nothing() {
    let mut tracker = tracker([fast()]);
    let _ = push(&mut tracker, speed(10, 120.0));
    let _ = push(&mut tracker, speed(20, 130.0));
    let update = push(&mut tracker, speed(10, 120.0));
    assert_eq!((update.alerts.len(), update.duplicates, update.evaluated_again), (0, 1, 0));
}

#[test]
fn sample_beyond_the_allowed_lateness_is_counted_and_ignored() {
    let mut tracker = tracker([fast()]);
    let lateness_s = limits::ALLOWED_LATENESS_MS / 1000;
    let _ = push(&mut tracker, speed(lateness_s + 10, 50.0));
    assert_eq!(messages(&push(&mut tracker, speed(10, 120.0))).len(), 2, "exactly in time");
    let update = push(&mut tracker, event_of([sample(8, &[(SPEED, 150.0)]), sample(9, &[(SPEED, 150.0)])]));
    assert_eq!((update.alerts.len(), update.too_late), (0, 2));
    // Whatever the division into calls.
    let mut tracker = self::tracker([fast()]);
    let update = tracker.push([speed(lateness_s + 10, 50.0), speed(9, 120.0)], &mut Buffers::default());
    assert_eq!((update.alerts.len(), update.too_late), (0, 1));
}

#[test]
fn silence_is_withdrawn_if_data_of_that_time_arrives() {
    use AlertChange::{Cleared, Raised, Withdrawn};
    let mut tracker = tracker([silent()]);
    let _ = push(&mut tracker, speed(0, 50.0));
    assert_eq!(tracker.next_deadline(), Some(at(60)));
    assert_eq!(messages(&tracker.advance(at(59))), []);
    assert_eq!(messages(&tracker.advance(at(200))), [(Raised, 60, 1)]);
    assert_eq!(messages(&tracker.advance(at(300))), [], "repeated sweeps state nothing new");
    assert_eq!(tracker.next_deadline(), None, "only a sample changes something");
    // A vehicle that was offline sends what it recorded.
    assert_eq!(messages(&push(&mut tracker, speed(30, 50.0))), [(Withdrawn, 60, 2), (Raised, 90, 1)]);
    assert_eq!(messages(&push(&mut tracker, speed(120, 50.0))), [(Cleared, 120, 1), (Raised, 180, 1)]);
}

#[test]
fn kept_samples_are_bounded() {
    let mut tracker = tracker([fast()]);
    let mut buffers = Buffers::default();
    for group in 0..80 {
        // 500 samples in ten seconds.
        let samples = (0..500).map(|index| {
            let mut sample = sample(0, &[(SPEED, 50.0)]);
            sample.at = at(0).plus_ms(group * 10_000 + index * 20);
            sample
        });
        let _ = tracker.push([event_of(samples)], &mut buffers);
        assert!(tracker.window.samples() <= limits::KEPT_SAMPLES);
    }
    let oldest = tracker.states.oldest().time.unwrap();
    assert!(oldest < tracker.time().unwrap().plus_ms(-60_000), "as many as possible are kept");
    let update = push(&mut tracker, speed(1, 120.0));
    assert_eq!(update.too_late, 1, "the allowed lateness is shorter");
    // Even of one time.
    let _ = tracker.push([event_of((0..20_000).map(|_| sample(2000, &[(SPEED, 50.0)])))], &mut buffers);
    assert!(tracker.window.samples() <= limits::KEPT_SAMPLES);
}

#[test]
fn kept_transitions_are_bounded() {
    let mut tracker = tracker([fast()]);
    // The condition changes with each sample, ten times a second.
    for tenth in 0..6000 {
        let mut sample = sample(0, &[(SPEED, if tenth % 2 == 0 { 120.0 } else { 50.0 })]);
        sample.at = at(0).plus_ms(tenth * 100);
        assert_eq!(push(&mut tracker, event_of([sample])).alerts.len(), 1);
        assert!(tracker.publication.memory_bytes() <= limits::KEPT_TRANSITION_BYTES);
    }
    assert!(tracker.publication.list().len() > 500, "as many as possible are kept");
    assert_eq!(push(&mut tracker, speed(1, 120.0)).too_late, 1, "the allowed lateness is shorter");
}

#[test]
fn state_is_replaced_by_that_of_what_is_still_seen() {
    use AlertChange::{Cleared, Raised};
    let (altitude, other) =
        ("Vehicle.CurrentLocation.Altitude", version(3, &json!({"threshold": {"signal": SPEED, "above": 90}})));
    let high =
        json!({"all": [{"threshold": {"signal": SPEED, "above": 100}}, {"threshold": {"signal": altitude, "above": 500}}]});
    let versions = [version(1, &high), silent(), other];
    let mut tracker = tracker(versions.clone());
    let _ = push(&mut tracker, event_of([sample(10, &[(SPEED, 95.0), (altitude, 900.0)])]));
    // The oldest snapshot is that of the first sample.
    let _ = push(&mut tracker, speed(1000, 80.0));
    let mut checkpoint = tracker.checkpoint();
    assert_eq!(checkpoint.time(), Some(at(10)));
    // The altitude is lost.
    let affected = rules(versions.clone()).that_read(|signal| signal.path == altitude, false);
    assert_eq!(affected.len(), 2, "that with the altitude, and that about any data");
    let mut test = BackTest::new(&affected);
    test.push(affected.select(&speed(5, 120.0), |_| true, true));
    let (transitions, state) = test.state_at(at(10));
    assert_eq!(transitions, []);
    checkpoint.start_again(&affected, state, |path| path == altitude, true);
    let restore = |checkpoint: &Checkpoint, event: Event| {
        let lateness_ms = limits::ALLOWED_LATENESS_MS;
        Tracker::restore(vid(), rules(versions.clone()), lateness_ms, checkpoint, [event], &mut Buffers::default())
    };
    let with_altitude = event_of([sample(30, &[(altitude, 800.0)])]);
    let (mut restored, update) = restore(&checkpoint, with_altitude);
    // The speed of the replaced state, and an altitude from afterwards.
    let raised = update.alerts.iter().find(|alert| alert.rule.rule_id == RuleId::from_random_bits(1)).unwrap();
    assert_eq!((raised.change, raised.at), (Raised, at(30)));
    let mut times: Vec<_> = raised.signals.iter().filter_map(|signal| signal.at).collect();
    times.sort_unstable();
    assert_eq!(times, [at(10), at(30)]);
    assert_eq!(messages(&push(&mut restored, speed(40, 50.0))), [(Cleared, 40, 1); 2], "that of the other rule as well");
    // Without one, nothing is known about the altitude.
    let (_, update) = restore(&checkpoint, speed(30, 130.0));
    let of_rule = |alert: &&Alert| alert.rule.rule_id == RuleId::from_random_bits(1);
    assert_eq!(update.alerts.iter().filter(of_rule).count(), 0);
}

#[test]
fn changed_rules_keep_the_alerts_of_the_versions_that_remain() {
    use AlertChange::{Cleared, Raised};
    let mut tracker = tracker([fast(), silent()]);
    let events = [speed(10, 120.0), speed(20, 130.0)];
    let _ = tracker.push(events.clone(), &mut Buffers::default());
    let slow = RuleVersion { active_from: at(20), ..version(3, &json!({"threshold": {"signal": SPEED, "above": 90}})) };
    let (mut restored, update) = Tracker::restore(
        vid(),
        rules([fast(), slow]),
        limits::ALLOWED_LATENESS_MS,
        &tracker.checkpoint(),
        events,
        &mut Buffers::default(),
    );
    assert_eq!(messages(&update), [(Raised, 20, 1)], "only the new rule, from the time at which it was created");
    assert!(restored.has_alerts());
    assert_eq!(messages(&push(&mut restored, speed(30, 50.0))), [(Cleared, 30, 1), (Cleared, 30, 1)]);
}

#[test]
fn selection_contains_only_what_is_visible_and_read() {
    let hidden = |signal: &roadcast_signals::SignalDef| signal.path != SPEED;
    let event = event_of([sample(0, &[(SPEED, 120.0), ("Vehicle.TraveledDistance", 5.0)]), sample(1, &[(SPEED, 120.0)])]);
    let select = |version| rules([version]).select(&event, hidden, true);
    assert_eq!(select(fast()), None, "the only signal that is read is hidden");
    // A rule about any data gets the times of samples with a visible signal, and no value.
    let Some(Event { body: Body::Telemetry(telemetry), .. }) = select(silent()) else { panic!("nothing") };
    assert_eq!((telemetry.samples.times(), telemetry.samples.columns().len()), (&[at(0)][..], 0));
}

#[test]
fn alert_is_covered_only_with_all_that_its_rule_reads() {
    let both = version(
        1,
        &json!({"any": [
            {"threshold": {"signal": SPEED, "above": 100}},
            {"threshold": {"signal": "Vehicle.CurrentLocation.Altitude", "above": 1000}},
            {"milOn": {}},
        ]}),
    );
    let alerts = push(&mut tracker([both]), speed(10, 120.0)).alerts;
    let packages = Packages::built_in();
    let is_covered = |names: &[&str]| {
        let names: Vec<PackageName> = names.iter().map(|name| name.parse().unwrap()).collect();
        alerts[0].is_covered(&Coverage::of(&names, &packages))
    };
    let all = ["alerts", "telematics", "track-and-trace", "diagnostics"];
    assert!(is_covered(&all));
    for missing in all {
        let others: Vec<&str> = all.into_iter().filter(|name| *name != missing).collect();
        assert!(!is_covered(&others), "without {missing}");
    }
}

#[test]
fn alert_is_written_as_documented() {
    let mut tracker = tracker([fast()]);
    let raised = push(&mut tracker, speed(10, 120.0)).alerts.remove(0);
    let cause = speed(10, 120.0);
    let expected = json!({
        "alertId": raised.alert_id, "change": "raised", "at": at(10), "raisedAt": at(10), "revision": 1,
        "rule": {"ruleId": RuleId::from_random_bits(1), "version": 1, "name": "Fast", "severity": "warning"},
        "cause": {"eid": cause.eid, "received": cause.received},
        "signals": [{"path": SPEED, "value": 120, "at": at(10)}],
    });
    assert_eq!(serde_json::to_value(&raised).unwrap(), expected);
    assert_eq!(serde_json::from_value::<Alert>(expected).unwrap(), raised);
    let withdrawn = push(&mut tracker, speed(5, 50.0)).alerts.into_iter().chain(push(&mut tracker, speed(7, 110.0)).alerts);
    let withdrawn = serde_json::to_value(withdrawn.collect::<Vec<_>>()).unwrap();
    assert_eq!(withdrawn[0]["change"], "withdrawn");
    assert_eq!((&withdrawn[0]["withdraws"], &withdrawn[0]["late"]), (&json!("raised"), &json!(true)));
}
