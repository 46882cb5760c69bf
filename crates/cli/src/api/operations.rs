//! The operations of the API that several commands use.

use anyhow::Result;
use reqwest::Method;
use roadcast_domain::package::Package;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Feed, Fleet, Page, Registration, Response, Role, Subscription, percent_encoded};

/// A page of events in order of arrival.
#[derive(Deserialize)]
pub(crate) struct ArrivalPage {
    pub(crate) events: Vec<Value>,
    /// Whether more events are available now.
    pub(crate) more: bool,
    /// The cursor to continue from.
    #[serde(default)]
    pub(crate) next: Option<String>,
}

impl Api {
    /// The vid of the vehicle with the external id `scheme:value`; None if there is none.
    pub(crate) async fn vehicle_named(&self, name: &str) -> Result<Option<String>> {
        #[derive(Deserialize)]
        struct Vehicle {
            vid: String,
        }
        let path = format!("/vehicles?externalId={}", percent_encoded(name));
        let page: Page<Vehicle> = self.page(&path, None).await?;
        Ok(page.items.into_iter().next().map(|vehicle| vehicle.vid))
    }

    /// Registers a vehicle, or finds it if it is registered, and returns its vid.
    pub(crate) async fn register(&self, registration: &Registration) -> Result<String> {
        #[derive(Deserialize)]
        struct Vehicle {
            vid: String,
        }
        let body = serde_json::to_value(registration)?;
        Ok(self.json::<Vehicle>(Method::POST, "/vehicles", Some(&body)).await?.vid)
    }

    /// All active fleets that the caller may see.
    pub(crate) async fn fleets(&self) -> Result<Vec<Fleet>> {
        let mut fleets: Vec<Fleet> = self.pages("/fleets").await?;
        fleets.retain(|fleet| fleet.state == "active");
        Ok(fleets)
    }

    /// All subscriptions of a fleet.
    pub(crate) async fn subscriptions(&self, fleet_id: &str) -> Result<Vec<Subscription>> {
        self.pages(&format!("/fleets/{fleet_id}/subscriptions")).await
    }

    /// All packages.
    pub(crate) async fn packages(&self) -> Result<Vec<Package>> {
        self.pages("/packages").await
    }

    /// Creates a fleet.
    pub(crate) async fn create_fleet(&self, name: &str) -> Result<Fleet> {
        self.create("/fleets", &json!({ "name": name })).await
    }

    /// Creates a machine client and returns its id.
    pub(crate) async fn create_client(&self, name: &str, role: &Role<'_>) -> Result<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Client {
            client_id: String,
        }
        Ok(self.create::<Client>("/clients", &role.client_input(name)).await?.client_id)
    }

    /// Subscribes a fleet to vehicles.
    pub(crate) async fn subscribe(&self, fleet_id: &str, vids: &[String], packages: &[&str]) -> Result<Subscription> {
        let body = json!({ "vehicles": vids, "packages": packages });
        self.create(&format!("/fleets/{fleet_id}/subscriptions"), &body).await
    }

    /// Reads a subscription.
    pub(crate) async fn subscription(&self, fleet_id: &str, subscription_id: &str) -> Result<Subscription> {
        self.json(Method::GET, &format!("/fleets/{fleet_id}/subscriptions/{subscription_id}"), None).await
    }

    /// Replaces a subscription. Fails if it is changed at the same time.
    pub(crate) async fn replace_subscription(&self, fleet_id: &str, id: &str, body: &Value) -> Result<Subscription> {
        let path = format!("/fleets/{fleet_id}/subscriptions/{id}");
        let (_, etag): (Value, String) = self.versioned(&path).await?;
        self.replace(&path, &etag, body).await
    }

    /// The names of the app clients of a fleet.
    pub(crate) async fn app_names(&self, fleet_id: &str) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Client {
            name: String,
        }
        let clients: Vec<Client> = self.pages(&format!("/fleets/{fleet_id}/clients")).await?;
        Ok(clients.into_iter().map(|client| client.name).collect())
    }

    /// Sends events of a vehicle. Any status is returned as a response, except those that are retried.
    pub(crate) async fn send_events(&self, vid: &str, events: &[Value]) -> Result<Response> {
        let body = serde_json::to_string(events)?;
        self.send(
            Method::POST,
            &format!("/vehicles/{vid}/events"),
            Some((roadcast_domain::cloudevent::BATCH_MEDIA_TYPE, body)),
        )
        .await
    }

    /// Reads at most ten messages of a fleet's feed, and waits up to `wait_s` seconds for the first.
    pub(crate) async fn feed(&self, fleet_id: &str, wait_s: u8) -> Result<Feed> {
        let body = json!({ "max": 10, "waitSeconds": wait_s });
        self.json(Method::POST, &format!("/fleets/{fleet_id}/feed"), Some(&body)).await
    }

    /// Acknowledges a feed response, which removes its messages from the feed.
    pub(crate) async fn acknowledge(&self, fleet_id: &str, ack: &str) -> Result<()> {
        let path = format!("/fleets/{fleet_id}/feed/ack");
        let body = json!({ "ack": ack }).to_string();
        let response = self.send(Method::POST, &path, Some(("application/json", body))).await?;
        if response.status.is_success() { Ok(()) } else { Err(response.to_error(&format!("POST {path}")).into()) }
    }

    /// Reads the events of the caller's fleet by arrival. `query` has the start of the interval, or the cursor to continue from.
    pub(crate) async fn arrivals(&self, query: &str) -> Result<ArrivalPage> {
        self.json(Method::GET, &format!("/events?limit={ARRIVALS}&{query}"), None).await
    }
}

/// The maximum number of events of a page.
const ARRIVALS: u16 = 100;
