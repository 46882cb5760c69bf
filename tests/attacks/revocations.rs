//! What a fleet can read before a revocation, and how long afterwards.

use serde_json::{Value, json};

use crate::alerts::{self, ALERT_EXCERPT, ALERT_SPEED, AlertIds, TYPE};
use crate::deployment::{Deployment, FleetIds, SPEED, Subscribed, VIN, read_feed};
use crate::request::{Request, request};
use crate::webhooks::EXCERPT;

/// The maximum time until a revocation is effective everywhere, in milliseconds.
const TIMEOUT_MS: i64 = 5_000;
/// The time between two reads, in milliseconds.
const STEP_MS: i64 = 250;
/// How long before the revocation the functions read what they cache, in milliseconds.
const CACHED_SINCE_MS: [i64; 4] = [0, 1_100, 2_600, 4_900];
/// The end of a subscription that expires.
const END: &str = "2026-01-01T12:02:00Z";
/// The time from the start of a deployment until then, in milliseconds.
const END_MS: i64 = 120_000;

/// The name of the path that reads the feed.
const FEED: &str = "feed";

/// A way to read.
struct ReadPath {
    name: &'static str,
    request: fn(&FleetIds, &AlertIds) -> Request,
    /// What its answer contains while it is readable.
    marker: &'static str,
}

/// The number of names that [`readable`] returns before a revocation: a read of the feed returns telemetry and alerts.
const READABLE: usize = READ_PATHS.len() + 1;

const READ_PATHS: [ReadPath; 17] = [
    ReadPath { name: "vehicle", request: |fleet, _| of_vehicle(fleet, "/vehicles/{vid}"), marker: VIN },
    ReadPath { name: "vehicles", request: |fleet, _| request("GET", "/vehicles").by(&fleet.token), marker: VIN },
    ReadPath { name: "state", request: |fleet, _| of_vehicle(fleet, "/vehicles/{vid}/state"), marker: SPEED },
    ReadPath { name: "events", request: |fleet, _| of_vehicle(fleet, "/vehicles/{vid}/events"), marker: SPEED },
    ReadPath {
        name: "event",
        request: |fleet, _| of_vehicle(fleet, "/vehicles/{vid}/events/{eid}").path("eid", &fleet.eid),
        marker: SPEED,
    },
    ReadPath { name: "samples", request: |fleet, _| of_vehicle(fleet, "/vehicles/{vid}/history"), marker: SPEED },
    ReadPath {
        name: "windows",
        request: |fleet, _| of_vehicle(fleet, "/vehicles/{vid}/history").query("resolution", "60s"),
        marker: SPEED,
    },
    ReadPath { name: "arrivals", request: |fleet, _| request("GET", "/events").by(&fleet.token), marker: SPEED },
    ReadPath {
        name: "attempts",
        request: |fleet, _| of_endpoint(fleet, "/fleets/{fleetId}/endpoints/{endpointId}/attempts"),
        marker: EXCERPT,
    },
    ReadPath {
        name: "delivery",
        request: |fleet, _| {
            let resource = "/fleets/{fleetId}/endpoints/{endpointId}/deliveries/{deliveryId}";
            of_endpoint(fleet, resource).path("deliveryId", &fleet.webhook.delivery_id)
        },
        marker: "\"eid\"",
    },
    ReadPath { name: FEED, request: |fleet, _| read_feed(&fleet.fleet_id, &fleet.token), marker: SPEED },
    ReadPath {
        name: "alerts",
        request: |fleet, _| of_vehicle(fleet, "/vehicles/{vid}/events").query("type", TYPE),
        marker: ALERT_SPEED,
    },
    ReadPath {
        name: "alert",
        request: |fleet, alert| of_vehicle(fleet, "/vehicles/{vid}/events/{eid}").path("eid", &alert.eid),
        marker: ALERT_SPEED,
    },
    ReadPath {
        name: "arrivals of alerts",
        request: |fleet, _| request("GET", "/events").query("type", TYPE).by(&fleet.token),
        marker: ALERT_SPEED,
    },
    ReadPath {
        name: "attempts of alerts",
        request: |fleet, _| of_endpoint(fleet, "/fleets/{fleetId}/endpoints/{endpointId}/attempts"),
        marker: ALERT_EXCERPT,
    },
    ReadPath {
        name: "delivery of an alert",
        request: |fleet, alert| {
            let resource = "/fleets/{fleetId}/endpoints/{endpointId}/deliveries/{deliveryId}";
            of_endpoint(fleet, resource).path("deliveryId", &alert.delivery_id)
        },
        marker: "\"eid\"",
    },
    ReadPath {
        name: "back-test",
        request: |fleet, alert| {
            let request = request("GET", "/fleets/{fleetId}/back-tests/{backTestId}").path("fleetId", &fleet.fleet_id);
            request.path("backTestId", &alert.back_test_id).by(&fleet.token)
        },
        marker: ALERT_SPEED,
    },
];

