//! What an admin does about a leaked secret: with the tool, as the page about it says.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::shared::Shared;
use crate::stack::Stack;

/// How soon a change of a client is effective, with a second for the requests.
const EFFECTIVE_WITHIN: Duration = Duration::from_secs(6);

/// An ingest client with one vehicle.
struct Gateway {
    client_id: String,
    token: String,
    vid: String,
}

impl Gateway {
    fn create(stack: &Stack, name: &str) -> Self {
        let source = format!("urn:{name}");
        let client = stack.command(&["clients", "create", name, "--source", &source]);
        let token = stack.token_of(&client);
        let vehicle = stack.post(&token, "/vehicles", &json!({"externalIds": [{"scheme": name, "value": "1"}]})).json();
        Self { client_id: text(&client["clientId"]), token, vid: text(&vehicle["vid"]) }
    }

    /// The status of the response to an event, which is sent with this token.
    fn send(&self, stack: &Stack, name: &str, token: &str, id: &str) -> u16 {
        let at = "2026-01-01T12:00:00Z";
        let event = json!({
            "specversion": "1.0", "id": id, "source": format!("urn:{name}"), "type": "roadcast.telemetry.v1", "time": at,
            "data": {"samples": [{"at": at, "signals": {"Vehicle.Speed": 1.0}}]},
        });
        let headers = [("content-type", "application/cloudevents+json")];
        stack.call("POST", &format!("/vehicles/{}/events", self.vid), Some(token), &headers, event.to_string()).status
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Repeats a request until its status is the expected one.
fn wait_for(expected: u16, status: impl Fn() -> u16) {
    let started = Instant::now();
    loop {
        let found = status();
        if found == expected {
            return;
        }
        assert!(started.elapsed() < EFFECTIVE_WITHIN, "the status is {found}, not {expected}, after {EFFECTIVE_WITHIN:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub(crate) fn disabled_admin_is_refused(shared: &Shared) {
    let stack = shared.stack();
    let created = stack.command(&["clients", "create", "second-admin", "--admin"]);
    let (id, token) = (text(&created["clientId"]), stack.token_of(&created));
    let list = || stack.call("GET", "/clients?kind=admin", Some(&token), &[], "").status;
    assert_eq!(list(), 200);
    stack.command(&["clients", "disable", &id]);
    wait_for(403, list);
    stack.command(&["clients", "delete", &id]);
}

pub(crate) fn leaked_ingest_secret_is_rotated_and_its_token_stops(shared: &Shared) {
    let stack = shared.stack();
    let gateway = Gateway::create(stack, "leaked");
    let id = gateway.client_id.as_str();
    assert_eq!(gateway.send(stack, "leaked", &gateway.token, "1"), 202);

    let second = stack.command(&["clients", "rotate", id]);
    let token = stack.token_of(&second);
    assert_eq!(gateway.send(stack, "leaked", &token, "2"), 202, "the new credential sends about the client's vehicle");
    assert_eq!(gateway.send(stack, "leaked", &gateway.token, "3"), 202, "the old one is valid until it is removed");
    let third = stack.post(stack.admin(), &format!("/clients/{id}/credentials"), &json!({}));
    assert_eq!(third.status, 409, "a client has two credentials at most: {}", third.body);

    stack.command(&["clients", "remove-credential", id, id]);
    wait_for(403, || gateway.send(stack, "leaked", &gateway.token, "4"));
    assert_eq!(gateway.send(stack, "leaked", &token, "5"), 202, "the new credential stays valid");
    let second_id = text(&second["clientId"]);
    let last = stack.call("DELETE", &format!("/clients/{id}/credentials/{second_id}"), Some(stack.admin()), &[], "");
    assert_eq!(last.status, 409, "the last credential cannot be removed: {}", last.body);

    let shown = stack.command(&["clients", "show", &second_id]);
    assert_eq!(shown["client"]["clientId"], id, "the client is found by the id of its credential");
    assert_eq!(shown["vehicles"], json!([gateway.vid]));
    let trail = stack.all(stack.admin(), &format!("/clients/{id}/audit?limit=1"), "items");
    assert_eq!(trail.len(), 3, "created, rotated, and a credential was removed: {trail:?}");
}

pub(crate) fn disabled_client_is_refused_until_it_is_enabled(shared: &Shared) {
    let stack = shared.stack();
    let gateway = Gateway::create(stack, "disabled");
    let id = gateway.client_id.as_str();
    assert_eq!(gateway.send(stack, "disabled", &gateway.token, "1"), 202);
    stack.command(&["clients", "disable", id]);
    wait_for(403, || gateway.send(stack, "disabled", &gateway.token, "2"));
    assert_eq!(stack.get(&gateway.token, "/vehicles").status, 403, "the other functions refuse it, too");
    stack.command(&["clients", "enable", id]);
    wait_for(202, || gateway.send(stack, "disabled", &gateway.token, "3"));
    let listed = stack.all(stack.admin(), "/clients?kind=ingest&limit=2", "items");
    assert!(listed.iter().any(|client| client["clientId"] == id), "the client is listed");
    stack.command(&["clients", "delete", id]);
    wait_for(403, || gateway.send(stack, "disabled", &gateway.token, "4"));
    assert_eq!(stack.get(stack.admin(), &format!("/clients/{id}")).status, 404);
}
