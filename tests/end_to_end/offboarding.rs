//! Offboarding: the feed is drained or discarded, and then no AWS resource of the fleet exists.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::consent::{drain, send, until, vehicle};
use crate::shared::Shared;
use crate::stack::Stack;

/// The maximum time until a removed client is rejected.
const REVOCATION_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum time of the workflow once the feed is empty.
const WORKFLOW_TIMEOUT: Duration = Duration::from_mins(2);

/// The numbers of queues, rules and app clients of a fleet.
#[derive(Debug, PartialEq, Eq)]
struct Resources {
    queues: usize,
    rules: usize,
    clients: usize,
}

const NO_RESOURCES: Resources = Resources { queues: 0, rules: 0, clients: 0 };

impl Resources {
    /// Counts with the APIs of the AWS services, not with the Roadcast API.
    fn of(stack: &Stack, fleet_id: &str, app_clients: &[&str]) -> Self {
        let count = |response: &Value, member: &str| response[member].as_array().map_or(0, Vec::len);
        let prefix = format!("roadcast-local-feed-{fleet_id}");
        let queues = stack.aws("sqs", "AmazonSQS.ListQueues", &json!({ "QueueNamePrefix": prefix }));
        let bus = stack.resource("DeliveryBusName");
        let rules = stack.aws("events", "AWSEvents.ListRules", &json!({ "NamePrefix": prefix, "EventBusName": bus }));
        let pool = json!({ "UserPoolId": stack.resource("UserPoolId"), "MaxResults": 60 });
        let clients = stack.aws("cognito-idp", "AWSCognitoIdentityProviderService.ListUserPoolClients", &pool);
        assert!(clients["NextToken"].is_null(), "all clients are on one page");
        let own = clients["UserPoolClients"].as_array().expect("clients").iter();
        let own = own.filter(|client| client["ClientId"].as_str().is_some_and(|id| app_clients.contains(&id)));
        Self { queues: count(&queues, "QueueUrls"), rules: count(&rules, "Rules"), clients: own.count() }
    }
}

/// A fleet that is being offboarded, with an event in its feed.
pub(crate) struct DrainingFleet {
    fleet: (String, String),
    vid: String,
    sent: String,
    clients: Vec<String>,
    started: Instant,
}

fn app_clients(stack: &Stack, fleet_id: &str) -> Vec<String> {
    let clients = stack.all(stack.admin(), &format!("/fleets/{fleet_id}/clients"), "items");
    clients.iter().map(|client| client["clientId"].as_str().expect("an id").to_owned()).collect()
}

fn state(stack: &Stack, fleet_id: &str) -> String {
    let fleet = stack.json(stack.admin(), &format!("/fleets/{fleet_id}"));
    assert!(fleet["offboarding"]["reason"].is_null(), "{fleet}");
    fleet["state"].as_str().expect("a state").to_owned()
}

fn start_offboarding(stack: &Stack, fleet_id: &str, query: &str) {
    let response = stack.call("DELETE", &format!("/fleets/{fleet_id}{query}"), Some(stack.admin()), &[], "");
    assert_eq!((response.status, &response.json()["state"]), (202, &json!("offboarding")), "{}", response.body);
}

impl DrainingFleet {
    /// Starts to offboard a fleet that may drain its feed. The workflow takes at least a minute.
    pub(crate) fn start(stack: &Stack) -> Self {
        let vid = vehicle(stack, "leaving");
        let fleet = stack.fleet(&[&vid], &["telematics"]);
        let sent = send(stack, &vid, 1);
        let path = format!("/vehicles/{vid}/events");
        until("the event is stored", WORKFLOW_TIMEOUT, || {
            stack.json(&fleet.1, &path)["events"].as_array().is_some_and(|events| !events.is_empty())
        });
        std::thread::sleep(Duration::from_secs(3));
        let clients = app_clients(stack, &fleet.0);
        start_offboarding(stack, &fleet.0, "");
        Self { fleet, vid, sent, clients, started: Instant::now() }
    }
}

pub(crate) fn fleet_being_offboarded_cannot_subscribe(shared: &Shared) {
    let (stack, draining) = (shared.stack(), shared.draining());
    let path = format!("/fleets/{}/subscriptions", draining.fleet.0);
    let rejected = stack.post(stack.admin(), &path, &json!({"vehicles": [draining.vid], "packages": ["telematics"]}));
    assert_eq!(rejected.status, 409, "{}", rejected.body);
}

