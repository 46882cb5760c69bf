//! The deployment that is attacked, and what the attackers have.

use serde_json::{Value, json};

use crate::deployment::{Deployment, FleetIds, SPEED, Subscribed, VIN, event};
use crate::request::{Request, Token, request};
use crate::webhooks::WebhookIds;

/// A fleet that is attacked, and attackers: another fleet, an ingest client, and clients that lost their rights.
pub(crate) struct Scene {
    pub(crate) deployment: Deployment,
    pub(crate) victim: FleetIds,
    pub(crate) attacker: FleetIds,
    /// The vehicle of the ingest client.
    pub(crate) own_vid: String,
    /// A client of the victim that was disabled.
    pub(crate) disabled: Token,
    /// A client of the victim that was deleted.
    pub(crate) deleted: Token,
    /// A removed credential of a client of the victim, which has another one.
    pub(crate) rotated: Token,
    /// A cursor of the victim.
    pub(crate) cursor: String,
}

impl Scene {
    pub(crate) async fn set() -> Self {
        let deployment = Deployment::start().await;
        let all = Subscribed { packages: &["telematics", "track-and-trace", "identification"], valid_until: None };
        let victim = deployment.first_fleet(&all).await;
        let attacker = deployment.fleet("attacker", "WVWZZZ3CZEE000002", "11", &all).await;
        deployment.upload(&victim.vid, "second", &json!({"Vehicle.Speed": 12})).await;
        deployment.process().await;
        let create = request("POST", "/vehicles").by(&deployment.ingest);
        let own = deployment.send(&create.json(&json!({"externalIds": [{"scheme": "test", "value": "own"}]}))).await;
        let own_vid = own.json()["vid"].as_str().unwrap().to_owned();
        let client = async || {
            let body = json!({"name": "An app", "kind": "fleet", "fleetId": victim.fleet_id});
            let created = deployment.created("/clients", &body).await;
            Token::new(created["clientId"].as_str().unwrap(), "roadcast/read")
        };
        let (disabled, deleted, rotated) = (client().await, client().await, client().await);
        let admin = async |method, resource, token: &Token, change: fn(Request, &Token) -> Request| {
            let call = request(method, resource).path("clientId", &token.client_id).by(&deployment.admin);
            let answer = deployment.send(&change(call, token)).await;
            assert!(answer.is_success(), "{answer:?}");
        };
        admin("PUT", "/clients/{clientId}", &disabled, |call, _| {
            call.header("if-match", "\"1\"").json(&json!({"name": "An app", "disabled": true}))
        })
        .await;
        admin("DELETE", "/clients/{clientId}", &deleted, |call, _| call).await;
        admin("POST", "/clients/{clientId}/credentials", &rotated, |call, _| call).await;
        admin("DELETE", "/clients/{clientId}/credentials/{credentialId}", &rotated, |call, token| {
            call.path("credentialId", &token.client_id)
        })
        .await;
        let page = page(&victim, &victim.token);
        let cursor = deployment.send(&page).await.json()["next"].as_str().unwrap().to_owned();
        Self { deployment, victim, attacker, own_vid, disabled, deleted, rotated, cursor }
    }

    /// Returns what no attacker may learn.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        let FleetIds { fleet_id, subscription_id, vid, eid, token, webhook } = &self.victim;
        let WebhookIds { endpoint_id, secret, delivery_id } = webhook;
        let of_victim =
            [vid, fleet_id, subscription_id, eid, &token.client_id, &self.cursor, endpoint_id, secret, delivery_id];
        let of_others = [self.attacker.vid.as_str(), &self.own_vid, SPEED, VIN, "victim", "clientSecret"];
        of_victim.into_iter().map(String::as_str).chain(of_others).collect()
    }

    /// The victim reads its events.
    pub(crate) fn reading(&self) -> Value {
        self.reading_by(&self.victim.token)
    }

    /// A client reads the events of the victim.
    pub(crate) fn reading_by(&self, token: &Token) -> Value {
        request("GET", "/vehicles/{vid}/events").path("vid", &self.victim.vid).by(token).event()
    }

    /// A client reads a page of the events of the victim.
    pub(crate) fn reading_page(&self, token: &Token) -> Value {
        page(&self.victim, token).event()
    }

    /// The admin creates a fleet.
    pub(crate) fn creating_fleet(&self) -> Value {
        request("POST", "/fleets").by(&self.deployment.admin).json(&json!({"name": "Mine"})).event()
    }

    /// The ingest client sends an event about its vehicle.
    pub(crate) fn sending(&self) -> Value {
        send(&self.own_vid).by(&self.deployment.ingest).event()
    }
}

fn page(victim: &FleetIds, token: &Token) -> Request {
    request("GET", "/vehicles/{vid}/events").path("vid", &victim.vid).query("limit", "1").by(token)
}

/// Returns the request that sends an event about a vehicle, without a token.
pub(crate) fn send(vid: &str) -> Request {
    let body = event("attack", &json!({"Vehicle.Speed": 99}));
    request("POST", "/vehicles/{vid}/events").path("vid", vid).json(&body)
}

/// Sets the value at a pointer, in objects that are created if they are missing.
pub(crate) fn set(mut event: Value, pointer: &str, value: Value) -> Value {
    let mut at = &mut event;
    for name in pointer.split('/').skip(1) {
        at = &mut at[name];
    }
    *at = value;
    event
}
