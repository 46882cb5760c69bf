//! Bodies of requests: content coding, byte order mark, query parameters.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::row::{Row, row};
use crate::step::{Request, Step, get, request, send_batch, send_binary, send_event, telemetry};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row("r02", "gzip_body_of_two_members_is_one_body", || {
            vec![
                gzip(&[&two_events()[..150], &two_events()[150..]])
                    .with(json!({"results": [{"id": "a"}, {"id": "b"}]}))
                    .into(),
            ]
        }),
        row("r02", "empty_gzip_members_are_skipped", || {
            vec![gzip(&[b"", &two_events()[..150], b"", &two_events()[150..], b""]).into()]
        }),
        row("r02", "bytes_after_the_gzip_members_are_refused", || {
            let followed_by = |bytes: &[u8]| {
                let mut request = gzip(&[&two_events()]).answers(400);
                request.body.extend_from_slice(bytes);
                Step::from(request.with(json!({"type": "https://roadcast.dev/problems/bad-request"})))
            };
            vec![followed_by(b"\0"), followed_by(b"{}"), followed_by(b"\x1f\x8b"), followed_by(b"\x1f")]
        }),
        row("r02", "incomplete_gzip_member_is_refused", || {
            let mut request = gzip(&[&two_events(), b" "]).answers(400);
            request.body.truncate(request.body.len() - 3);
            vec![request.into()]
        }),
        row("r02", "size_limit_counts_all_gzip_members", || {
            let spaces = vec![b' '; 600_000];
            vec![gzip(&[&spaces, &two_events()]).into(), gzip(&[&spaces, &spaces, &two_events()]).answers(413).into()]
        }),
        row("r12", "repeated_query_parameter_is_refused", || {
            let repeated = |resource| get(resource).query("signal", "Vehicle.Speed").query("signal", "Vehicle.IsMoving");
            let refused = |resource| {
                let error = json!({"errors": [{"pointer": "?signal", "detail": "is given more than once"}]});
                Step::from(repeated(resource).answers(400).with(error))
            };
            let limits = get("/vehicles").query("limit", "1").query("limit", "1").answers(400);
            vec![refused("/vehicles/{vid}/events"), refused("/vehicles/{vid}/history"), limits.into()]
        }),
        row("r22", "byte_order_mark_before_json_is_ignored", || {
            let event = telemetry("a", &[json!({"Vehicle.Speed": 48})]).to_string();
            let data = r#"{"samples": [{"at": "2026-01-01T12:00:00Z", "signals": {"Vehicle.Speed": 48}}]}"#;
            let vehicle = request("POST", "/vehicles").bytes(marked(r#"{"vin": "WVWZZZ3CZEE000002"}"#)).answers(201);
            vec![
                send_event(marked(&event)).into(),
                send_batch(marked(&format!("[{event}]"))).into(),
                send_binary("b", marked(data)).into(),
                vehicle.into(),
                Step::Put(marked(&event.replace("\"a\"", "\"c\""))),
                Step::Process,
                Step::Check(|service| match service.memory.quarantined().as_slice() {
                    [] if service.memory.events().len() == 3 => Ok(()),
                    quarantined => Err(format!("{quarantined:?}")),
                }),
            ]
        }),
        row("r22", "byte_order_mark_alone_or_repeated_is_not_json", || {
            vec![send_event(marked("")).answers(400).into(), send_event(marked("\u{FEFF}{}")).answers(400).into()]
        }),
    ]
}

fn marked(text: &str) -> Vec<u8> {
    [b"\xEF\xBB\xBF", text.as_bytes()].concat()
}

fn two_events() -> Vec<u8> {
    let speed = [json!({"Vehicle.Speed": 48})];
    json!([telemetry("a", &speed), telemetry("b", &speed)]).to_string().into_bytes()
}

/// Sends a batch whose body is a gzip stream with these members.
fn gzip(members: &[&[u8]]) -> Request {
    let compress = |member: &&[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(member).unwrap();
        encoder.finish().unwrap()
    };
    send_batch(members.iter().flat_map(compress).collect::<Vec<u8>>()).header("content-encoding", "gzip")
}