pub(crate) fn drained_fleet_is_offboarded(shared: &Shared) {
    let (stack, draining) = (shared.stack(), shared.draining());
    let (fleet_id, token) = &draining.fleet;
    assert_eq!(state(stack, fleet_id), "offboarding", "the feed is not drained yet");
    let clients: Vec<&str> = draining.clients.iter().map(String::as_str).collect();
    until("only queues and clients remain", WORKFLOW_TIMEOUT, || {
        Resources::of(stack, fleet_id, &clients) == Resources { queues: 1, rules: 0, clients: 1 }
    });
    // Events that are sent now are not delivered.
    send(stack, &draining.vid, 2);
    let ids: Vec<String> = drain(stack, &draining.fleet).0.into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids, std::slice::from_ref(&draining.sent), "earlier events can be read");
    // The longer the feed was not drained, the less often the workflow checks it: after half of that time again.
    let timeout = WORKFLOW_TIMEOUT + draining.started.elapsed() / 2;
    until("the fleet is offboarded", timeout, || state(stack, fleet_id) == "offboarded");
    assert_no_resources(stack, fleet_id, token, &clients);
}

/// Offboards a fleet whose only client was created by provisioning, and discards its feed.
pub(crate) fn discarded_fleet_is_offboarded_at_once(shared: &Shared) {
    let stack = shared.stack();
    let admin = stack.admin();
    let vid = vehicle(stack, "discarded");
    let other_fleet = stack.fleet(&[&vid], &["telematics"]);
    let fleet = stack.post(admin, "/fleets", &json!({"name": "Created by provisioning"})).json();
    let fleet_id = fleet["fleetId"].as_str().expect("an id").to_owned();
    let subscriptions = format!("/fleets/{fleet_id}/subscriptions");
    stack.post(admin, &subscriptions, &json!({"vehicles": [vid], "packages": ["telematics"]}));
    until("the subscription is active", WORKFLOW_TIMEOUT, || {
        stack.all(admin, &subscriptions, "items")[0]["state"] == "active"
    });

    // The secret of a provisioned client is returned once. A retry with the same key returns the same response.
    let clients = app_clients(stack, &fleet_id);
    let [client] = clients.as_slice() else { panic!("{clients:?}") };
    let secret = format!("/fleets/{fleet_id}/clients/{client}/secret");
    let key = [("idempotency-key", "the-secret")];
    let shown = stack.call("POST", &secret, Some(admin), &key, "");
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert_eq!(stack.call("POST", &secret, Some(admin), &key, "").json(), shown.json());
    assert_eq!(stack.call("POST", &secret, Some(admin), &[], "").status, 409, "the secret was already returned");
    let token = stack.token_of(&shown.json());
    stack.feed(&token, &fleet_id, 0);

    let endpoints = format!("/fleets/{fleet_id}/endpoints");
    let created = stack.post(&token, &endpoints, &json!({"url": "https://hooks.example.com/"}));
    assert_eq!(created.status, 201, "{}", created.body);
    send(stack, &vid, 1);
    start_offboarding(stack, &fleet_id, "?feed=discard");
    until("the fleet is offboarded", WORKFLOW_TIMEOUT, || state(stack, &fleet_id) == "offboarded");
    assert_no_resources(stack, &fleet_id, &token, &[client.as_str()]);
    assert_eq!(stack.json(admin, &endpoints)["items"], json!([]), "the endpoints are deleted");
    let subscription = &stack.all(admin, &subscriptions, "items")[0];
    assert_eq!(subscription["state"], "revoked");
    let receipt = format!("{subscriptions}/{}/receipt", subscription["subscriptionId"].as_str().expect("an id"));
    assert_eq!(stack.get(admin, &receipt).status, 200, "receipts are retained");
    let trail = stack.all(admin, &format!("/fleets/{fleet_id}/audit"), "items");
    assert!(trail.iter().any(|change| change["by"]["kind"] == "offboarding"), "{trail:?}");

    // Another fleet with the same vehicle is not affected.
    until("the other fleet reads the event", WORKFLOW_TIMEOUT, || {
        let events = stack.json(&other_fleet.1, &format!("/vehicles/{vid}/events"));
        events["events"].as_array().is_some_and(|events| events.len() == 1)
    });
    let [other_client] = app_clients(stack, &other_fleet.0).try_into().expect("one client");
    let expected = Resources { queues: 1, rules: 1, clients: 1 };
    assert_eq!(Resources::of(stack, &other_fleet.0, &[&other_client]), expected);
    let deleted = stack.call("DELETE", &format!("/fleets/{}/clients/{other_client}", other_fleet.0), Some(admin), &[], "");
    assert_eq!(deleted.status, 204);
    until("a deleted client is rejected", REVOCATION_TIMEOUT, || {
        stack.get(&other_fleet.1, &format!("/vehicles/{vid}")).status == 403
    });
}

fn assert_no_resources(stack: &Stack, fleet_id: &str, token: &str, clients: &[&str]) {
    assert_eq!(Resources::of(stack, fleet_id, clients), NO_RESOURCES);
    assert_eq!(app_clients(stack, fleet_id), Vec::<String>::new());
    until("its tokens are rejected", REVOCATION_TIMEOUT, || stack.read_feed(token, fleet_id, &json!({})).status == 403);
}
