//! Attempts.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use roadcast_domain::webhook::{AttemptOutcome, Target, TargetRules};
use roadcast_ports::clock::Clock;
use roadcast_ports::webhooks::{WebhookRequest, WebhookResponse, WebhookSender};
use rustls::RootCertStore;
use tokio::time::{Instant, timeout_at};

use crate::connect::Connector;
use crate::excerpt::excerpt;
use crate::exchange::{BodyEnd, Connection, read_body};
use crate::failure::Failure;
use crate::names::{Names, SystemNames};
use crate::pool::{Pool, PoolKey};
use crate::retry_after::retry_after_s;
use crate::tls::{self, NoRootCertificates, system_roots};

/// The header `User-Agent` of all requests.
const AGENT: &str = concat!("Roadcast-Webhooks/", env!("CARGO_PKG_VERSION"));
/// Headers that only this crate sets: they decide where a request goes and where it ends.
const RESERVED_HEADERS: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::USER_AGENT,
];

/// Sends webhooks over HTTP.
///
/// `Time` dates what a receiver requests by date, `Resolver` resolves host names.
pub struct HttpSender<Time, Resolver> {
    rules: TargetRules,
    timeout: Duration,
    connector: Connector<Resolver>,
    pool: Pool,
    clock: Time,
}

/// What a sender needs.
pub struct SenderSettings<Resolver> {
    /// Where webhooks may be sent.
    pub rules: TargetRules,
    /// The resolver of host names.
    pub names: Resolver,
    /// The certificates that receivers must be certified by.
    pub roots: RootCertStore,
    /// The time of an attempt.
    pub timeout: Duration,
}

impl SenderSettings<SystemNames> {
    /// Returns the settings of a deployed function: the resolver and the root certificates of this machine, and
    /// [`WebhookRequest::TIMEOUT_MS`].
    pub fn of_this_machine(rules: TargetRules) -> Result<Self, NoRootCertificates> {
        let timeout = Duration::from_millis(WebhookRequest::TIMEOUT_MS);
        Ok(Self { rules, names: SystemNames, roots: system_roots()?, timeout })
    }
}

impl<Time, Resolver: Names> HttpSender<Time, Resolver> {
    /// Creates a sender. Fails if the TLS library cannot be configured.
    pub fn new(settings: SenderSettings<Resolver>, clock: Time) -> Result<Self, rustls::Error> {
        let SenderSettings { rules, names, roots, timeout } = settings;
        let connector = Connector::new(names, tls::connector(roots)?);
        Ok(Self { rules, timeout, connector, pool: Pool::default(), clock })
    }

    /// Makes an attempt until the deadline.
    async fn attempt(&self, request: &WebhookRequest, deadline: Instant) -> Result<Reply, Failure> {
        let rules = self.rules.check(&request.url, request.any_port);
        let target = rules.map_err(|_| Failure::new(AttemptOutcome::AddressForbidden))?;
        let message = message(&target, request).map_err(|_| Failure::new(AttemptOutcome::AddressForbidden))?;
        let key = PoolKey::of(&target);
        let exchange = timeout_at(deadline, self.exchange(&target, &key, message)).await;
        let (connection, response) = exchange.map_err(|_| Failure::new(AttemptOutcome::TimedOut))??;
        let (head, body) = response.into_parts();
        let (body, end) = read_body(body, deadline).await;
        if end == BodyEnd::Complete {
            self.pool.put(key, connection);
        }
        Ok(Reply { status: head.status.as_u16(), headers: head.headers, body, end })
    }

    /// Sends a request and returns the head of its response, with the connection, which must live until the body is read.
    ///
    /// A receiver may close an idle connection just when it is used again. That is no failure of the receiver, so the request is
    /// sent again over a new connection. If the receiver got it twice, it has the same id.
    async fn exchange(
        &self,
        target: &Target,
        key: &PoolKey,
        message: Request<Full<Bytes>>,
    ) -> Result<(Connection, Response<Incoming>), Failure> {
        if let Some(mut connection) = self.pool.take(key) {
            match connection.send(message.clone()).await {
                Ok(response) => return Ok((connection, response)),
                Err(failure) if failure.outcome == AttemptOutcome::ConnectionClosed => {}
                Err(failure) => return Err(failure),
            }
        }
        let mut connection = self.connector.open(target).await?;
        let response = connection.send(message).await?;
        Ok((connection, response))
    }
}

impl<Time: Clock, Resolver: Names> WebhookSender for HttpSender<Time, Resolver> {
    async fn post(&self, request: &WebhookRequest) -> WebhookResponse {
        let started = Instant::now();
        let attempt = self.attempt(request, started + self.timeout).await;
        let latency_ms = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
        match attempt {
            Ok(reply) => WebhookResponse {
                outcome: reply.outcome(),
                status: Some(reply.status),
                retry_after_s: reply.retry_after_s(&self.clock),
                latency_ms,
                excerpt: excerpt(&reply.body),
            },
            Err(Failure { outcome, detail }) => {
                let excerpt = detail.and_then(|detail| excerpt(detail.as_bytes()));
                WebhookResponse { outcome, status: None, retry_after_s: None, latency_ms, excerpt }
            }
        }
    }
}

/// A response, of which the body may be incomplete.
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    end: BodyEnd,
}

impl Reply {
    /// Returns the outcome. A success counts only if its response is complete, or too long to be read; any other status counts as
    /// soon as it was received.
    fn outcome(&self) -> AttemptOutcome {
        match (self.status, self.end) {
            (200..=299, BodyEnd::Complete | BodyEnd::Limit) => AttemptOutcome::Delivered,
            (200..=299, BodyEnd::Timeout) => AttemptOutcome::TimedOut,
            (200..=299, BodyEnd::Failure(outcome)) => outcome,
            (300..=399, _) => AttemptOutcome::Redirected,
            (410, _) => AttemptOutcome::Gone,
            _ => AttemptOutcome::ErrorStatus,
        }
    }

    /// Returns the delay that the response requests. After a success there is nothing to delay.
    fn retry_after_s(&self, clock: &impl Clock) -> Option<u32> {
        if self.outcome() == AttemptOutcome::Delivered {
            return None;
        }
        retry_after_s(self.headers.get(RETRY_AFTER)?.to_str().ok()?, clock.now())
    }
}

/// Creates the HTTP request. A header that is reserved or not valid is omitted, and logged without its value, which may be a
/// credential.
fn message(target: &Target, request: &WebhookRequest) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut message = Request::builder()
        .method(Method::POST)
        .uri(&*target.path_and_query)
        .header(HOST, target.authority())
        .header(USER_AGENT, AGENT)
        .body(Full::new(Bytes::copy_from_slice(&request.body)))?;
    for (name, value) in &request.headers {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(mut value)) if !RESERVED_HEADERS.contains(&name) => {
                value.set_sensitive(true);
                message.headers_mut().append(name, value);
            }
            _ => tracing::error!(header = name, "a header of an endpoint cannot be sent"),
        }
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_allowed_url_makes_a_request(path in "[!-~]{0,40}", port in proptest::option::of(any::<u16>())) {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            let Ok(url) = format!("https://hooks.example.com{port}/{path}").parse() else { return Ok(()) };
            let request = WebhookRequest { url, any_port: true, headers: Vec::new(), body: Vec::new() };
            let target = TargetRules::default().check(&request.url, true).unwrap();
            let message = message(&target, &request);
            prop_assert!(message.is_ok(), "{}: {:?}", request.url, message);
        }
    }
}