fn of_vehicle(fleet: &FleetIds, resource: &'static str) -> Request {
    request("GET", resource).path("vid", &fleet.vid).by(&fleet.token)
}

fn of_endpoint(fleet: &FleetIds, resource: &'static str) -> Request {
    let request = request("GET", resource).path("fleetId", &fleet.fleet_id).path("endpointId", &fleet.webhook.endpoint_id);
    request.by(&fleet.token)
}

/// A change that takes something away.
struct Revocation {
    name: &'static str,
    subscribed: Subscribed,
    /// The request of an admin that changes it; none if time does.
    change: Option<fn(&FleetIds) -> Request>,
    /// The read paths that it does not affect: they are readable afterwards.
    unaffected: &'static [&'static str],
}

const ALL: Subscribed = Subscribed { packages: &["telematics", "identification", "alerts"], valid_until: None };
const SUBSCRIPTION: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}";

const REVOCATIONS: [Revocation; 10] = [
    Revocation {
        name: "revoke",
        subscribed: ALL,
        change: Some(|fleet| of_fleet(fleet, "POST", "/fleets/{fleetId}/subscriptions/{subscriptionId}/revoke")),
        unaffected: &[],
    },
    Revocation {
        name: "suspend",
        subscribed: ALL,
        change: Some(|fleet| of_fleet(fleet, "POST", "/fleets/{fleetId}/subscriptions/{subscriptionId}/suspend")),
        unaffected: &[],
    },
    Revocation {
        name: "fewer packages",
        subscribed: ALL,
        change: Some(|fleet| replace(fleet, &json!({"vehicles": [fleet.vid], "packages": ["track-and-trace", "alerts"]}))),
        unaffected: &[],
    },
    Revocation {
        name: "another vehicle",
        subscribed: ALL,
        change: Some(|fleet| {
            replace(fleet, &json!({"vehicles": [OTHER_VID], "packages": ["telematics", "identification", "alerts"]}))
        }),
        unaffected: &[],
    },
    Revocation {
        name: "end of the validity",
        subscribed: Subscribed { packages: &["telematics", "identification", "alerts"], valid_until: Some(END) },
        change: None,
        unaffected: &[],
    },
    Revocation {
        name: "earlier end of the validity",
        subscribed: ALL,
        change: Some(|fleet| {
            let packages = ["telematics", "identification", "alerts"];
            replace(
                fleet,
                &json!({"vehicles": [fleet.vid], "packages": packages,
                "validFrom": "2026-01-01T11:00:00Z", "validUntil": "2026-01-01T11:30:00Z"}),
            )
        }),
        unaffected: &[],
    },
    Revocation {
        name: "smaller custom package",
        subscribed: Subscribed { packages: &["speed", "identification", "alerts"], valid_until: None },
        change: Some(|_| {
            let package = json!({"signals": ["Vehicle.CurrentLocation.Latitude"]});
            request("PUT", "/packages/{name}").path("name", "speed").header("if-match", "\"1\"").json(&package)
        }),
        unaffected: &["vehicle", "vehicles"],
    },
    Revocation {
        name: "offboarding",
        subscribed: ALL,
        change: Some(|fleet| of_fleet(fleet, "DELETE", "/fleets/{fleetId}").query("feed", "discard")),
        unaffected: &[],
    },
    Revocation {
        name: "disabled client",
        subscribed: ALL,
        change: Some(|fleet| {
            let body = json!({"name": "victim", "disabled": true});
            of_client(fleet, "PUT", "/clients/{clientId}").header("if-match", "\"1\"").json(&body)
        }),
        unaffected: &[],
    },
    Revocation {
        name: "deleted client",
        subscribed: ALL,
        change: Some(|fleet| of_client(fleet, "DELETE", "/clients/{clientId}")),
        unaffected: &[],
    },
];

