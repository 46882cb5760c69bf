//! The samples of an event: their times, their signals and positions, and trouble codes.

use serde_json::{Value, json};

use crate::row::{Row, row};
use crate::step::{Step, get, send_batch, send_event, telemetry};

fn speed_at(at: &str, speed: f64) -> Value {
    json!({"at": at, "signals": {"Vehicle.Speed": speed}})
}

fn send(id: &str, samples: &[Value], expected: Value) -> Step {
    send_event(telemetry(id, samples).to_string()).with(expected).into()
}

fn position(latitude: f64, longitude: f64) -> Value {
    json!({"Vehicle.CurrentLocation.Latitude": latitude, "Vehicle.CurrentLocation.Longitude": longitude})
}

fn state(signals: &Value) -> Step {
    get("/vehicles/{vid}/state").with(json!({ "signals": signals })).into()
}

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row("r08", "sample_of_a_gps_rollover_costs_no_other", || {
            let samples = [speed_at("2006-05-18T12:00:00Z", 48.0), json!({"Vehicle.Speed": 48})];
            let quarantined = json!([{"pointer": "/data/samples/0/at", "reason": "time_out_of_window"}]);
            vec![
                send("1", &samples, json!({"accepted": [{"samples": 1, "quarantined": quarantined}]})),
                Step::Process,
                get("/vehicles/{vid}/events").with(json!({"events": [{"data": {"samples": [{}]}}]})).into(),
            ]
        }),
        row("conflict", "samples_of_one_id_at_two_times_are_a_conflict", || {
            let event = |at: &str| telemetry("1", &[speed_at(at, 48.0)]);
            let batch = json!([event("2026-01-01T11:59:00Z"), event("2026-01-01T11:59:01Z")]).to_string();
            vec![send_batch(batch).with(json!({"results": [{"status": 202}, {"status": 409}]})).into()]
        }),
        row("r16", "position_changes_as_a_whole", || {
            let value = |path: &str, value: f64| (format!("Vehicle.CurrentLocation.{path}"), json!({ "value": value }));
            let expected = Value::Object([value("Latitude", 51.96), value("Longitude", 7.63)].into_iter().collect());
            vec![
                send("1", &[position(51.96, 7.63)], json!({"accepted": [{"samples": 1}]})),
                send("2", &[position(-97.7, 30.2)], json!({"accepted": [{"signalsRejected": {"out_of_range": 1}}]})),
                Step::Process,
                state(&expected),
            ]
        }),
        row("r19", "reading_from_the_future_does_not_stay_the_newest", || {
            vec![
                send("1", &[speed_at("2026-01-01T12:01:00Z", 111.0)], json!({"accepted": [{"samples": 1}]})),
                send("2", &[speed_at("2026-01-01T11:59:59.900Z", 22.0)], json!({"accepted": [{"samples": 1}]})),
                Step::Process,
                state(&json!({"Vehicle.Speed": {"value": 22}})),
            ]
        }),
        row("r24", "invalid_trouble_code_costs_no_other", || {
            let mut event = telemetry("1", &[]);
            event["type"] = json!("roadcast.diagnostic.v1");
            event["data"] = json!({"at": "2026-01-01T12:00:00Z", "dtcs": [
                {"code": "P0301", "status": "stored"}, {"code": "P0420", "status": "active"}, 7,
            ]});
            let expected = json!({"accepted": [{"samples": 1, "signalsRejected": {"bad_code": 2}}]});
            vec![
                send_event(event.to_string()).with(expected).into(),
                Step::Process,
                get("/vehicles/{vid}/events").with(json!({"events": [{"data": {"dtcs": [{"code": "P0420"}]}}]})).into(),
            ]
        }),
        row("r25", "misspelt_signal_is_named_with_the_nearest", || {
            let sent = telemetry("1", &[json!({"Vehicle.Speeed": 48, "acme.Speeed": 48})]);
            let expected = json!({"unknownSignals": [{"path": "Vehicle.Speeed", "nearest": "Vehicle.Speed"}]});
            vec![
                send_event(sent.to_string()).with(expected.clone()).into(),
                send_batch(json!([sent]).to_string()).with(expected).into(),
            ]
        }),
    ]
}
