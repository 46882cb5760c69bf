#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use roadcast_signals::Signals;

use super::*;

/// Reads one sample with these signals, by the general parser and, where it applies, by that of the usual form. Returns the
/// accepted signals, and the names and reasons of the others.
fn read(signals: &str) -> (Signals, Vec<(String, &'static str)>) {
    let data = format!(r#"{{"samples":[{{"at":"2026-01-01T12:00:00Z","signals":{signals}}}]}}"#);
    let json: &RawValue = serde_json::from_str(&data).unwrap();
    let result = |sent: SentSamples<'_>| {
        let accepted = sent.samples.unwrap().to_rows().remove(0).signals;
        let rejected = sent.rejected.into_iter().map(|rejected| (rejected.path.into_owned(), rejected.reason.code()));
        (accepted, rejected.collect::<Vec<_>>())
    };
    let general = result(SentSamples::parse_any(json).unwrap());
    assert_eq!(result(SentSamples::parse(json).unwrap()), general, "{signals}");
    general
}

fn check(json: &str, accepted: &[&str], rejected: &[(&str, &str)]) {
    let (signals, found) = read(json);
    assert_eq!(signals.keys().map(SignalPath::as_str).collect::<Vec<_>>(), accepted, "{json}");
    let found: Vec<(&str, &str)> = found.iter().map(|(name, reason)| (name.as_str(), *reason)).collect();
    assert_eq!(found, rejected, "{json}");
}

#[test]
fn signal_that_is_given_twice_is_rejected_alone() {
    for twice in [
        r#"{"Vehicle.Speed":10,"Vehicle.Speed":90,"Vehicle.OBD.Speed":12}"#,
        r#"{"Vehicle.Speed":10,"Vehicle.OBD.Speed":12,"Vehicle.Speed":10}"#,
        r#"{"Vehicle.OBD.Speed":12,"Vehicle.Speed":"x","\u0056ehicle.Speed":90,"Vehicle.Speed":null}"#,
    ] {
        check(twice, &["Vehicle.OBD.Speed"], &[("Vehicle.Speed", "duplicate")]);
    }
}

#[test]
fn unreadable_signal_does_not_affect_the_others() {
    let deep = "[".repeat(300) + &"]".repeat(300);
    for (value, reason) in [
        ("1e309", "out_of_range"),
        ("-1e99999", "out_of_range"),
        ("12345678901234567890", "not_exact"),
        (r#""\ud800""#, "bad_text"),
        (r#""\uffff""#, "bad_text"),
        ("[1e309]", "wrong_type"),
        (deep.as_str(), "wrong_type"),
        ("{\"a\":1,\"a\":1}", "wrong_type"),
    ] {
        let sent = format!(r#"{{"acme.x":{value},"Vehicle.Speed":48}}"#);
        check(&sent, &["Vehicle.Speed"], &[("acme.x", reason)]);
    }
    check(r#"{"\ud800":1,"Vehicle.Speed":48}"#, &["Vehicle.Speed"], &[(r"\ud800", "bad_path")]);
    check(r#"{"a/b~":1,"Vehicle.Speed":48}"#, &["Vehicle.Speed"], &[("a/b~", "bad_path")]);
}

#[test]
fn duplicate_coordinate_leaves_the_other_coordinate() {
    let sent = r#"{"Vehicle.CurrentLocation.Latitude":0,"Vehicle.CurrentLocation.Longitude":0,
        "Vehicle.CurrentLocation.Longitude":0}"#;
    check(sent, &["Vehicle.CurrentLocation.Latitude"], &[("Vehicle.CurrentLocation.Longitude", "duplicate")]);
}

#[test]
fn telemetry_of_the_usual_form_is_read_in_one_pass() {
    let sample =
        r#"{"at":"2026-01-01T12:00:00.500Z","signals":{"Vehicle.Speed":48.25,"acme.note":"é","Vehicle.IsMoving":true}}"#;
    let is_usual = |sample: &str| {
        let data = format!("{{\"samples\":[{sample},{sample}]}}");
        let mut cursor = Cursor::new(&data);
        SentSamples::read_usual(&mut cursor).is_some_and(|_| cursor.is_at_end())
    };
    assert!(is_usual(sample));
    for (usual, unusual) in [("48.25", "4825e-2"), ("48.25", "null"), ("48.25", "999"), ("é", "\\u00e9"), ("signals", "sig")]
    {
        assert!(!is_usual(&sample.replace(usual, unusual)), "{unusual}");
    }
}

#[test]
fn values_of_too_many_unknown_signals_are_not_kept() {
    let signals = |names: usize| {
        let members: Vec<String> = (0..names).map(|n| format!("\"acme.s{n}\":1")).collect();
        format!(r#"{{"at":"2026-01-01T12:00:00Z","signals":{{{}}}}}"#, members.join(","))
    };
    for (names, is_kept) in [(limits::UNKNOWN_SIGNALS_PER_EVENT, true), (limits::UNKNOWN_SIGNALS_PER_EVENT + 1, false)] {
        let data = format!("{{\"samples\":[{}]}}", signals(names));
        let sent = SentSamples::parse(serde_json::from_str(&data).unwrap()).unwrap();
        assert_eq!((sent.samples.is_ok(), sent.has_signals), (is_kept, vec![true]));
    }
}

proptest! {
    /// The result depends on which signals were sent, not on their order: retries and re-serialized events agree.
    #[test]
    fn order_of_signals_does_not_change_the_result(
        (sent, shuffled) in prop::collection::vec((prop::sample::select(vec!["a.x", "a.y", "bad path"]), 0..3_u8), 0..6)
            .prop_flat_map(|sent| (Just(sent.clone()), Just(sent).prop_shuffle())),
    ) {
        let text = |members: &[(&str, u8)]| {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        };
        let result = read(&text(&sent));
        prop_assert_eq!(&result, &read(&text(&shuffled)));
        for (path, value) in &result.0 {
            let values: Vec<f64> =
                sent.iter().filter(|(name, _)| *name == path.as_str()).map(|(_, value)| f64::from(*value)).collect();
            prop_assert_eq!(values.iter().copied().map(Value::Number).collect::<Vec<_>>(), vec![value.clone()]);
        }
    }
}
