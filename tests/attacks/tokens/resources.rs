//! Resources of another fleet or client, on each operation that names one, and operations of admins.

use serde_json::{Value, json};

use super::scene::{Scene, send};
use super::{Trick, trick};
use crate::deployment::{acknowledge_feed, event, read_feed};
use crate::request::{Request, request};

/// A request with the ids of the victim.
fn of_victim(scene: &Scene, method: &'static str, resource: &'static str) -> Request {
    let victim = &scene.victim;
    let ids = [
        ("{vid}", "vid", &victim.vid),
        ("{eid}", "eid", &victim.eid),
        ("{fleetId}", "fleetId", &victim.fleet_id),
        ("{subscriptionId}", "subscriptionId", &victim.subscription_id),
        ("{clientId}", "clientId", &victim.token.client_id),
        ("{credentialId}", "credentialId", &victim.token.client_id),
        ("{endpointId}", "endpointId", &victim.webhook.endpoint_id),
        ("{deliveryId}", "deliveryId", &victim.webhook.delivery_id),
    ];
    let named = ids.into_iter().filter(|(placeholder, ..)| resource.contains(placeholder));
    named.fold(request(method, resource), |request, (_, name, id)| request.path(name, id))
}

fn by_fleet(scene: &Scene, method: &'static str, resource: &'static str) -> Value {
    of_victim(scene, method, resource).by(&scene.attacker.token).event()
}

fn by_ingest(scene: &Scene, method: &'static str, resource: &'static str, body: &Value) -> Value {
    let request = of_victim(scene, method, resource).header("if-match", "\"1\"").json(body);
    request.by(&scene.deployment.ingest).event()
}

/// A body that is valid for each operation of admins is not needed: a caller without the right gets no further.
fn by_fleet_with_body(scene: &Scene, method: &'static str, resource: &'static str) -> Value {
    let request = of_victim(scene, method, resource).header("if-match", "*").path("name", "telematics").json(&json!({}));
    request.by(&scene.attacker.token).event()
}

/// Creates tricks from methods, resources and a function that creates the event.
macro_rules! operations {
    ($status:literal, $who:literal, $create:ident: $($method:literal $resource:literal),* $(,)?) => {
        vec![$(trick(concat!($who, ": ", $method, " ", $resource), $status, |scene| $create(scene, $method, $resource))),*]
    };
}

