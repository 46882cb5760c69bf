//! Clients with the scope of another role, without a record, or whose credentials were taken away.

use serde_json::{Value, json};

use super::scene::{Scene, send, set};
use super::{Trick, trick};
use crate::request::{Token, request};

const CLIENT_ID: &str = "/requestContext/authorizer/claims/client_id";

/// A client with an id that resembles that of the victim reads the victim's events.
fn reading_as(scene: &Scene, change: impl Fn(&str) -> String) -> Value {
    set(scene.reading(), CLIENT_ID, json!(change(&scene.victim.token.client_id)))
}

/// Creates tricks with another id of the client.
macro_rules! ids {
    ($($name:literal: $change:expr),* $(,)?) => {
        vec![$(trick($name, 403, |scene| reading_as(scene, $change))),*]
    };
}

pub(super) fn tricks() -> Vec<Trick> {
    let mut tricks = ids![
        "empty client": |_| String::new(),
        "blank client": |_| " ".to_owned(),
        "client of another pool": |_| "unregistered".to_owned(),
        "client with a space": |id| format!("{id} "),
        "client with a line feed": |id| format!("{id}\n"),
        "client with a NUL": |id| format!("{id}\0"),
        "client in a path": |id| format!("../{id}"),
        "client with a slash": |id| format!("{id}/"),
        "client with the prefix of a key": |id| format!("CLIENT#{id}"),
        "client with the suffix of a key": |id| format!("{id}#"),
        "client in upper case": str::to_uppercase,
        "part of the client": |id| id[..id.len() - 1].to_owned(),
        "encoded client": |id| id.replacen('c', "%63", 1),
        "client with a Cyrillic letter": |id| id.replacen('c', "\u{441}", 1),
        "wildcard as the client": |_| "*".to_owned(),
        "wildcard of a database": |_| "%".to_owned(),
        "operator as the client": |_| r#"{"$ne": null}"#.to_owned(),
        "long client": |id| id.repeat(10_000),
    ];
    tricks.extend([
        trick("fleet as the client", 403, |scene| set(scene.reading(), CLIENT_ID, json!(scene.victim.fleet_id))),
        trick("vehicle as the client", 403, |scene| set(scene.reading(), CLIENT_ID, json!(scene.victim.vid))),
        trick("name as the client", 403, |scene| set(scene.reading(), CLIENT_ID, json!("victim"))),
        trick("disabled client", 403, |scene| scene.reading_by(&scene.disabled)),
        trick("deleted client", 403, |scene| scene.reading_by(&scene.deleted)),
        trick("removed credential", 403, |scene| scene.reading_by(&scene.rotated)),
        trick("ingest client reads", 403, |scene| scene.reading_by(&scene.deployment.ingest)),
        trick("ingest client with the scope to read", 403, |scene| {
            scene.reading_by(&Token::new(&scene.deployment.ingest.client_id, "roadcast/read"))
        }),
        trick("ingest client with two scopes reads", 403, |scene| {
            scene.reading_by(&Token::new(&scene.deployment.ingest.client_id, "roadcast/ingest roadcast/read"))
        }),
        trick("fleet sends", 403, |scene| send(&scene.attacker.vid).by(&scene.attacker.token).event()),
        trick("fleet with the scope to send", 403, |scene| {
            send(&scene.attacker.vid).by(&Token::new(&scene.attacker.token.client_id, "roadcast/ingest")).event()
        }),
        trick("fleet with two scopes sends", 403, |scene| {
            send(&scene.victim.vid).by(&Token::new(&scene.victim.token.client_id, "roadcast/read roadcast/ingest")).event()
        }),
        trick("admin reads a feed", 403, |scene| {
            crate::deployment::read_feed(&scene.victim.fleet_id, &scene.deployment.admin).event()
        }),
        trick("admin reads arrivals", 403, |scene| request("GET", "/events").by(&scene.deployment.admin).event()),
        trick("ingest client reads a feed", 403, |scene| {
            crate::deployment::read_feed(&scene.victim.fleet_id, &scene.deployment.ingest).event()
        }),
        trick("ingest client reads arrivals", 403, |scene| request("GET", "/events").by(&scene.deployment.ingest).event()),
    ]);
    tricks
}
