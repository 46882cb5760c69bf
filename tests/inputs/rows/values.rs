//! Values at the limits of JSON, of a datatype and of a queue; members that occur twice; and the notation of times.

use serde_json::{Value, json};

use crate::row::{Row, row};
use crate::step::{Request, Step, get, request, send_event, telemetry};

/// An event whose sample has these signals as they are written, which a JSON value would not show.
fn written(id: &str, signals: &str) -> String {
    telemetry(id, &[json!({"signals to write": 1})]).to_string().replace(r#"{"signals to write":1}"#, signals)
}

/// Sends signals, some of which are rejected. `Vehicle.Speed` is accepted.
fn rejected(signals: &[&str], reasons: &Value) -> Vec<Step> {
    let send = |(id, signals): (usize, &&str)| {
        let event = written(&id.to_string(), &format!(r#"{{"Vehicle.Speed":48,{signals}}}"#));
        send_event(event).with(json!({"accepted": [{"samples": 1, "signalsRejected": reasons}]})).into()
    };
    let stored = || get("/vehicles/{vid}/state").with(json!({"signals": {"Vehicle.Speed": {"value": 48}}})).into();
    signals.iter().enumerate().map(send).chain([Step::Process, stored()]).collect()
}

fn refused_at(request: Request, pointer: &str) -> Step {
    request.with(json!({"errors": [{ "pointer": pointer }]})).into()
}

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row("r03", "mean_of_large_values_is_a_number", || {
            let send = |id: &str| send_event(written(id, r#"{"acme.big":1.7e308}"#)).into();
            let windows = || get("/vehicles/{vid}/history").query("resolution", "86400s");
            let series = json!({"acme.big": {"min": 1.7e308, "max": 1.7e308, "mean": 1.7e308, "count": 2}});
            vec![
                send("1"),
                send("2"),
                Step::Process,
                windows().with(json!({"windows": [{ "signals": series }]})).into(),
                windows().header("accept", "text/csv").with_header("content-type", "text/csv").into(),
            ]
        }),
        row("r04", "number_beyond_its_datatype_is_out_of_range", || {
            let path = "Vehicle.Powertrain.TractionBattery.CurrentPower";
            let signals = ["1e300", "-1e300", "3.5e38"].map(|value| format!(r#""{path}":{value}"#));
            rejected(&signals.each_ref().map(String::as_str), &json!({"out_of_range": 1}))
        }),
        row("r06", "signal_given_twice_is_rejected", || {
            let twice = [r#""Vehicle.OBD.Speed":10,"Vehicle.OBD.Speed":90"#, r#""acme.x":1,"\u0061cme.x":1"#];
            rejected(&twice, &json!({"duplicate": 1}))
        }),
        row("r06", "attribute_given_twice_refuses_the_event", || {
            let event = telemetry("1", &[json!({"Vehicle.Speed": 48})]).to_string();
            let twice = |member: &str| send_event(event.replacen('{', &format!("{{{member},"), 1)).answers(400);
            vec![
                refused_at(twice(r#""id":"2""#), "/id"),
                refused_at(twice(r#""data":null"#), "/data"),
                refused_at(twice(r#""ext":1,"ext":1"#), "/ext"),
            ]
        }),
        row("r06", "member_given_twice_refuses_any_other_body", || {
            let post = |body: &str| {
                request("POST", "/vehicles").header("content-type", "application/json").bytes(body).answers(422)
            };
            vec![
                refused_at(post(r#"{"make":"A","make":"B"}"#), "/make"),
                refused_at(post(r#"{"externalIds":[{"scheme":"a","value":"1","scheme":"b"}]}"#), "/externalIds/0/scheme"),
            ]
        }),
        row("r07", "number_beyond_a_double_costs_no_other_signal", || {
            let signals =
                [r#""acme.x":1e309"#, r#""Vehicle.OBD.Speed":-1e999"#, r#""Vehicle.TraveledDistanceHighRes":1e400"#];
            rejected(&signals, &json!({"out_of_range": 1}))
        }),
        row("r07", "unreadable_text_costs_no_other_signal", || rejected(&[r#""acme.x":"\ud800""#], &json!({"bad_text": 1}))),
        row("r13", "date_and_time_are_separated_by_t_or_one_space", || {
            let send = |(id, separator): (usize, &str)| {
                let sample = |at: String| json!({"at": at, "signals": {"Vehicle.Speed": 48}});
                let samples = ["T", "t", " ", separator].map(|separator| sample(format!("2026-01-01{separator}12:00:00Z")));
                let quarantined = json!([{"pointer": "/data/samples/3/at", "reason": "time_invalid"}]);
                let expected = json!({"accepted": [{"samples": 3, "quarantined": quarantined}]});
                send_event(telemetry(&id.to_string(), &samples).to_string()).with(expected).into()
            };
            ["_", "  ", "", "-", "\t"].into_iter().enumerate().map(send).collect()
        }),
        row("r14", "integer_that_a_double_cannot_hold_is_not_exact", || {
            let signals = [
                r#""acme.x":12345678901234567890"#,
                r#""acme.x":-12345678901234567890123"#,
                r#""Vehicle.OBD.Speed":9007199254740993"#,
                r#""Vehicle.TraveledDistanceHighRes":9007199254740993.0"#,
                r#""Vehicle.TraveledDistanceHighRes":1e17"#,
            ];
            rejected(&signals, &json!({"not_exact": 1}))
        }),
        row("r15", "text_that_a_queue_refuses_is_rejected", || {
            let texts = ["\"\u{ffff}\"", r#""\uffff""#, r#""\ufffe""#, r#""\u0001""#];
            let signals = texts.map(|text| format!(r#""Vehicle.Exterior.Weather":{text}"#));
            let mut steps = rejected(&signals.each_ref().map(String::as_str), &json!({"bad_text": 1}));
            steps.push(Step::Check(|service| match service.memory.undeliverable().as_slice() {
                [] if !service.memory.queued(&service.fleet_id).is_empty() => Ok(()),
                undeliverable => Err(format!("not delivered: {undeliverable:?}")),
            }));
            steps
        }),
        row("r15", "attribute_with_a_control_character_refuses_the_event", || {
            let event = |id: &str| send_event(telemetry(id, &[json!({"Vehicle.Speed": 48})]).to_string()).answers(400);
            vec![refused_at(event("a\u{ffff}"), "/id"), refused_at(event("a\n"), "/id")]
        }),
    ]
}
