//! Requests for events that are no longer retained.

use serde_json::json;

use crate::row::{Row, row};
use crate::service::Client;
use crate::step::{Request, Step, get, send_event, telemetry};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row("r05", "start_before_the_retained_events_is_reported", || {
            let gone = json!({"type": "https://roadcast.dev/problems/events-expired",
                "availableFrom": "2025-12-18T12:00:00.000Z"});
            vec![
                events().query("from", "2025-12-01T00:00:00Z").answers(410).with(gone).save("from", "/availableFrom").into(),
                events().query("from", "{from}").into(),
                Step::Wait(60_000),
                events().query("from", "{from}").into(),
                events().query("from", "2025-12-01T00:00:00Z").query("to", "2025-12-02T00:00:00Z").answers(410).into(),
            ]
        }),
        row("r05", "cursor_before_the_retained_events_is_reported", || {
            let gone = json!({"type": "https://roadcast.dev/problems/events-expired",
                "availableFrom": "2026-01-02T12:00:00.000Z"});
            let event = |id: &str| telemetry(id, &[json!({"Vehicle.Speed": 48})]).to_string();
            vec![
                send_event(event("a")).into(),
                Step::Process,
                Step::Wait(60_000),
                events().with(json!({"events": [{}]})).save("next", "/next").into(),
                Step::Wait(14 * DAY_MS),
                events().query("cursor", "{next}").into(),
                Step::Wait(DAY_MS - 60_000),
                events().query("cursor", "{next}").answers(410).with(gone).save("from", "/availableFrom").into(),
                events().query("from", "{from}").into(),
            ]
        }),
        row("r05", "end_before_the_default_start_is_reported", || {
            let error = json!({"errors": [{"pointer": "?to"}]});
            vec![events().query("to", "2025-12-30T00:00:00Z").answers(400).with(error).into()]
        }),
        row("r05", "events_of_a_vehicle_do_not_expire", || {
            let event = telemetry("a", &[json!({"Vehicle.Speed": 48})]).to_string();
            vec![
                send_event(event).into(),
                Step::Process,
                Step::Wait(400 * DAY_MS),
                get("/vehicles/{vid}/events").query("from", "2020-01-01T00:00:00Z").with(json!({"events": [{}]})).into(),
                get("/vehicles/{vid}/history").with(json!({"samples": [{}]})).into(),
            ]
        }),
    ]
}

fn events() -> Request {
    get("/events").by(Client::Fleet)
}
