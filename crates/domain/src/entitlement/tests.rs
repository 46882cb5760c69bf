mod alerts;
mod visibility;

use std::collections::BTreeSet;

use proptest::prelude::*;
use roadcast_signals::{Sample, SignalPath, Signals, Value};

use super::*;
use crate::diagnostic::Diagnostic;
use crate::ids::Eid;
use crate::package::Package;

const PATHS: [&str; 5] = [
    "Vehicle.Speed",
    "Vehicle.CurrentLocation.Latitude",
    "Vehicle.OBD.Speed",
    "Vehicle.VehicleIdentification.VIN",
    "Oem.Unknown",
];

fn vid() -> VehicleId {
    VehicleId::from_random_bits(1)
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn event(samples: &[&[&str]], received: Timestamp) -> Event {
    let sample = |paths: &&[&str]| Sample {
        at: received,
        signals: paths.iter().map(|path| (SignalPath::parse(path).unwrap(), Value::from("x"))).collect::<Signals>(),
    };
    let body = Body::Telemetry(Telemetry { samples: samples.iter().map(sample).collect() });
    Event { eid: Eid::MIN, vid: vid(), received, body }
}

fn entitlement(grants: &[(&[&str], i64, Option<i64>)]) -> Entitlement {
    let grants = grants
        .iter()
        .enumerate()
        .map(|(n, (packages, from, until))| Grant {
            subscription_id: SubscriptionId::from_random_bits(n as u128),
            packages: packages.iter().map(|name| name.parse().unwrap()).collect(),
            delivery_format: DeliveryFormat::Json,
            validity: Validity { valid_from: at(*from), valid_until: until.map(at) },
            suspended: false,
        })
        .collect();
    Entitlement { fleet_id: FleetId::from_random_bits(1), vid: vid(), epoch: 0, grants }
}

fn paths(event: Option<Event>) -> Vec<Vec<String>> {
    let Some(Event { body: Body::Telemetry(telemetry), .. }) = event else { return Vec::new() };
    telemetry.samples.to_rows().iter().map(|sample| sample.signals.keys().map(ToString::to_string).collect()).collect()
}

#[test]
fn track_and_trace_shows_only_positions() {
    let redacted = entitlement(&[(&["track-and-trace"], 0, None)]).redact(
        &event(&[&["Vehicle.Speed", "Vehicle.CurrentLocation.Latitude"], &["Vehicle.Speed"]], at(10)),
        &Packages::built_in(),
        at(20),
    );
    assert_eq!(paths(redacted), [["Vehicle.CurrentLocation.Latitude"]]);
}

#[test]
fn data_outside_the_validity_is_not_visible() {
    let limited = entitlement(&[(&["track-and-trace"], 10, Some(20))]);
    let is_visible =
        |received, now| limited.redact(&event(&[&PATHS], at(received)), &Packages::built_in(), at(now)).is_some();
    assert!(is_visible(10, 15));
    assert!(!is_visible(9, 15), "received before the validity starts");
    assert!(!is_visible(15, 20), "read after the validity ended");
}

#[test]
fn live_grant_does_not_extend_an_ended_grant() {
    let two = entitlement(&[(&["identification"], 0, Some(10)), (&["track-and-trace"], 0, None)]);
    assert_eq!(
        paths(two.redact(&event(&[&PATHS], at(5)), &Packages::built_in(), at(50))),
        [["Vehicle.CurrentLocation.Latitude"]]
    );
    assert!(!two.has_package("identification", at(50)));
}

#[test]
fn suspended_grant_hides_data_but_retains_it() {
    let mut two = entitlement(&[(&["identification"], 0, None), (&["track-and-trace"], 0, None)]);
    two.grants[0].suspended = true;
    let (event, packages) = (event(&[&PATHS], at(5)), Packages::built_in());
    assert_eq!(paths(two.redact(&event, &packages, at(9))), [["Vehicle.CurrentLocation.Latitude"]]);
    assert!(!two.has_package("identification", at(9)));
    let retained = paths(two.redact_retained(&event, &packages, at(9)));
    assert_eq!(retained, [["Vehicle.CurrentLocation.Latitude", "Vehicle.VehicleIdentification.VIN"]]);
    two.grants[1].suspended = true;
    assert!(!two.is_live(at(9)) && two.is_retained_at(at(9)) && two.redact(&event, &packages, at(9)).is_none());
}

#[test]
fn intersection_of_grants_exceeds_neither() {
    let one = |packages: &[&str], from, until| entitlement(&[(packages, from, until)]).grants.remove(0);
    let wide = one(&["telematics", "alerts"], 0, None);
    for narrow in
        [one(&["alerts"], 0, None), one(&["telematics", "alerts"], 5, None), one(&["telematics", "alerts"], 0, Some(9))]
    {
        assert!(wide.exceeds(&narrow) && !narrow.exceeds(&wide));
        assert_eq!(wide.intersection(&narrow).as_ref(), Some(&narrow));
    }
    let suspended = Grant { suspended: true, ..wide.clone() };
    assert!(wide.exceeds(&suspended) && !suspended.exceeds(&wide));
    assert_eq!(wide.intersection(&one(&["diagnostics"], 0, None)), None);
    assert_eq!(one(&["alerts"], 0, Some(5)).intersection(&one(&["alerts"], 5, None)), None);
}

#[test]
fn paths_outside_the_catalogue_are_not_visible() {
    let everything = Package { name: "all".parse().unwrap(), signals: vec!["*".to_owned()], event_types: vec![] };
    let redacted =
        entitlement(&[(&["all"], 0, None)]).redact(&event(&[&PATHS], at(1)), &Packages::from_iter([everything]), at(1));
    assert!(!paths(redacted).concat().contains(&"Oem.Unknown".to_owned()));
}

#[test]
fn diagnostics_require_the_diagnostics_package() {
    let body = Body::Diagnostic(Diagnostic { at: at(1), mil: None, dtcs: vec![] });
    let diagnosis = Event { eid: Eid::MIN, vid: vid(), received: at(1), body };
    assert!(entitlement(&[(&["diagnostics"], 0, None)]).redact(&diagnosis, &Packages::built_in(), at(1)).is_some());
    assert!(entitlement(&[(&["telematics"], 0, None)]).redact(&diagnosis, &Packages::built_in(), at(1)).is_none());
}

proptest! {
    /// The redacted event contains nothing outside the live grants and everything inside them.
    #[test]
    fn redaction_keeps_exactly_what_live_grants_cover(
        grants in prop::collection::vec(
            (prop::sample::subsequence(vec!["telematics", "track-and-trace", "identification"], 0..3), 0_i64..50, prop::option::of(0_i64..100)),
            0..4,
        ),
        received in 0_i64..100,
        wait in 0_i64..100,
    ) {
        let now = received + wait;
        let packages = Packages::built_in();
        let grants: Vec<(&[&str], i64, Option<i64>)> = grants.iter().map(|(p, from, until)| (p.as_slice(), *from, *until)).collect();
        let entitlement = entitlement(&grants);
        let mut expected = BTreeSet::new();
        for (names, from, until) in &grants {
            let live = |t: i64| *from <= t && until.is_none_or(|until| t < until);
            if live(received) && live(now) {
                for path in PATHS.iter().filter(|path| !path.starts_with("Oem")) {
                    if names.iter().any(|name| packages.get(name).unwrap().contains_signal(path)) {
                        expected.insert((*path).to_owned());
                    }
                }
            }
        }
        let redacted = entitlement.redact(&event(&[&PATHS], at(received)), &packages, at(now));
        let visible: BTreeSet<String> = paths(redacted).concat().into_iter().collect();
        prop_assert_eq!(visible, expected);
    }
}
