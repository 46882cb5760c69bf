//! The HTTP API, called the way a partner would: with a token of a machine client, patiently where the answer says so.

mod answer;
mod records;

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use roadcast_domain::package::Package;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

pub(crate) use answer::{Answer, Refused};
pub(crate) use records::{ExternalId, Feed, Fleet, Registration, Role, Subscription};

/// How long one request may take. A function may take 29 s, and the first call of one starts it.
const REQUEST_TIME: Duration = Duration::from_mins(1);
/// How often a request is tried before it counts as failed.
const ATTEMPTS: u32 = 12;
/// The longest pause between two attempts, unless the answer asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Under which a repeat of a request creates nothing.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// A token is renewed this long before it ends.
const TOKEN_MARGIN: Duration = Duration::from_mins(1);

/// What a machine client authenticates with.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

/// The API, called as one client.
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    token_url: String,
    credentials: Credentials,
    token: Mutex<Option<Token>>,
}

struct Token {
    text: String,
    until: Instant,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    #[serde(default)]
    next: Option<String>,
}

impl Api {
    pub(crate) fn new(base: String, token_url: String, credentials: Credentials) -> Result<Self> {
        // The API is on this machine: a proxy could only be in the way.
        let http = reqwest::Client::builder().no_proxy().timeout(REQUEST_TIME).build().context("cannot set up HTTP")?;
        Ok(Self { http, base, token_url, credentials, token: Mutex::new(None) })
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.credentials.client_id
    }

