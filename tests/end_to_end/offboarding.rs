//! Fleets that offboarding: what waits for them is drained or discarded, and then nothing of them is left on AWS.

use std::time::Duration;

use serde_json::{Value, json};

use crate::consent::{drain, send, until, vehicle};
use crate::stack::Stack;

/// How long what was taken away may be readable.
const HOLDS_WITHIN: Duration = Duration::from_secs(5);
/// How long the workflow may take once it has nothing to wait for.
const PATIENCE: Duration = Duration::from_mins(2);

/// What of a fleet is there: queues, rules and app clients.
#[derive(Debug, PartialEq, Eq)]
struct Resources {
    queues: usize,
    rules: usize,
    clients: usize,
}

const NOTHING: Resources = Resources { queues: 0, rules: 0, clients: 0 };

impl Resources {
    /// By the APIs of the services, not by ours.
    fn of(stack: &Stack, fleet_id: &str, app_clients: &[&str]) -> Self {
        let count = |answer: &Value, member: &str| answer[member].as_array().map_or(0, Vec::len);
        let prefix = format!("roadcast-local-feed-{fleet_id}");
        let queues = stack.aws("sqs", "AmazonSQS.ListQueues", &json!({ "QueueNamePrefix": prefix }));
        let bus = stack.resource("DeliveryBusName");
        let rules = stack.aws("events", "AWSEvents.ListRules", &json!({ "NamePrefix": prefix, "EventBusName": bus }));
        let pool = json!({ "UserPoolId": stack.resource("UserPoolId"), "MaxResults": 60 });
        let clients = stack.aws("cognito-idp", "AWSCognitoIdentityProviderService.ListUserPoolClients", &pool);
        assert!(clients["NextToken"].is_null(), "all clients are on one page");
        let its = clients["UserPoolClients"].as_array().expect("clients").iter();
        let its = its.filter(|client| client["ClientId"].as_str().is_some_and(|id| app_clients.contains(&id)));
        Self { queues: count(&queues, "QueueUrls"), rules: count(&rules, "Rules"), clients: its.count() }
    }
}

/// A fleet that was asked to leave, with an event in its feed.
pub(crate) struct Leaving {
    fleet: (String, String),
    vid: String,
    sent: String,
    clients: Vec<String>,
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

fn ask_to_leave(stack: &Stack, fleet_id: &str, query: &str) {
    let answer = stack.call("DELETE", &format!("/fleets/{fleet_id}{query}"), Some(stack.admin()), &[], "");
    assert_eq!((answer.status, &answer.json()["state"]), (202, &json!("offboarding")), "{}", answer.body);
}

/// Has a fleet leave that may read its feed to the end. It takes a minute at least: [`a_drained_fleet_is_gone`] looks later.
pub(crate) fn a_fleet_is_asked_to_leave(stack: &Stack) -> Leaving {
    let vid = vehicle(stack, "leaving");
    let fleet = stack.fleet(&[&vid], &["telematics"]);
    let sent = send(stack, &vid, 1);
    let path = format!("/vehicles/{vid}/events");
    until("the event is stored", PATIENCE, || {
        stack.json(&fleet.1, &path)["events"].as_array().is_some_and(|events| !events.is_empty())
    });
    std::thread::sleep(Duration::from_secs(3));
    let clients = app_clients(stack, &fleet.0);
    ask_to_leave(stack, &fleet.0, "");
    let refused = stack.post(
        stack.admin(),
        &format!("/fleets/{}/subscriptions", fleet.0),
        &json!({"vehicles": [vid], "packages": ["telematics"]}),
    );
    assert_eq!(refused.status, 409, "a fleet that leaves does not subscribe: {}", refused.body);
    Leaving { fleet, vid, sent, clients }
}

pub(crate) fn a_drained_fleet_is_gone(stack: &Stack, leaving: &Leaving) {
    let (fleet_id, token) = &leaving.fleet;
    assert_eq!(state(stack, fleet_id), "offboarding", "it waits for its feed to be read");
    let clients: Vec<&str> = leaving.clients.iter().map(String::as_str).collect();
    assert_eq!(Resources::of(stack, fleet_id, &clients), Resources { queues: 2, rules: 0, clients: 1 });
    // What is sent by now is not delivered any more.
    send(stack, &leaving.vid, 2);
    let ids: Vec<String> = drain(stack, &leaving.fleet).0.into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids, std::slice::from_ref(&leaving.sent), "what came before can be read");
    until("the fleet is gone", PATIENCE, || state(stack, fleet_id) == "offboarded");
    nothing_is_left(stack, fleet_id, token, &clients);
}

