//! A client of the HTTP API. It authenticates with the token of a machine client and retries as the response demands.

mod operations;
mod records;
mod response;

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

pub(crate) use records::{ExternalId, Feed, Fleet, Registration, Role, Subscription};
pub(crate) use response::{ApiError, Response};

/// The timeout of a request. A function may run for 29 s, and its first call starts it.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// The maximum number of attempts of a request.
const ATTEMPTS: u32 = 12;
/// The maximum pause between two attempts, unless `Retry-After` is longer.
const MAX_BACKOFF: Duration = Duration::from_secs(10);
/// The header that makes the retry of a creation safe.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// How long before its expiry a token is renewed.
const TOKEN_MARGIN: Duration = Duration::from_mins(1);

/// The credentials of a machine client.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

/// The API as one client.
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    token_url: String,
    credentials: Credentials,
    token: Mutex<Option<Token>>,
}

struct Token {
    text: String,
    renew_at: Instant,
}

/// The first items of a list.
#[derive(Default)]
pub(crate) struct Listing {
    pub(crate) items: Vec<Value>,
    /// Whether the list has more items.
    pub(crate) more: bool,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    #[serde(default)]
    next: Option<String>,
}

impl Api {
    /// A client of the API at `base`. The proxies of the environment are used only if the API is not on this machine.
    pub(crate) fn new(base: String, token_url: String, credentials: Credentials, is_remote: bool) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT);
        let http = if is_remote { http } else { http.no_proxy() };
        let http = http.build().context("cannot create the HTTP client")?;
        Ok(Self { http, base, token_url, credentials, token: Mutex::new(None) })
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.credentials.client_id
    }

    /// A valid token, from the cache or newly requested.
    pub(crate) async fn token(&self) -> Result<String> {
        #[derive(Deserialize)]
        struct TokenResponse {
            access_token: String,
            expires_in: u64,
        }
        let mut token = self.token.lock().await;
        if let Some(token) = token.as_ref().filter(|token| token.renew_at > Instant::now()) {
            return Ok(token.text.clone());
        }
        let response = self
            .http
            .post(&self.token_url)
            .basic_auth(&self.credentials.client_id, Some(&self.credentials.client_secret))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials")
            .send()
            .await
            .with_context(|| {
                format!("the token endpoint {} does not respond: check the stack with `doctor`", self.token_url)
            })?;
        let status = response.status();
        let body = response.bytes().await?;
        if !status.is_success() {
            bail!(
                "the token endpoint returned {status} for the client {}: {}",
                self.client_id(),
                String::from_utf8_lossy(&body)
            );
        }
        let granted: TokenResponse =
            serde_json::from_slice(&body).context("the token endpoint returned an invalid response")?;
        let lifetime = Duration::from_secs(granted.expires_in).saturating_sub(TOKEN_MARGIN);
        *token = Some(Token { text: granted.access_token.clone(), renew_at: Instant::now() + lifetime });
        Ok(granted.access_token)
    }

    /// Sends a request, and retries it on 429, 5xx and network errors. The request must be idempotent. Fails if no attempt
    /// gets a final response.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<(&str, String)>) -> Result<Response> {
        self.send_with(method, path, body, None).await
    }

    /// Sends a request like [`Self::send`], with another header. A creation needs an `Idempotency-Key` so that it can be retried.
    async fn send_with(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, String)>,
        header: Option<(&'static str, &str)>,
    ) -> Result<Response> {
        let has_key = header.is_some_and(|(name, _)| name == IDEMPOTENCY_KEY);
        let mut renewed = false;
        let mut last_failure = String::new();
        for attempt in 0..ATTEMPTS {
            let mut request = self
                .http
                .request(method.clone(), format!("{}{path}", self.base))
                .header(AUTHORIZATION, format!("Bearer {}", self.token().await?));
            if let Some((name, value)) = header {
                request = request.header(name, value);
            }
            if let Some((content_type, text)) = &body {
                request = request.header(CONTENT_TYPE, *content_type).body(text.clone());
            }
            let pause = match request.send().await {
                Ok(response) => {
                    let status = response.status();
                    let retry_after_s =
                        response.headers().get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()?.parse().ok());
                    let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
                    match response.bytes().await {
                        Ok(_) if status == StatusCode::UNAUTHORIZED && !renewed => {
                            renewed = true;
                            *self.token.lock().await = None;
                            Duration::ZERO
                        }
                        // A conflict under a key: an earlier attempt of this request may still be in progress.
                        Ok(_)
                            if is_retryable(status)
                                || (has_key && status == StatusCode::CONFLICT && retry_after_s.is_some()) =>
                        {
                            last_failure = status.to_string();
                            backoff(attempt + 1).max(retry_after_s.map(Duration::from_secs).unwrap_or_default())
                        }
                        Ok(body) => return Ok(Response { status, body: body.to_vec(), etag }),
                        Err(error) => {
                            last_failure = error.to_string();
                            backoff(attempt + 1)
                        }
                    }
                }
                Err(error) if error.is_builder() => return Err(error).context("the request is invalid"),
                Err(error) => {
                    last_failure = if error.is_timeout() { "timeout".to_owned() } else { error.to_string() };
                    backoff(attempt + 1)
                }
            };
            tokio::time::sleep(pause).await;
        }
        bail!("{method} {path} failed {ATTEMPTS} times, last with: {last_failure}. Check the stack with `doctor`")
    }

    /// Sends JSON and parses the response. Fails if the status is not a success.
    pub(crate) async fn json<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> Result<T> {
        let body = body.map(|body| ("application/json", body.to_string()));
        self.send(method.clone(), path, body).await?.read(&format!("{method} {path}"))
    }

    /// Reads a resource and its `ETag`.
    pub(crate) async fn versioned<T: DeserializeOwned>(&self, path: &str) -> Result<(T, String)> {
        let response = self.send(Method::GET, path, None).await?;
        let resource = response.read(&format!("GET {path}"))?;
        let etag = response.etag.with_context(|| format!("GET {path} returned no ETag"))?;
        Ok((resource, etag))
    }

    /// Replaces the version of a resource that has this `ETag`.
    pub(crate) async fn replace<T: DeserializeOwned>(&self, path: &str, etag: &str, body: &Value) -> Result<T> {
        let body = Some(("application/json", body.to_string()));
        self.send_with(Method::PUT, path, body, Some((IF_MATCH.as_str(), etag))).await?.read(&format!("PUT {path}"))
    }

    /// Deletes the version of a resource that has this `ETag`. Any final status is returned as a response.
    pub(crate) async fn delete(&self, path: &str, etag: &str) -> Result<Response> {
        self.send_with(Method::DELETE, path, None, Some((IF_MATCH.as_str(), etag))).await
    }

    /// Creates a resource under a new idempotency key, so that retries create it only once.
    pub(crate) async fn create<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let mut digest = Sha256::new();
        digest.update(format!("{:?} {} {path} {body}", SystemTime::now(), std::process::id()));
        let key = hex::encode(&digest.finalize()[..16]);
        let body = Some(("application/json", body.to_string()));
        self.send_with(Method::POST, path, body, Some((IDEMPOTENCY_KEY, &key))).await?.read(&format!("POST {path}"))
    }

    /// All items of a paginated list.
    pub(crate) async fn pages<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page: Page<T> = self.page(path, cursor.as_deref()).await?;
            items.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
    }

    /// The first items of a paginated list, at most `limit`.
    pub(crate) async fn first(&self, path: &str, limit: usize) -> Result<Listing> {
        let mut listing = Listing::default();
        let mut cursor: Option<String> = None;
        loop {
            let page: Page<Value> = self.page(path, cursor.as_deref()).await?;
            listing.items.extend(page.items);
            listing.more = page.next.is_some() || listing.items.len() > limit;
            listing.items.truncate(limit);
            match page.next {
                Some(next) if listing.items.len() < limit => cursor = Some(next),
                _ => return Ok(listing),
            }
        }
    }

    async fn page<T: DeserializeOwned>(&self, path: &str, cursor: Option<&str>) -> Result<Page<T>> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let query = cursor.map(|cursor| format!("{separator}cursor={cursor}")).unwrap_or_default();
        self.json(Method::GET, &format!("{path}{query}"), None).await
    }
}

/// Encodes a text for a query of a URL.
pub(crate) fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// Whether another attempt may succeed.
fn is_retryable(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// The pause before an attempt. It doubles from 0.1 s: short after one slow start, long for a throttled stream.
fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(100 << attempt.min(10)).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_maximum() {
        assert_eq!(backoff(1), Duration::from_millis(200));
        assert_eq!(backoff(30), MAX_BACKOFF);
    }

    #[test]
    fn query_text_is_encoded_by_byte() {
        assert_eq!(percent_encoded("bus:a b/ü"), "bus%3Aa%20b%2F%C3%BC");
    }
}
