//! Requests of another form: events of other services, methods and paths that disagree, encoded ids.

use serde_json::{Value, json};

use super::scene::{Scene, set};
use super::{Trick, trick};
use crate::request::{Request, request};

/// The attacker reads its own fleet with another id in the path.
fn own_fleet(scene: &Scene, id: impl Into<String>) -> Value {
    request("GET", "/fleets/{fleetId}").path("fleetId", id).by(&scene.attacker.token).event()
}

/// The attacker reads a vehicle with another id in the path.
fn vehicle(scene: &Scene, id: impl Into<String>) -> Value {
    request("GET", "/vehicles/{vid}/state").path("vid", id).by(&scene.attacker.token).event()
}

/// The attacker sends a request to a path without this method.
fn post_vehicle(scene: &Scene) -> Request {
    request("POST", "/vehicles/{vid}").path("vid", &scene.victim.vid).by(&scene.attacker.token)
}

pub(super) fn tricks() -> Vec<Trick> {
    vec![
        trick("event of an HTTP API", 500, |scene| {
            json!({"version": "2.0", "routeKey": "GET /vehicles/{vid}/events", "rawPath": "/vehicles", "headers": {},
                "pathParameters": {"vid": scene.victim.vid}, "httpMethod": "GET", "isBase64Encoded": false,
                "requestContext": {"http": {"method": "GET", "path": "/vehicles"}, "resourcePath": "/vehicles/{vid}/events",
                    "authorizer": {"jwt": {"claims": scene.deployment.admin.claims()}}}})
        }),
        trick("event of a load balancer", 500, |scene| {
            json!({"httpMethod": "GET", "path": "/vehicles", "headers": {"x-amzn-oidc-identity": "admin"}, "body": "",
                "isBase64Encoded": false, "requestContext": {"elb": {"targetGroupArn": "arn"},
                    "resourcePath": "/vehicles/{vid}/events", "claims": scene.deployment.admin.claims()}})
        }),
        trick("event of a function URL", 500, |scene| {
            json!({"version": "2.0", "routeKey": "$default", "rawPath": "/health", "httpMethod": "GET", "headers": {},
                "isBase64Encoded": false, "requestContext": {"authentication": null, "authorizer": {"iam": {"accessKey": "a"}},
                    "http": {"method": "GET", "path": "/fleets"}}, "claims": scene.deployment.admin.claims()})
        }),
        trick("path in place of the resource", 404, |scene| {
            let path = format!("/vehicles/{}/events", scene.victim.vid);
            set(scene.reading(), "/requestContext/resourcePath", json!(path))
        }),
        trick("no resource in the context", 404, |scene| set(scene.reading(), "/requestContext/resourcePath", Value::Null)),
        trick("resource with a slash at the end", 404, |scene| {
            set(scene.reading(), "/requestContext/resourcePath", json!("/vehicles/{vid}/events/"))
        }),
        trick("resource in upper case", 404, |scene| {
            set(scene.reading(), "/requestContext/resourcePath", json!("/VEHICLES/{vid}/events"))
        }),
        trick("resource of a proxy", 404, |scene| set(scene.reading(), "/requestContext/resourcePath", json!("/{proxy+}"))),
        trick("harmless resource beside the operation", 403, |scene| {
            let event = set(scene.creating_fleet(), "/requestContext/authorizer/claims", scene.attacker.token.claims());
            set(set(event, "/resource", json!("/health")), "/path", json!("/health"))
        }),
        trick("harmless method in the context", 403, |scene| {
            let event = set(scene.creating_fleet(), "/requestContext/authorizer/claims", scene.attacker.token.claims());
            set(event, "/requestContext/httpMethod", json!("GET"))
        }),
        trick("public path with another method", 405, |scene| {
            let event = set(scene.creating_fleet(), "/requestContext/authorizer", json!({}));
            set(event, "/requestContext/resourcePath", json!("/health"))
        }),
        trick("HEAD in place of GET", 405, |scene| set(scene.reading(), "/httpMethod", json!("HEAD"))),
        trick("method in lower case", 405, |scene| set(scene.reading(), "/httpMethod", json!("get"))),
        trick("unknown method", 405, |scene| set(scene.reading(), "/httpMethod", json!("TRACE"))),
        trick("method with a space", 500, |scene| set(scene.reading(), "/httpMethod", json!("GET /fleets"))),
        trick("X-HTTP-Method-Override", 405, |scene| post_vehicle(scene).header("x-http-method-override", "GET").event()),
        trick("X-HTTP-Method", 405, |scene| post_vehicle(scene).header("x-http-method", "GET").event()),
        trick("X-Method-Override", 405, |scene| post_vehicle(scene).header("x-method-override", "GET").event()),
        trick("_method in the query", 405, |scene| post_vehicle(scene).query("_method", "GET").event()),
        trick("X-Original-URL", 404, |scene| {
            let request = request("GET", "/fleets/{fleetId}").path("fleetId", &scene.victim.fleet_id);
            let request = request.header("x-original-url", format!("/fleets/{}", scene.attacker.fleet_id));
            request.by(&scene.attacker.token).event()
        }),
        trick("fleet above a fleet", 404, |scene| {
            own_fleet(scene, format!("{}/../{}", scene.attacker.fleet_id, scene.victim.fleet_id))
        }),
        trick("encoded fleet above a fleet", 404, |scene| {
            own_fleet(scene, format!("{}%2F..%2F{}", scene.attacker.fleet_id, scene.victim.fleet_id))
        }),
        trick("two fleets", 404, |scene| own_fleet(scene, format!("{},{}", scene.attacker.fleet_id, scene.victim.fleet_id))),
        trick("fleet and a NUL", 404, |scene| own_fleet(scene, format!("{}\0", scene.victim.fleet_id))),
        trick("fleet and a space", 404, |scene| own_fleet(scene, format!(" {}", scene.victim.fleet_id))),
        trick("fleet in upper case", 404, |scene| own_fleet(scene, scene.attacker.fleet_id.to_uppercase())),
        trick("wildcard as the fleet", 404, |scene| own_fleet(scene, "*")),
        trick("empty fleet", 404, |scene| own_fleet(scene, "")),
        trick("encoded vehicle", 404, |scene| vehicle(scene, scene.victim.vid.replacen('v', "%76", 1))),
        trick("vehicle encoded twice", 404, |scene| vehicle(scene, scene.victim.vid.replacen('v', "%2576", 1))),
        trick("vehicle and a slash", 404, |scene| vehicle(scene, format!("{}/", scene.victim.vid))),
        trick("vehicle with the prefix of a key", 404, |scene| vehicle(scene, format!("VEHICLE#{}", scene.victim.vid))),
        trick("VIN as the vehicle", 404, |scene| vehicle(scene, format!("vin:{}", crate::deployment::VIN))),
        trick("external id as the vehicle", 404, |scene| vehicle(scene, "test:victim")),
        trick("dots as the vehicle", 404, |scene| vehicle(scene, "..")),
        trick("long vehicle", 404, |scene| vehicle(scene, scene.victim.vid.repeat(1000))),
        trick("fleet in the query", 400, |scene| {
            request("GET", "/events").query("fleetId", &scene.victim.fleet_id).by(&scene.attacker.token).event()
        }),
        trick("vehicle in the query", 400, |scene| {
            let request = request("GET", "/vehicles/{vid}/state").path("vid", &scene.attacker.vid);
            request.query("vid", &scene.victim.vid).by(&scene.attacker.token).event()
        }),
        trick("key of a repeated request of the admin", 403, |scene| {
            let request = request("POST", "/fleets").header("idempotency-key", "the-key-of-the-admin");
            request.json(&json!({"name": "victim", "plan": "plus"})).by(&scene.attacker.token).event()
        }),
    ]
}