/// A fleet whose only client was made by provisioning, and that is discarded with what is in its feed.
pub(crate) fn a_discarded_fleet_is_gone_at_once(stack: &Stack) {
    let admin = stack.admin();
    let vid = vehicle(stack, "discarded");
    let neighbour = stack.fleet(&[&vid], &["telematics"]);
    let fleet = stack.post(admin, "/fleets", &json!({"name": "Made by provisioning"})).json();
    let fleet_id = fleet["fleetId"].as_str().expect("an id").to_owned();
    let subscriptions = format!("/fleets/{fleet_id}/subscriptions");
    stack.post(admin, &subscriptions, &json!({"vehicles": [vid], "packages": ["telematics"]}));
    until("the subscription is active", PATIENCE, || stack.all(admin, &subscriptions, "items")[0]["state"] == "active");

    // The secret of the client that provisioning made is shown once, and lost answers come again.
    let clients = app_clients(stack, &fleet_id);
    let [client] = clients.as_slice() else { panic!("{clients:?}") };
    let secret = format!("/fleets/{fleet_id}/clients/{client}/secret");
    let key = [("idempotency-key", "the-secret")];
    let shown = stack.call("POST", &secret, Some(admin), &key, "");
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert_eq!(stack.call("POST", &secret, Some(admin), &key, "").json(), shown.json());
    assert_eq!(stack.call("POST", &secret, Some(admin), &[], "").status, 409, "it was shown before");
    let token = stack.token_of(&shown.json());
    assert_eq!(stack.get(&token, &format!("/fleets/{fleet_id}/feed")).status, 200);

    send(stack, &vid, 1);
    ask_to_leave(stack, &fleet_id, "?feed=discard");
    until("the fleet is gone", PATIENCE, || state(stack, &fleet_id) == "offboarded");
    nothing_is_left(stack, &fleet_id, &token, &[client.as_str()]);
    let subscription = &stack.all(admin, &subscriptions, "items")[0];
    assert_eq!(subscription["state"], "revoked");
    let receipt = format!("{subscriptions}/{}/receipt", subscription["subscriptionId"].as_str().expect("an id"));
    assert_eq!(stack.get(admin, &receipt).status, 200, "its receipts stay");
    let trail = stack.all(admin, &format!("/fleets/{fleet_id}/audit"), "items");
    assert!(trail.iter().any(|change| change["by"]["kind"] == "offboarding"), "{trail:?}");

    // Who has the vehicle as well notices nothing.
    until("the neighbour reads on", PATIENCE, || {
        let events = stack.json(&neighbour.1, &format!("/vehicles/{vid}/events"));
        events["events"].as_array().is_some_and(|events| events.len() == 1)
    });
    let [of_neighbour] = app_clients(stack, &neighbour.0).try_into().expect("one client");
    let expected = Resources { queues: 2, rules: 1, clients: 1 };
    assert_eq!(Resources::of(stack, &neighbour.0, &[&of_neighbour]), expected);
    let gone = stack.call("DELETE", &format!("/fleets/{}/clients/{of_neighbour}", neighbour.0), Some(admin), &[], "");
    assert_eq!(gone.status, 204);
    until("a client that was removed is refused", HOLDS_WITHIN, || {
        stack.get(&neighbour.1, &format!("/vehicles/{vid}")).status == 403
    });
}

fn nothing_is_left(stack: &Stack, fleet_id: &str, token: &str, clients: &[&str]) {
    assert_eq!(Resources::of(stack, fleet_id, clients), NOTHING);
    assert_eq!(app_clients(stack, fleet_id), Vec::<String>::new());
    until("its tokens are refused", HOLDS_WITHIN, || stack.get(token, &format!("/fleets/{fleet_id}/feed")).status == 403);
}
