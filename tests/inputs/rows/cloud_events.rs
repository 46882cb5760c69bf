//! `CloudEvents` in their content modes and encodings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::row::{Row, row};
use crate::service::Client;
use crate::step::{Step, get, request, send_batch, send_binary, send_event, telemetry};

const DATA: &str = r#"{"samples": [{"at": "2026-01-01T12:00:00Z", "signals": {"Vehicle.Speed": 48}}]}"#;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row("r10", "quoted_header_value_is_unescaped", || {
            let accepted = |header: &str, id: &str| {
                let expected = json!({"accepted": [{ "id": id }]});
                Step::from(send_binary(header, DATA).with(expected))
            };
            vec![
                accepted(r#""a\"b""#, r#"a"b"#),
                accepted(r#""a\\b""#, r"a\b"),
                accepted(r#""a%22b""#, r#"a"b"#),
                accepted(r#""a\%22b""#, r#"a"b"#),
                accepted(r#""a%5Cb""#, r"a\b"),
                accepted(r#""a b""#, "a b"),
                accepted("a%22b", r#"a"b"#),
                accepted(r"a\b", r"a\b"),
                accepted(r#"a"b"#, r#"a"b"#),
            ]
        }),
        row("r10", "quoted_header_value_with_a_fault_is_refused", || {
            let refused = |header: &str| {
                let expected = json!({"errors": [{"pointer": "/id"}]});
                Step::from(send_binary(header, DATA).answers(400).with(expected))
            };
            vec![refused(r#""a\""#), refused(r#""a"b""#), refused(r#""a"#), refused("a%2"), refused(r#""%GG""#)]
        }),
        row("r17", "empty_batch_is_accepted", || {
            let of_vehicle = |media_type: &str, body: &str| {
                request("POST", "/vehicles/{vid}/events").header("content-type", media_type).bytes(body).answers(202)
            };
            let batch = "application/cloudevents-batch+json";
            vec![
                send_batch("[]").with(json!({"results": []})).into(),
                of_vehicle(batch, " [ ] ").with(json!({"accepted": []})).into(),
                of_vehicle("application/json", "[]").into(),
                of_vehicle("application/cloudevents+json", "[]").answers(400).into(),
                of_vehicle("application/json", "[]").by(Client::Fleet).answers(403).into(),
                Step::Check(|service| match service.memory.stream().records().len() {
                    0 => Ok(()),
                    records => Err(format!("{records} records of the stream")),
                }),
                Step::Put(b"[]".to_vec()),
                Step::Process,
                Step::Check(|service| match service.memory.quarantined().as_slice() {
                    [] => Ok(()),
                    quarantined => Err(format!("{quarantined:?}")),
                }),
            ]
        }),
        row("r18", "json_in_data_base64_is_decoded", || {
            let event = |id: &str, content_type: Option<&str>| base64_event(id, content_type, DATA.as_bytes());
            let marked = [b"\xEF\xBB\xBF", DATA.as_bytes()].concat();
            let types = [Some("application/json"), Some("application/json; charset=utf-8"), None];
            let mut steps: Vec<Step> = Vec::new();
            for (number, content_type) in types.into_iter().enumerate() {
                let expected = json!({"accepted": [{"samples": 1}]});
                steps.push(send_event(event(&number.to_string(), content_type).to_string()).with(expected).into());
            }
            steps.push(send_event(base64_event("bom", types[0], &marked).to_string()).into());
            steps.push(Step::Put(event("stream", types[0]).to_string().into_bytes()));
            steps.push(Step::Process);
            let events = json!({"events": [{}, {}, {}, {}, {}]});
            steps.push(get("/vehicles/{vid}/events").with(events).into());
            steps.push(Step::Check(|service| match service.memory.queued(&service.fleet_id).concat() {
                queued if queued.contains("Vehicle.Speed") && !queued.contains("base64") => Ok(()),
                queued => Err(queued),
            }));
            steps
        }),
        row("r18", "data_base64_that_is_not_json_is_refused", || {
            let refused = |event: Value| {
                let expected = json!({"errors": [{"pointer": "/data_base64"}]});
                Step::from(send_event(event.to_string()).answers(422).with(expected))
            };
            let of = |bytes: &[u8]| base64_event("a", Some("application/json"), bytes);
            let (mut both, mut not_base64) = (of(b"{}"), of(b"{}"));
            both["data"] = json!({});
            not_base64["data_base64"] = "{}".into();
            vec![refused(of(b"{")), refused(of(b"")), refused(of(b"\xff")), refused(both), refused(not_base64)]
        }),
    ]
}

fn base64_event(id: &str, content_type: Option<&str>, data: &[u8]) -> Value {
    let mut event = telemetry(id, &[]);
    event.as_object_mut().unwrap().remove("data");
    event["data_base64"] = STANDARD.encode(data).into();
    if let Some(content_type) = content_type {
        event["datacontenttype"] = content_type.into();
    }
    event
}
