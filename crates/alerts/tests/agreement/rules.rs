//! Random rules.

use std::sync::Arc;

use proptest::prelude::*;
use roadcast_alerts::RuleVersion;
use roadcast_alerts::rule::Rule;
use roadcast_domain::alert::RuleOwner;
use roadcast_domain::ids::RuleId;
use serde_json::{Value, json};

use crate::history::{CHARGE, FIX, MOVING, SPAN_S, SPEED, start};

fn any_bound() -> impl Strategy<Value = (Value, &'static str)> {
    (prop::sample::select(vec!["above", "below"]), 20..100_u8, prop::option::of(1..15_u8)).prop_map(
        |(direction, limit, hysteresis)| {
            let mut bound = json!({direction: limit});
            if let Some(hysteresis) = hysteresis {
                bound["hysteresis"] = hysteresis.into();
            }
            (bound, direction)
        },
    )
}

/// Shapes whose edges are between the positions of the histories.
fn any_fence() -> impl Strategy<Value = Value> {
    let circle = (-3..3_i8, -3..3_i8, 1..4_u16).prop_map(|(x, y, radius)| {
        // Not a multiple of the 111 m between the positions, nor of their diagonals.
        json!({"circle": {"center": [f64::from(x) / 1000.0, f64::from(y) / 1000.0], "radiusM": radius * 111 + 20}})
    });
    let rectangle = (-4..2_i8, -4..2_i8, 1..5_i8, 1..5_i8).prop_map(|(x, y, width, height)| {
        let edge = |grid: i8| (f64::from(grid) + 0.4) / 1000.0;
        let (west, south, east, north) = (edge(x), edge(y), edge(x + width), edge(y + height));
        json!({"polygon": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]})
    });
    let corridor = (-3..3_i8, 1..3_u16).prop_map(|(y, width)| {
        let latitude = f64::from(y) / 1000.0;
        json!({"corridor": {"line": [[-0.0024, latitude], [0.0024, latitude]], "widthM": width * 222 + 50}})
    });
    let event = prop::sample::select(vec!["enter", "leave", "dwell"]);
    (prop_oneof![circle, rectangle, corridor], event, prop::sample::select(vec![0, 70, 170])).prop_map(
        |(mut fence, event, hysteresis)| {
            fence["event"] = event.into();
            fence["hysteresisM"] = hysteresis.into();
            json!({"geofence": fence})
        },
    )
}

fn any_test() -> impl Strategy<Value = Value> {
    let number = prop::sample::select(vec![SPEED, CHARGE]);
    let threshold = (any_bound(), number.clone()).prop_map(|((mut test, _), signal)| {
        test["signal"] = signal.into();
        json!({"threshold": test})
    });
    let rate = (any_bound(), number, 10..300_u32).prop_map(|((mut test, direction), signal, window)| {
        test["signal"] = signal.into();
        test["windowS"] = window.into();
        test["per"] = "minute".into();
        test[direction] = (test[direction].as_f64().unwrap() - 60.0).into();
        json!({"rate": test})
    });
    let seconds = prop_oneof![5..30_u32, 30..400_u32];
    let no_data = (seconds, prop::option::of(prop::sample::subsequence(vec![SPEED, CHARGE, FIX], 1..3))).prop_map(
        |(after, signals)| match signals {
            Some(signals) => json!({"noData": {"afterS": after, "signals": signals}}),
            None => json!({"noData": {"afterS": after}}),
        },
    );
    let patterns = prop::sample::subsequence(vec!["P0[3]xx", "P0420", "Uxxxx"], 1..3);
    let dtc = (patterns, any::<bool>()).prop_map(|(patterns, active)| {
        let mut test = json!({"patterns": patterns});
        if active {
            test["statuses"] = json!(["active"]);
        }
        json!({"dtc": test})
    });
    prop_oneof![
        4 => threshold,
        2 => rate,
        1 => (1..8_u8).prop_map(|limit| json!({"harshBraking": {"aboveMps2": limit}})),
        1 => (1..8_u8).prop_map(|limit| json!({"harshAcceleration": {"aboveMps2": limit}})),
        1 => any::<bool>().prop_map(|value| json!({"equals": {"signal": MOVING, "value": value}})),
        1 => Just(json!({"equals": {"signal": FIX, "value": "NONE"}})),
        1 => prop::sample::select(vec![50, 60]).prop_map(|value| json!({"equals": {"signal": SPEED, "value": value}})),
        1 => dtc,
        1 => Just(json!({"milOn": {}})),
        3 => any_fence(),
        3 => no_data,
    ]
}

fn any_for() -> impl Strategy<Value = Option<u32>> {
    prop::option::weighted(0.4, prop_oneof![1..10_u32, 10..120_u32])
}

fn any_condition() -> impl Strategy<Value = Value> {
    let held = |(mut condition, for_s): (Value, Option<u32>)| {
        if let Some(for_s) = for_s {
            condition["forS"] = for_s.into();
        }
        condition
    };
    (any_test(), any_for()).prop_map(held).prop_recursive(3, 8, 3, move |inner| {
        let conditions = prop::collection::vec(inner.clone(), 1..3);
        let combined = prop_oneof![
            conditions.clone().prop_map(|conditions| json!({"all": conditions})),
            conditions.prop_map(|conditions| json!({"any": conditions})),
            inner.prop_map(|condition| json!({"not": condition})),
        ];
        (combined, any_for()).prop_map(held)
    })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    // The history begins at 21:50 in Berlin.
    let quiet = prop::sample::select(vec![("22:00", "22:20"), ("21:55", "22:00"), ("20:00", "22:07")]);
    let cooldown = prop_oneof![2 => Just(0), 1 => 1..30_u32, 1 => 30..1200_u32];
    (any_condition(), cooldown, prop::option::weighted(0.3, quiet)).prop_map(|(condition, cooldown, quiet)| {
        let mut rule = json!({"name": "test", "severity": "info", "condition": condition});
        if let Some((from, to)) = quiet {
            let hours = json!([{"days": ["fri"], "from": from, "to": to}]);
            rule["schedule"] = json!({"timeZone": "Europe/Berlin", "quietHours": hours});
        }
        // The evaluation is right for every cooldown, also for those that are refused.
        Rule { cooldown_s: cooldown, ..Rule::from_value(&rule).unwrap() }
    })
}

pub(crate) fn any_versions() -> impl Strategy<Value = Vec<RuleVersion>> {
    let active_from = prop_oneof![3 => Just(0_i64), 1 => 0..SPAN_S];
    prop::collection::vec((any_rule(), active_from), 1..4).prop_map(|rules| {
        let version = |(index, (rule, seconds)): (usize, (Rule, i64))| RuleVersion {
            owner: RuleOwner::Operator,
            rule_id: RuleId::from_random_bits(index as u128),
            version: 1,
            active_from: start().plus_ms(seconds * 1000),
            rule: Arc::new(rule),
        };
        rules.into_iter().enumerate().map(version).collect()
    })
}
