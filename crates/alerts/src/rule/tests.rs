use proptest::prelude::*;
use roadcast_domain::alert::{Alert, AlertChange, AlertDiagnostic, AlertRule, AlertSignal, Cause};
use roadcast_domain::diagnostic::{DtcStatus, TroubleCode};
use roadcast_domain::ids::{AlertId, Eid, FleetId, RuleId, VehicleId};
use roadcast_domain::webhook::Endpoint;
use roadcast_signals::{Catalogue, MAX_TEXT_BYTES, SignalPath, Timestamp};
use serde_json::{Value, json};

use super::*;

/// A rule with every kind of condition and member.
fn example() -> Value {
    serde_json::from_str(include_str!("../../examples/rule.json")).unwrap()
}

fn mistakes(rule: &Value) -> Vec<(String, String)> {
    let mistakes = Rule::from_value(rule).unwrap_err().0;
    mistakes.into_iter().map(|mistake| (mistake.pointer.to_string(), mistake.detail)).collect()
}

/// The pointers of the mistakes of a rule with this condition.
fn pointers(condition: &Value) -> Vec<String> {
    let rule = json!({"name": "r", "severity": "info", "condition": condition});
    let pointers = mistakes(&rule).into_iter().map(|(pointer, _)| pointer.strip_prefix("/condition").unwrap().to_owned());
    pointers.collect()
}

fn schema_accepts(rule: &Value) -> bool {
    let schema: Value = serde_json::from_str(include_str!("../../rule.schema.json")).unwrap();
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("rule.json", schema).unwrap();
    let index = compiler.compile("rule.json", &mut schemas).unwrap();
    schemas.validate(rule, index).is_ok()
}

#[test]
fn rule_round_trips_through_json() {
    let rule = Rule::from_value(&example()).unwrap();
    let written = serde_json::to_value(&rule).unwrap();
    assert_eq!(serde_json::from_value::<Rule>(written.clone()).unwrap(), rule);
    assert_eq!(written["condition"]["any"][5], example()["condition"]["any"][5]);
    assert_eq!(written["schedule"], example()["schedule"]);
    assert_eq!(written["scope"], example()["scope"]);
}

/// Conditions without data that read the first signals of the catalogue.
fn reading(signals: usize) -> Value {
    let paths: Vec<&str> = Catalogue::get().iter().take(signals).map(|def| def.path).collect();
    json!({"any": paths.chunks(32).map(|paths| json!({"noData": {"afterS": 60, "signals": paths}})).collect::<Vec<_>>()})
}

#[test]
fn rule_reads_a_limited_number_of_signals() {
    let rule = |signals| json!({"name": "r", "severity": "info", "condition": reading(signals)});
    assert!(Rule::from_value(&rule(limits::SIGNALS_PER_RULE)).is_ok());
    assert_eq!(pointers(&reading(limits::SIGNALS_PER_RULE + 1)), [""]);
}

#[test]
fn largest_alert_fits_into_a_webhook() {
    let at = Timestamp::from_ms(1_793_000_000_000);
    let (vid, rule_id) = (VehicleId::from_random_bits(1), RuleId::from_random_bits(1));
    // Each of them takes two bytes in JSON.
    let text = roadcast_signals::Value::from("\"".repeat(MAX_TEXT_BYTES).as_str());
    let mut paths: Vec<&str> = Catalogue::get().iter().map(|def| def.path).collect();
    paths.sort_by_key(|path| std::cmp::Reverse(path.len()));
    let signal =
        |path: &&str| AlertSignal { path: SignalPath::parse(path).unwrap(), value: Some(text.clone()), at: Some(at) };
    let code = TroubleCode { code: "P0301".parse().unwrap(), status: DtcStatus::Permanent };
    let alert = Alert {
        alert_id: AlertId::for_alert(&rule_id, 1, &vid, at),
        change: AlertChange::Withdrawn,
        withdraws: Some(roadcast_domain::alert::TransitionKind::Cleared),
        rule: AlertRule {
            fleet_id: Some(FleetId::from_random_bits(1)),
            rule_id,
            version: u64::MAX,
            name: "\"".repeat(limits::NAME_BYTES),
            severity: Severity::Critical,
        },
        at,
        raised_at: at,
        revision: u32::MAX,
        late: true,
        cause: Some(Cause { eid: Eid::MIN, received: at }),
        signals: paths.iter().take(limits::SIGNALS_PER_RULE).map(signal).collect(),
        diagnostic: Some(AlertDiagnostic { at: Some(at), mil: Some(true), dtcs: vec![code; limits::CODES_PER_ALERT] }),
    };
    let event = alert.into_event(vid).event;
    let bytes = serde_json::to_string(&event.to_cloud_event().with_consent_epoch(1)).unwrap().len();
    assert!(bytes <= Endpoint::MAX_BODY_BYTES, "{bytes} bytes");
}