    /// A token that holds for some time.
    pub(crate) async fn token(&self) -> Result<String> {
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            expires_in: u64,
        }
        let mut token = self.token.lock().await;
        if let Some(token) = token.as_ref().filter(|token| token.until > Instant::now()) {
            return Ok(token.text.clone());
        }
        let answer = self
            .http
            .post(&self.token_url)
            .basic_auth(&self.credentials.client_id, Some(&self.credentials.client_secret))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials")
            .send()
            .await
            .context("the token endpoint does not answer: does the stack run?")?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if !status.is_success() {
            bail!("no token is granted ({status}): {}", String::from_utf8_lossy(&body));
        }
        let granted: Granted = serde_json::from_slice(&body).context("the token endpoint's answer is not understood")?;
        let holds = Duration::from_secs(granted.expires_in).saturating_sub(TOKEN_MARGIN);
        *token = Some(Token { text: granted.access_token.clone(), until: Instant::now() + holds });
        Ok(granted.access_token)
    }

    /// Sends a request until it gets an answer that another attempt would not change. Whatever is sent through here may be
    /// taken twice without harm.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<(&str, String)>) -> Result<Answer> {
        self.send_keyed(method, path, body, None).await
    }

    /// The same, under an `Idempotency-Key`, by which what creates something may be taken twice without harm.
    async fn send_keyed(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, String)>,
        key: Option<&str>,
    ) -> Result<Answer> {
        let mut renewed = false;
        let mut trouble = String::new();
        for attempt in 0..ATTEMPTS {
            let mut request = self
                .http
                .request(method.clone(), format!("{}{path}", self.base))
                .header(AUTHORIZATION, format!("Bearer {}", self.token().await?));
            if let Some(key) = key {
                request = request.header(IDEMPOTENCY_KEY, key);
            }
            if let Some((content_type, text)) = &body {
                request = request.header(CONTENT_TYPE, *content_type).body(text.clone());
            }
            let pause = match request.send().await {
                Ok(answer) => {
                    let status = answer.status();
                    let asked = answer.headers().get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()?.parse().ok());
                    match answer.bytes().await {
                        Ok(_) if status == StatusCode::UNAUTHORIZED && !renewed => {
                            renewed = true;
                            *self.token.lock().await = None;
                            Duration::ZERO
                        }
                        // Under a key, another attempt of ours may still be under way.
                        Ok(_)
                            if is_passing(status)
                                || (key.is_some() && status == StatusCode::CONFLICT && asked.is_some()) =>
                        {
                            trouble = status.to_string();
                            pause_before(attempt + 1).max(asked.map(Duration::from_secs).unwrap_or_default())
                        }
                        Ok(body) => return Ok(Answer { status, body: body.to_vec() }),
                        Err(error) => {
                            trouble = error.to_string();
                            pause_before(attempt + 1)
                        }
                    }
                }
                Err(error) if error.is_builder() => return Err(error).context("the request cannot be written"),
                Err(error) => {
                    trouble = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
                    pause_before(attempt + 1)
                }
            };
            tokio::time::sleep(pause).await;
        }
        bail!(
            "{method} {path} failed {ATTEMPTS} times, at last with: {trouble}. Does the stack run? See `cargo roadcast status`"
        )
    }

    /// Sends JSON and reads the answer, which must be a success.
    pub(crate) async fn json<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> Result<T> {
        let body = body.map(|body| ("application/json", body.to_string()));
        self.send(method.clone(), path, body).await?.read(&format!("{method} {path}"))
    }

    /// Creates something, once, however often it must be asked for.
    pub(crate) async fn create<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let mut digest = Sha256::new();
        digest.update(format!("{:?} {} {path} {body}", SystemTime::now(), std::process::id()));
        let key: String = digest.finalize().iter().take(16).fold(String::new(), |mut key, byte| {
            let _ = write!(key, "{byte:02x}");
            key
        });
        let body = Some(("application/json", body.to_string()));
        self.send_keyed(Method::POST, path, body, Some(&key)).await?.read(&format!("POST {path}"))
    }

    /// The vehicle of that name, `scheme:value`.
    pub(crate) async fn vehicle_named(&self, name: &str) -> Result<Option<String>> {
        #[derive(Deserialize)]
        struct Vehicle {
            vid: String,
        }
        let name: String = name.bytes().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "%{byte:02X}");
            text
        });
        let page: Page<Vehicle> = self.json(Method::GET, &format!("/vehicles?externalId={name}"), None).await?;
        Ok(page.items.into_iter().next().map(|vehicle| vehicle.vid))
    }

    /// Registers a vehicle, or finds it where it is known.
    pub(crate) async fn register(&self, registration: &Registration) -> Result<String> {
        #[derive(Deserialize)]
        struct Vehicle {
            vid: String,
        }
        let body = serde_json::to_value(registration)?;
        Ok(self.json::<Vehicle>(Method::POST, "/vehicles", Some(&body)).await?.vid)
    }

    /// Every fleet that the caller may see, but for those that leave or have left.
    pub(crate) async fn fleets(&self) -> Result<Vec<Fleet>> {
        let mut fleets: Vec<Fleet> = self.pages("/fleets").await?;
        fleets.retain(|fleet| fleet.state == "active");
        Ok(fleets)
    }

    /// Every subscription of a fleet.
    pub(crate) async fn subscriptions(&self, fleet_id: &str) -> Result<Vec<Subscription>> {
        self.pages(&format!("/fleets/{fleet_id}/subscriptions")).await
    }

    /// Every package.
    pub(crate) async fn packages(&self) -> Result<Vec<Package>> {
        self.pages("/packages").await
    }

    /// Every item of a list.
    pub(crate) async fn pages<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let query = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
            let page: Page<T> = self.json(Method::GET, &format!("{path}{query}"), None).await?;
            items.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
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
        let body = match role {
            Role::Fleet(fleet_id) => json!({ "name": name, "kind": "fleet", "fleetId": fleet_id }),
            Role::Ingest(sources) => json!({ "name": name, "kind": "ingest", "sources": sources }),
        };
        Ok(self.create::<Client>("/clients", &body).await?.client_id)
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

    /// Sends a vehicle's events; whatever comes back is an answer.
    pub(crate) async fn send_events(&self, vid: &str, events: &[Value]) -> Result<Answer> {
        let body = serde_json::to_string(events)?;
        self.send(
            Method::POST,
            &format!("/vehicles/{vid}/events"),
            Some((roadcast_domain::cloudevent::BATCH_MEDIA_TYPE, body)),
        )
        .await
    }

    /// What is in a fleet's feed.
    pub(crate) async fn feed(&self, fleet_id: &str, wait_s: u8) -> Result<Feed> {
        self.json(Method::GET, &format!("/fleets/{fleet_id}/feed?max=10&wait={wait_s}"), None).await
    }

    /// Takes what the feed handed out off it.
    pub(crate) async fn acknowledge(&self, fleet_id: &str, ack: &str) -> Result<()> {
        let path = format!("/fleets/{fleet_id}/feed/ack");
        let body = json!({ "ack": ack }).to_string();
        let answer = self.send(Method::POST, &path, Some(("application/json", body))).await?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.refused(&format!("POST {path}")).into()) }
    }
}

/// Whether another attempt may fare better.
fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// Doubles from 0.1 s, so that one slow start costs little and a throttled stream is left in peace.
fn pause_before(attempt: u32) -> Duration {
    Duration::from_millis(100 << attempt.min(10)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        assert_eq!(pause_before(1), Duration::from_millis(200));
        assert_eq!(pause_before(30), LONGEST_PAUSE);
    }
}
