//! Who sees an alert, and which subscriptions hold it back.

use proptest::prelude::*;
use roadcast_signals::{SignalPath, Value};

use super::*;
use crate::alert::{Alert, AlertChange, AlertDiagnostic, AlertRule, AlertSignal, Cause, Severity};
use crate::ids::{AlertId, RuleId};

const LATITUDE: &str = "Vehicle.CurrentLocation.Latitude";

/// An alert of a rule of the fleet with this number, or of the operator, that reads these signals.
fn alert(fleet: Option<u128>, signals: &[&str], reads_diagnostics: bool, received: Timestamp) -> Event {
    let rule_id = RuleId::from_random_bits(1);
    let signal = |path: &&str| AlertSignal {
        path: SignalPath::parse(path).unwrap(),
        value: Some(Value::Number(1.0)),
        at: Some(received),
    };
    let alert = Alert {
        alert_id: AlertId::for_alert(&rule_id, 1, &vid(), received),
        change: AlertChange::Raised,
        withdraws: None,
        rule: AlertRule {
            fleet_id: fleet.map(FleetId::from_random_bits),
            rule_id,
            version: 1,
            name: "A rule".to_owned(),
            severity: Severity::Info,
        },
        at: received,
        raised_at: received,
        revision: 1,
        late: false,
        cause: Some(Cause { eid: Eid::MIN, received }),
        signals: signals.iter().map(signal).collect(),
        diagnostic: reads_diagnostics.then(|| AlertDiagnostic { at: None, mil: None, dtcs: Vec::new() }),
    };
    alert.into_event(vid()).event
}

fn is_visible(entitlement: &Entitlement, alert: &Event) -> bool {
    entitlement.redact(alert, &Packages::built_in(), at(9)).is_some()
}

#[test]
fn alert_is_visible_only_while_all_that_it_names_is_covered() {
    let alert = alert(Some(1), &["Vehicle.Speed", LATITUDE], true, at(5));
    let all = ["alerts", "telematics", "track-and-trace", "diagnostics"];
    assert!(is_visible(&entitlement(&[(&all, 0, None)]), &alert));
    let several = all.map(|name| vec![name]);
    let grants: Vec<(&[&str], i64, Option<i64>)> = several.iter().map(|names| (names.as_slice(), 0, None)).collect();
    assert!(is_visible(&entitlement(&grants), &alert), "by several subscriptions together");
    for (missing, name) in all.iter().enumerate() {
        let mut fewer = grants.clone();
        fewer.remove(missing);
        assert!(!is_visible(&entitlement(&fewer), &alert), "without {name}");
    }
}

#[test]
fn alert_of_a_fleet_is_for_no_other_fleet() {
    let own = entitlement(&[(&["alerts", "telematics"], 0, None)]);
    let signals: &[&str] = &["Vehicle.Speed"];
    assert!(is_visible(&own, &alert(Some(1), signals, false, at(5))));
    assert!(is_visible(&own, &alert(None, signals, false, at(5))), "the operator's alerts are for all fleets");
    let foreign = alert(Some(2), signals, false, at(5));
    let packages = Packages::built_in();
    let mut suspended = own.clone();
    suspended.grants[0].suspended = true;
    assert_eq!(suspended.redact_retained(&foreign, &packages, at(9)), None, "nor later");
    assert_eq!(suspended.holders(&foreign, &packages, at(9)), Holders::None);
    assert_eq!(own.redact(&foreign, &packages, at(9)), None);
    let limited = own.limited_to(&["alerts", "telematics"].map(|name| name.parse().unwrap()).into());
    assert_eq!(limited.redact(&foreign, &packages, at(9)), None, "nor for its endpoints");
}

#[test]
fn alert_that_several_suspended_subscriptions_show_is_held_by_all() {
    let mut two = entitlement(&[(&["alerts"], 0, None), (&["telematics"], 0, None), (&["track-and-trace"], 0, None)]);
    let (alert, packages) = (alert(Some(1), &["Vehicle.Speed"], false, at(5)), Packages::built_in());
    two.grants[0].suspended = true;
    two.grants[1].suspended = true;
    let held_by = two.holders(&alert, &packages, at(9));
    let subscriptions = [0, 1].map(SubscriptionId::from_random_bits).into();
    assert_eq!(held_by, Holders::All(subscriptions));
    two.grants[0].suspended = false;
    assert!(!two.has_released(&held_by, at(6), at(9)) && !is_visible(&two, &alert));
    two.grants[1].suspended = false;
    assert!(two.has_released(&held_by, at(6), at(9)) && is_visible(&two, &alert));
}

type Grants = Vec<(Vec<&'static str>, bool)>;

fn grants() -> impl Strategy<Value = Grants> {
    let names = vec!["alerts", "telematics", "track-and-trace", "diagnostics"];
    prop::collection::vec((prop::sample::subsequence(names, 0..4), any::<bool>()), 0..5)
}

proptest! {
    /// An alert that is held back is released by its holders only while the fleet sees it, whatever else is suspended or resumed.
    #[test]
    fn released_alert_is_visible(
        grants in grants(),
        later in prop::collection::vec(any::<bool>(), 5),
        signals in prop::sample::subsequence(vec!["Vehicle.Speed", LATITUDE], 0..=2),
        reads_diagnostics: bool,
    ) {
        let alert = alert(Some(1), &signals, reads_diagnostics, at(5));
        let packages = Packages::built_in();
        let terms: Vec<(&[&str], i64, Option<i64>)> = grants.iter().map(|(names, _)| (names.as_slice(), 0, None)).collect();
        let mut entitlement = entitlement(&terms);
        for (grant, (_, suspended)) in entitlement.grants.iter_mut().zip(&grants) {
            grant.suspended = *suspended;
        }
        let is_held = entitlement.redact_retained(&alert, &packages, at(9)).is_some() && !is_visible(&entitlement, &alert);
        let held_by = entitlement.holders(&alert, &packages, at(9));
        prop_assert_eq!(held_by.is_none(), !is_held);
        if !is_held {
            return Ok(());
        }
        prop_assert!(!entitlement.has_released(&held_by, at(6), at(9)));
        for (grant, suspended) in entitlement.grants.iter_mut().zip(&later) {
            grant.suspended = *suspended;
        }
        if entitlement.has_released(&held_by, at(6), at(9)) {
            prop_assert!(is_visible(&entitlement, &alert));
        }
        for grant in &mut entitlement.grants {
            grant.suspended = false;
        }
        prop_assert!(entitlement.has_released(&held_by, at(6), at(9)));
    }
}