pub(super) fn tricks() -> Vec<Trick> {
    let mut tricks = operations![404, "another fleet", by_fleet:
        "GET" "/vehicles/{vid}",
        "GET" "/vehicles/{vid}/state",
        "GET" "/vehicles/{vid}/events",
        "GET" "/vehicles/{vid}/events/{eid}",
        "GET" "/vehicles/{vid}/history",
        "GET" "/fleets/{fleetId}",
        "GET" "/fleets/{fleetId}/subscriptions",
        "GET" "/fleets/{fleetId}/subscriptions/{subscriptionId}",
        "GET" "/fleets/{fleetId}/subscriptions/{subscriptionId}/receipt",
        "GET" "/fleets/{fleetId}/endpoints",
        "GET" "/fleets/{fleetId}/endpoints/{endpointId}",
        "GET" "/fleets/{fleetId}/endpoints/{endpointId}/attempts",
        "GET" "/fleets/{fleetId}/endpoints/{endpointId}/deliveries/{deliveryId}",
        "GET" "/fleets/{fleetId}/endpoints/{endpointId}/redrives/{redriveId}",
    ];
    tricks.extend(operations![403, "fleet as an admin", by_fleet_with_body:
        "POST" "/clients",
        "GET" "/clients",
        "GET" "/clients/{clientId}",
        "PUT" "/clients/{clientId}",
        "DELETE" "/clients/{clientId}",
        "GET" "/clients/{clientId}/audit",
        "POST" "/clients/{clientId}/credentials",
        "DELETE" "/clients/{clientId}/credentials/{credentialId}",
        "GET" "/fleets/{fleetId}/clients",
        "DELETE" "/fleets/{fleetId}/clients/{clientId}",
        "POST" "/fleets/{fleetId}/clients/{clientId}/secret",
        "GET" "/fleets/{fleetId}/audit",
        "GET" "/fleets/{fleetId}/vehicles",
        "DELETE" "/fleets/{fleetId}",
        "POST" "/fleets/{fleetId}/subscriptions",
        "PUT" "/fleets/{fleetId}/subscriptions/{subscriptionId}",
        "POST" "/fleets/{fleetId}/subscriptions/{subscriptionId}/provision",
        "POST" "/fleets/{fleetId}/subscriptions/{subscriptionId}/suspend",
        "POST" "/fleets/{fleetId}/subscriptions/{subscriptionId}/resume",
        "POST" "/fleets/{fleetId}/subscriptions/{subscriptionId}/revoke",
        "POST" "/vehicles",
        "PUT" "/vehicles/{vid}",
        "DELETE" "/vehicles/{vid}",
        "PUT" "/packages/{name}",
        "POST" "/schemas",
    ]);
    tricks.extend([
        trick("another fleet reads the feed", 404, |scene| read_feed(&scene.victim.fleet_id, &scene.attacker.token).event()),
        trick("another fleet acknowledges the feed", 404, |scene| {
            acknowledge_feed(&scene.victim.fleet_id, &scene.attacker.token, &json!("MS0x")).event()
        }),
        trick("own fleet with the subscription of another", 404, |scene| {
            let request = of_victim(scene, "GET", "/fleets/{fleetId}/subscriptions/{subscriptionId}");
            request.path("fleetId", &scene.attacker.fleet_id).by(&scene.attacker.token).event()
        }),
        trick("own fleet with the receipt of another", 404, |scene| {
            let request = of_victim(scene, "GET", "/fleets/{fleetId}/subscriptions/{subscriptionId}/receipt");
            request.path("fleetId", &scene.attacker.fleet_id).by(&scene.attacker.token).event()
        }),
        trick("own vehicle with the event of another", 404, |scene| {
            let request = of_victim(scene, "GET", "/vehicles/{vid}/events/{eid}").path("vid", &scene.attacker.vid);
            request.by(&scene.attacker.token).event()
        }),
        trick("cursor of another fleet", 400, |scene| {
            let request = of_victim(scene, "GET", "/vehicles/{vid}/events").query("limit", "1");
            request.query("cursor", &scene.cursor).by(&scene.attacker.token).event()
        }),
        trick("cursor of another fleet on the own vehicle", 400, |scene| {
            let request = request("GET", "/vehicles/{vid}/events").path("vid", &scene.attacker.vid).query("limit", "1");
            request.query("cursor", &scene.cursor).by(&scene.attacker.token).event()
        }),
        trick("vehicles that a client registered", 403, |scene| {
            request("GET", "/vehicles").query("registeredBy", "gateway").by(&scene.attacker.token).event()
        }),
        trick("vehicle of another client: GET", 404, |scene| by_ingest(scene, "GET", "/vehicles/{vid}", &json!({}))),
        trick("vehicle of another client: PUT", 404, |scene| by_ingest(scene, "PUT", "/vehicles/{vid}", &json!({}))),
        trick("vehicle of another client: DELETE", 404, |scene| by_ingest(scene, "DELETE", "/vehicles/{vid}", &json!({}))),
        trick("vehicle of another client: send", 404, |scene| send(&scene.victim.vid).by(&scene.deployment.ingest).event()),
        trick("VIN of another client", 409, |scene| {
            by_ingest(scene, "POST", "/vehicles", &json!({"vin": crate::deployment::VIN}))
        }),
        trick("external id of another client", 409, |scene| {
            by_ingest(scene, "POST", "/vehicles", &json!({"externalIds": [{"scheme": "test", "value": "victim"}]}))
        }),
        trick("subject of another client", 422, |scene| {
            let mut sent = event("attack", &json!({"Vehicle.Speed": 99}));
            sent["subject"] = json!(format!("vin:{}", crate::deployment::VIN));
            by_ingest(scene, "POST", "/events", &json!([sent]))
        }),
        trick("source of another client", 403, |scene| {
            let mut sent = event("attack", &json!({"Vehicle.Speed": 99}));
            sent["source"] = json!("urn:another");
            let request = request("POST", "/vehicles/{vid}/events").path("vid", &scene.own_vid);
            request.json(&sent).by(&scene.deployment.ingest).event()
        }),
    ]);
    tricks.extend(webhook_tricks());
    tricks
}

fn webhook_tricks() -> Vec<Trick> {
    vec![
        trick("own fleet with the endpoint of another", 404, |scene| {
            let request = of_victim(scene, "GET", "/fleets/{fleetId}/endpoints/{endpointId}");
            request.path("fleetId", &scene.attacker.fleet_id).by(&scene.attacker.token).event()
        }),
        trick("own fleet with the attempts of another", 404, |scene| {
            let request = of_victim(scene, "GET", "/fleets/{fleetId}/endpoints/{endpointId}/attempts");
            request.path("fleetId", &scene.attacker.fleet_id).by(&scene.attacker.token).event()
        }),
        trick("own endpoint with the delivery of another", 404, |scene| {
            let request = of_victim(scene, "GET", "/fleets/{fleetId}/endpoints/{endpointId}/deliveries/{deliveryId}");
            let own = request.path("fleetId", &scene.attacker.fleet_id);
            own.path("endpointId", &scene.attacker.webhook.endpoint_id).by(&scene.attacker.token).event()
        }),
        trick("another fleet rotates a secret", 404, |scene| {
            let request = of_victim(scene, "POST", "/fleets/{fleetId}/endpoints/{endpointId}/secrets");
            request.json(&json!({})).by(&scene.attacker.token).event()
        }),
        trick("another fleet deletes an endpoint", 404, |scene| {
            let request = of_victim(scene, "DELETE", "/fleets/{fleetId}/endpoints/{endpointId}");
            request.header("if-match", "*").by(&scene.attacker.token).event()
        }),
        trick("another fleet redrives", 404, |scene| {
            let request = of_victim(scene, "PUT", "/fleets/{fleetId}/endpoints/{endpointId}/redrives/{redriveId}");
            request.path("redriveId", "mine").json(&json!({"all": true})).by(&scene.attacker.token).event()
        }),
    ]
}