#[test]
fn every_mistake_is_reported_with_its_pointer() {
    let rule = json!({
        "name": "", "severity": "high", "cooldownS": -1, "color": "red",
        "scope": {"vehicles": ["veh_0123456789abcdef", "v"], "attributes": {"make": 3}},
        "schedule": {"timeZone": "Europe/Atlantis", "quietHours": [{"days": ["mon", "someday"], "from": "24:00"}]},
        "condition": {"all": [
            {"threshold": {"signal": "Vehicle.Spede", "above": "fast", "hysteresis": -1}},
            {"geofence": {"event": "enter", "circle": {"center": [13.4, 91], "radiusM": 0}}},
            {"dtc": {"patterns": ["P0301", "P0"]}},
        ]},
    });
    let expected = [
        "/color",
        "/name",
        "/severity",
        "/scope/vehicles/1",
        "/scope/attributes/make",
        "/condition/all/0/threshold/signal",
        "/condition/all/0/threshold/above",
        "/condition/all/0/threshold/hysteresis",
        "/condition/all/1/geofence/circle/center/1",
        "/condition/all/1/geofence/circle/radiusM",
        "/condition/all/2/dtc/patterns/1",
        "/cooldownS",
        "/schedule/timeZone",
        "/schedule/quietHours/0/days/1",
        "/schedule/quietHours/0/from",
        "/schedule/quietHours/0",
    ];
    let mut found: Vec<String> = mistakes(&rule).into_iter().map(|(pointer, _)| pointer).collect();
    found.sort();
    let mut expected = expected.map(str::to_owned);
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn cooldown_is_a_minute_at_least_and_by_default() {
    let with = |cooldown: Option<u32>| {
        let mut rule = json!({"name": "Lamp", "severity": "info", "condition": {"milOn": {}}});
        if let Some(cooldown) = cooldown {
            rule["cooldownS"] = cooldown.into();
        }
        rule
    };
    let read = |cooldown| Rule::from_value(&with(cooldown)).map(|rule| rule.cooldown_s).ok();
    assert_eq!([None, Some(60), Some(1800)].map(read), [Some(60), Some(60), Some(1800)]);
    for too_short in [0, 59] {
        let expected = ("/cooldownS".to_owned(), "must be a whole number of seconds from 60 to 604800".to_owned());
        assert_eq!(mistakes(&with(Some(too_short))), [expected]);
    }
}

#[test]
fn condition_has_exactly_one_test() {
    assert_eq!(pointers(&json!({})), [""]);
    assert_eq!(pointers(&json!({"forS": 3})), [""]);
    assert_eq!(pointers(&json!({"milOn": {}, "noData": {"afterS": 3}})), [""]);
    assert_eq!(pointers(&json!([])), [""]);
}

#[test]
fn tests_accept_signals_of_their_type_only() {
    let threshold = |signal: &str| json!({"threshold": {"signal": signal, "above": 1}});
    for signal in ["Vehicle.IsMoving", "Vehicle.OBD.DTCList", "acme.level", "Vehicle"] {
        assert_eq!(pointers(&threshold(signal)), ["/threshold/signal"], "{signal}");
    }
    let equals = |signal: &str, value: Value| pointers(&json!({"equals": {"signal": signal, "value": value}}));
    assert_eq!(equals("Vehicle.IsMoving", json!("true")), ["/equals/value"]);
    assert_eq!(equals("Vehicle.Speed", json!(true)), ["/equals/value"]);
    assert_eq!(equals("Vehicle.CurrentLocation.GNSSReceiver.FixType", json!("SOME")), ["/equals/value"]);
    assert_eq!(equals("Vehicle.OBD.DTCList", json!("P0301")), ["/equals/signal"]);
}

#[test]
fn limit_is_above_or_below_and_not_both() {
    let threshold = |bound: Value| {
        let mut test = bound;
        test["signal"] = "Vehicle.Speed".into();
        pointers(&json!({"threshold": test}))
    };
    assert_eq!(threshold(json!({})), ["/threshold"]);
    assert_eq!(threshold(json!({"above": 1, "below": 0})), ["/threshold"]);
}

#[test]
fn conditions_are_limited_in_number_and_depth() {
    let nested = |depth: usize| (1..depth).fold(json!({"milOn": {}}), |inner, _| json!({"not": inner}));
    assert!(Rule::from_value(&json!({"name": "r", "severity": "info", "condition": nested(8)})).is_ok());
    assert_eq!(pointers(&nested(9)), ["/not".repeat(8)]);
    let many = json!({"all": vec![json!({"any": vec![json!({"milOn": {}}); 7]}); 4]});
    assert_eq!(pointers(&many), ["/all/3/any/6"], "1 + 4 * 8 conditions");
}

#[test]
fn polygons_are_closed_and_do_not_cross_themselves() {
    let polygon = |rings: Value| pointers(&json!({"geofence": {"event": "enter", "polygon": rings}}));
    let square = json!([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]);
    assert_eq!(polygon(json!([[[0, 0], [1, 0], [1, 1], [0, 1]]])), ["/geofence/polygon/0"]);
    assert_eq!(polygon(json!([[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]])), ["/geofence/polygon"]);
    assert_eq!(polygon(json!([square, [[2, 2], [3, 2], [3, 3], [2, 2]]])), ["/geofence/polygon"], "a hole outside");
    assert_eq!(polygon(json!([[[0, 0], [80, 0], [160, 1], [0, 1], [0, 0]]])), ["/geofence/polygon/0"], "too wide");
    assert_eq!(polygon(json!([[[0, 86], [1, 86], [1, 87], [0, 86]]])).len(), 4, "too near to a pole");
    let across = json!([[[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]]);
    let rule = json!({"name": "r", "severity": "info", "condition": {"geofence": {"event": "enter", "polygon": across}}});
    assert!(Rule::from_value(&rule).is_ok());
}

#[test]
fn duplicate_member_and_too_many_values_are_refused() {
    let rule = r#"{"name": "r", "name": "s", "severity": "info", "condition": {"milOn": {}}}"#;
    assert_eq!(Rule::parse(rule).unwrap_err().0[0].pointer, "/name");
    let many = format!(r#"{{"name": [{}0]}}"#, "0,".repeat(limits::RULE_VALUES));
    assert_eq!(Rule::parse(&many).unwrap_err().0.len(), 1);
}

#[test]
fn reported_mistakes_are_limited() {
    let vehicles = vec![json!(3); 500];
    assert_eq!(mistakes(&json!({"scope": {"vehicles": vehicles}})).len(), limits::MISTAKES);
}

#[test]
fn scope_contains_vehicles_that_meet_all_of_it() {
    let scope = |scope: Value| {
        let rule = json!({"name": "r", "severity": "info", "condition": {"milOn": {}}, "scope": scope});
        Rule::from_value(&rule).unwrap().scope
    };
    let vid = |text: &str| text.parse().unwrap();
    let (one, two) = (vid("veh_0123456789abcdef"), vid("veh_0123456789abcdeg"));
    let make = |make: &str| [("make".to_owned(), make.to_owned())].into();
    assert!(scope(json!({})).contains(&one, &make("a")));
    let both = scope(json!({"vehicles": [one], "attributes": {"make": "a"}}));
    assert!(both.contains(&one, &make("a")) && !both.contains(&two, &make("a")) && !both.contains(&one, &make("b")));
}

/// Returns the example with one part replaced or removed, by a path of choices.
fn changed(choices: &[prop::sample::Index], replacement: Option<&Value>) -> Value {
    let mut rule = example();
    let mut part = &mut rule;
    for (at, choice) in choices.iter().enumerate() {
        let is_last = at + 1 == choices.len();
        let names: Vec<String> = match &*part {
            Value::Object(object) => object.keys().cloned().collect(),
            Value::Array(elements) => (0..elements.len()).map(|index| index.to_string()).collect(),
            _ => Vec::new(),
        };
        if names.is_empty() {
            break;
        }
        let name = choice.get(&names);
        if is_last && replacement.is_none() {
            if let Value::Object(object) = part {
                object.remove(name);
            }
            break;
        }
        part = part.pointer_mut(&format!("/{name}")).unwrap();
    }
    if let Some(replacement) = replacement {
        *part = replacement.clone();
    }
    rule
}

proptest! {
    /// The schema is wider: it does not know the catalogue, the time zones and which polygons are valid.
    #[test]
    fn schema_accepts_what_the_parser_accepts(
        choices in prop::collection::vec(any::<prop::sample::Index>(), 1..9),
        replacement in prop::sample::select(vec![
            None, Some(json!(null)), Some(json!(3)), Some(json!(-3)), Some(json!(0.5)), Some(json!(1e300)), Some(json!("text")),
            Some(json!({})), Some(json!([])), Some(json!([1, 2])), Some(json!(true)), Some(json!({"milOn": {}})),
        ]),
    ) {
        let rule = changed(&choices, replacement.as_ref());
        if let Ok(parsed) = Rule::from_value(&rule) {
            prop_assert!(schema_accepts(&rule), "{}", rule);
            let written = serde_json::to_value(&parsed).unwrap();
            prop_assert!(schema_accepts(&written), "{}", written);
            prop_assert_eq!(Rule::from_value(&written).unwrap(), parsed);
        }
    }
}

#[test]
fn schema_refuses_wrong_forms() {
    assert!(schema_accepts(&example()));
    for condition in [
        json!({}),
        json!({"milOn": {}, "noData": {"afterS": 3}}),
        json!({"threshold": {"signal": "Vehicle.Speed", "above": 1, "below": 0}}),
        json!({"threshold": {"signal": "Vehicle.Speed"}}),
        json!({"geofence": {"event": "enter"}}),
        json!({"geofence": {"event": "arrive", "circle": {"center": [0, 0], "radiusM": 5}}}),
        json!({"dtc": {"patterns": ["P0"]}}),
        json!({"all": []}),
        json!({"noData": {"afterS": 0}}),
    ] {
        let rule = json!({"name": "r", "severity": "info", "condition": condition});
        assert!(Rule::from_value(&rule).is_err() && !schema_accepts(&rule), "{condition}");
    }
}
