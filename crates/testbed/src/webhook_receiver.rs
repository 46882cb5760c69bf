use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use roadcast_domain::webhook::{AttemptOutcome, EndpointUrl};
use roadcast_ports::clock::Clock;
use roadcast_ports::webhooks::{WebhookRequest, WebhookResponse, WebhookSender};
use roadcast_signals::Timestamp;

use crate::{ManualClock, lock};

/// How an endpoint responds to a request at a time.
type Respond = dyn Fn(&WebhookRequest, Timestamp) -> WebhookResponse + Send + Sync;

/// The endpoints of fleets, in memory: answers the requests of attempts and keeps them. An endpoint accepts everything, unless
/// [`respond_with`](Self::respond_with) states otherwise. Clones share one state.
#[derive(Clone)]
pub struct WebhookReceiver {
    clock: ManualClock,
    state: Arc<Mutex<ReceiverState>>,
}

#[derive(Default)]
struct ReceiverState {
    responses: HashMap<EndpointUrl, Arc<Respond>>,
    received: Vec<ReceivedRequest>,
}

/// A request that an endpoint received.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// When.
    pub at: Timestamp,
    /// The request.
    pub request: WebhookRequest,
    /// What the endpoint responded.
    pub outcome: AttemptOutcome,
}

impl ReceivedRequest {
    /// Returns the value of a header; an empty text if it is missing.
    pub fn header(&self, name: &str) -> &str {
        let header = self.request.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        header.map_or("", |(_, value)| value)
    }
}

impl WebhookReceiver {
    /// Returns endpoints that accept everything.
    pub fn new(clock: ManualClock) -> Self {
        Self { clock, state: Arc::default() }
    }

    /// Sets how the endpoint with this URL responds.
    pub fn respond_with(
        &self,
        url: &EndpointUrl,
        respond: impl Fn(&WebhookRequest, Timestamp) -> WebhookResponse + Send + Sync + 'static,
    ) {
        lock(&self.state).responses.insert(url.clone(), Arc::new(respond));
    }

    /// Returns every request, in order.
    pub fn received(&self) -> Vec<ReceivedRequest> {
        lock(&self.state).received.clone()
    }

    /// Returns a response with this status.
    pub fn response(status: u16, latency_ms: u32) -> WebhookResponse {
        let outcome = match status {
            200..=299 => AttemptOutcome::Delivered,
            410 => AttemptOutcome::Gone,
            300..=399 => AttemptOutcome::Redirected,
            _ => AttemptOutcome::ErrorStatus,
        };
        WebhookResponse { outcome, status: Some(status), retry_after_s: None, latency_ms, excerpt: None }
    }

    /// Returns the response of an endpoint to which no connection is established.
    pub const fn refused() -> WebhookResponse {
        WebhookResponse {
            outcome: AttemptOutcome::ConnectionRefused,
            status: None,
            retry_after_s: None,
            latency_ms: 1,
            excerpt: None,
        }
    }
}

impl Default for WebhookReceiver {
    fn default() -> Self {
        Self::new(ManualClock::default())
    }
}

impl fmt::Debug for WebhookReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookReceiver").finish_non_exhaustive()
    }
}

impl WebhookSender for WebhookReceiver {
    async fn post(&self, request: &WebhookRequest) -> WebhookResponse {
        let at = self.clock.now();
        let respond = lock(&self.state).responses.get(&request.url).cloned();
        let response = respond.map_or_else(|| Self::response(200, 20), |respond| respond(request, at));
        lock(&self.state).received.push(ReceivedRequest { at, request: request.clone(), outcome: response.outcome });
        response
    }
}
