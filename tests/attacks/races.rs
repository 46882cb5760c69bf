//! Concurrent requests, in an order that a seed decides, of which one must win or all must have one effect.

mod feed;
mod interleaved;
mod offboarding;
mod revocation;
mod services;

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::json;

pub(crate) use feed::feed_loses_nothing_and_repeats_nothing;
pub(crate) use offboarding::offboarded_fleet_has_nothing_left;
pub(crate) use revocation::what_was_taken_away_is_not_granted_again;
use services::Services;

use crate::deployment::{Deployment, FleetIds, Subscribed, VIN};
use crate::request::{Answer, Request, request};

/// The number of orders.
const SEEDS: u64 = 40;
/// The number of concurrent requests.
const REQUESTS: usize = 8;

const ALL: Subscribed = Subscribed { packages: &["telematics", "identification"], valid_until: None };

/// Sends requests concurrently, each to functions of its own.
async fn send_all(deployment: &Deployment, seed: u64, requests: Vec<Request>) -> Vec<Answer> {
    let services: Vec<Services> =
        (0..requests.len()).map(|number| Services::new(deployment, seed * 100 + number as u64)).collect();
    join_all(services.iter().zip(&requests).map(|(services, request)| services.send(request))).await
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

/// A resource with a version: how it is read and replaced.
type Versioned = (&'static str, fn(&FleetIds, &'static str) -> Request, fn(&FleetIds, usize) -> serde_json::Value);

const VERSIONED: [Versioned; 4] = [
    (
        "vehicle",
        |fleet, method| request(method, "/vehicles/{vid}").path("vid", &fleet.vid),
        |_, number| json!({"vin": VIN, "make": format!("Make {number}")}),
    ),
    (
        "client",
        |fleet, method| request(method, "/clients/{clientId}").path("clientId", &fleet.token.client_id),
        |_, number| json!({"name": format!("Name {number}"), "disabled": false}),
    ),
    (
        "subscription",
        |fleet, method| {
            let request = request(method, "/fleets/{fleetId}/subscriptions/{subscriptionId}");
            request.path("fleetId", &fleet.fleet_id).path("subscriptionId", &fleet.subscription_id)
        },
        |fleet, number| json!({"vehicles": [fleet.vid], "packages": [PACKAGES[number]]}),
    ),
    (
        "package",
        |_, method| request(method, "/packages/{name}").path("name", "race"),
        |_, number| json!({"signals": [SIGNALS[number]]}),
    ),
];

const PACKAGES: [&str; REQUESTS] =
    ["telematics", "track-and-trace", "diagnostics", "alerts", "ev-battery", "identification", "race", "race-2"];
const SIGNALS: [&str; REQUESTS] = [
    "Vehicle.Speed",
    "Vehicle.CurrentLocation.*",
    "Vehicle.CurrentLocation.Latitude",
    "Vehicle.CurrentLocation.Longitude",
    "Vehicle.CurrentLocation.Altitude",
    "Vehicle.CurrentLocation.Heading",
    "Vehicle.OBD.*",
    "Vehicle.Powertrain.*",
];

pub(crate) async fn one_of_several_changes_of_a_version_succeeds() {
    let mut races = 0;
    for seed in 0..SEEDS {
        let deployment = Deployment::start().await;
        for name in ["race", "race-2"] {
            let package = request("PUT", "/packages/{name}").path("name", name).json(&json!({"signals": ["Vehicle.Speed"]}));
            assert_eq!(deployment.send(&package.by(&deployment.admin)).await.status, 201);
        }
        let fleet = deployment.first_fleet(&ALL).await;
        for (name, at, body) in VERSIONED {
            let read = at(&fleet, "GET").by(&deployment.admin);
            let tag = deployment.send(&read).await.headers["etag"].clone();
            let change = |number| at(&fleet, "PUT").header("if-match", &tag).json(&body(&fleet, number));
            let requests = (0..REQUESTS).map(|number| change(number).by(&deployment.admin)).collect();
            let answers = send_all(&deployment, seed, requests).await;
            let mut expected = vec![412; REQUESTS];
            expected[0] = 200;
            assert_eq!(statuses(&answers), expected, "{name}, seed {seed}: {answers:#?}");
            let winner = answers.iter().find(|answer| answer.status == 200).unwrap();
            let stored = deployment.send(&read).await;
            assert_eq!(
                (&stored.headers["etag"], stored.json()),
                (&winner.headers["etag"], winner.json()),
                "{name}, seed {seed}: another change was stored"
            );
            races += 1;
        }
    }
    println!("{races} races of {REQUESTS} requests for one version: 1 succeeded in each");
}

pub(crate) async fn vin_is_registered_once() {
    for seed in 0..SEEDS {
        let deployment = Deployment::start().await;
        let vehicle = |number: usize| {
            // Some also share an external id, and each has one of its own.
            let shared = json!({"scheme": "shared", "value": (number % 3).to_string()});
            let own = json!({"scheme": "own", "value": number.to_string()});
            json!({"vin": "WVWZZZ3CZEE000003", "externalIds": if number == 0 { json!([shared]) } else { json!([shared, own]) }})
        };
        let create = |number| request("POST", "/vehicles").by(&deployment.admin).json(&vehicle(number));
        let answers = send_all(&deployment, seed, (0..REQUESTS).map(create).collect()).await;
        let mut expected = vec![200; REQUESTS];
        expected[REQUESTS - 1] = 201;
        assert_eq!(statuses(&answers), expected, "seed {seed}: {answers:#?}");
        let vids: BTreeSet<String> = answers.iter().map(|answer| answer.json()["vid"].to_string()).collect();
        assert_eq!(vids.len(), 1, "seed {seed}: {answers:#?}");
        let listed = deployment.send(&request("GET", "/vehicles").by(&deployment.admin)).await.json();
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "seed {seed}: {listed:#}");
    }
    println!("{SEEDS} races of {REQUESTS} requests for one VIN: 1 vehicle in each");
}

pub(crate) async fn idempotency_key_has_one_effect() {
    let mut in_progress = 0;
    for seed in 0..SEEDS {
        let deployment = Deployment::start().await;
        let before = deployment.memory.pool_clients().len();
        let body = json!({"name": "A gateway", "kind": "ingest", "sources": ["urn:race"]});
        let create = || request("POST", "/clients").by(&deployment.admin).json(&body).header("idempotency-key", "one");
        let mut answers = send_all(&deployment, seed, vec![create(); REQUESTS]).await;
        in_progress += answers.iter().filter(|answer| answer.status == 409).count();
        answers.retain(|answer| answer.status != 409);
        // Those that were refused send it again.
        answers.extend(send_all(&deployment, seed + SEEDS, vec![create(); REQUESTS]).await);
        assert!(answers.iter().all(|answer| answer.status == 201), "seed {seed}: {answers:#?}");
        let bodies: BTreeSet<String> = answers.iter().map(|answer| answer.json().to_string()).collect();
        assert_eq!(bodies.len(), 1, "seed {seed}: {bodies:#?}");
        assert_eq!(deployment.memory.pool_clients().len(), before + 1, "seed {seed}");
    }
    println!("{SEEDS} races of {REQUESTS} requests with one key: 1 effect in each, {in_progress} answered as in progress");
}