fn of_fleet(fleet: &FleetIds, method: &'static str, resource: &'static str) -> Request {
    let request = request(method, resource).path("fleetId", &fleet.fleet_id);
    if resource.contains("{subscriptionId}") { request.path("subscriptionId", &fleet.subscription_id) } else { request }
}

fn of_client(fleet: &FleetIds, method: &'static str, resource: &'static str) -> Request {
    request(method, resource).path("clientId", &fleet.token.client_id)
}

/// Replaces the subscription.
fn replace(fleet: &FleetIds, body: &Value) -> Request {
    of_fleet(fleet, "PUT", SUBSCRIPTION).header("if-match", "*").json(body)
}

/// Returns the names of the read paths that return data.
async fn readable(deployment: &Deployment, fleet: &FleetIds, alert: &AlertIds) -> Vec<&'static str> {
    let mut readable = Vec::new();
    for ReadPath { name, request, marker } in READ_PATHS {
        let answer = deployment.send(&request(fleet, alert)).await;
        assert!([200, 403, 404].contains(&answer.status), "{name}: {answer:?}");
        if answer.text.contains(marker) {
            readable.push(name);
        }
        if name == FEED && answer.text.contains(ALERT_SPEED) {
            readable.push("alerts in the feed");
        }
    }
    readable
}

/// Revokes and reads until nothing is readable that must not be. Returns the time of the last read that returned data, in
/// milliseconds after the revocation; negative if none did.
async fn last_read_ms(revocation: &Revocation, cached_since_ms: i64) -> Result<i64, String> {
    let Revocation { name, subscribed, change, unaffected } = revocation;
    let deployment = Deployment::start().await;
    let package = request("PUT", "/packages/{name}").path("name", "speed").by(&deployment.admin);
    deployment.send(&package.json(&json!({"signals": ["Vehicle.Speed"]}))).await;
    let fleet = deployment.first_fleet(subscribed).await;
    let alert = alerts::raise(&deployment, &fleet).await;
    let other = deployment.fleet("other", "WVWZZZ3CZEE000002", "11", &ALL).await;
    // The validity ends by itself, so the reads before it are at least a millisecond earlier.
    let cached_since_ms = if change.is_none() { cached_since_ms.max(1) } else { cached_since_ms };
    deployment.clock.advance_ms(END_MS - cached_since_ms);
    let before = readable(&deployment, &fleet, &alert).await;
    if before.len() != READABLE {
        return Err(format!("{name}: only {before:?} are readable before it"));
    }
    deployment.clock.advance_ms(cached_since_ms);
    if let Some(change) = change {
        let request = change(&fleet).by(&deployment.admin).event().to_string().replace(OTHER_VID, &other.vid);
        let answer = deployment.answer(&serde_json::from_str(&request).unwrap()).await.unwrap();
        if !answer.is_success() {
            return Err(format!("{name}: {answer:?}"));
        }
        deployment.run_workflows().await;
    }
    let mut last = -1;
    for elapsed in (0..=2 * TIMEOUT_MS / STEP_MS).map(|step| step * STEP_MS) {
        let found = readable(&deployment, &fleet, &alert).await;
        if let Some(missing) = unaffected.iter().find(|path| !found.contains(path)) {
            return Err(format!("{name}: {missing} is not readable {elapsed} ms after it"));
        }
        if found.len() > unaffected.len() {
            if elapsed >= TIMEOUT_MS {
                return Err(format!("{name}: {found:?} are readable {elapsed} ms after it"));
            }
            last = elapsed;
        }
        deployment.clock.advance_ms(STEP_MS);
    }
    Ok(last)
}

/// Stands for the vehicle of the other fleet.
const OTHER_VID: &str = "veh_0000000000000000";

pub(crate) async fn nothing_is_readable_after_five_seconds() {
    let (mut largest, mut failures) = ((-1, ""), Vec::new());
    for revocation in &REVOCATIONS {
        for cached_since_ms in CACHED_SINCE_MS {
            match Box::pin(last_read_ms(revocation, cached_since_ms)).await {
                Ok(last) => largest = largest.max((last, revocation.name)),
                Err(failure) => failures.push(failure),
            }
        }
    }
    let (paths, revocations) = (READABLE, REVOCATIONS.len());
    let (last, name) = largest;
    println!("{paths} read paths x {revocations} revocations: the last read was {last} ms after one ({name})");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
