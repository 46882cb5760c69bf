//! The endpoints of the simulation: how they respond, and what they accepted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use roadcast_domain::Timestamp;
use roadcast_domain::ids::{DeliveryId, Eid};
use roadcast_domain::trace::{TraceContext, TraceId};
use roadcast_domain::webhook::signature::{ReceivedHeaders, verify};
use roadcast_domain::webhook::{AttemptOutcome, EndpointUrl, SigningSecret};
use roadcast_ports::webhooks::{WebhookRequest, WebhookResponse};
use roadcast_testbed::WebhookReceiver;

use crate::simulation::sampling;

/// The time of an attempt without an answer, in milliseconds.
const TIMEOUT_MS: u32 = 15_000;

/// What an endpoint accepted, by delivery: when first.
pub(crate) type Accepted = Arc<Mutex<Vec<(DeliveryId, Timestamp)>>>;

/// How an endpoint behaves.
#[derive(Clone, Default)]
pub(crate) struct Behaviour {
    /// When it does not respond.
    pub(crate) dead: Option<(Timestamp, Timestamp)>,
    /// Every how many requests it responds with 503; 0 for never.
    pub(crate) fails_every: u64,
    /// The secrets with which it verifies, each from a time on.
    pub(crate) secrets: Arc<Mutex<BTreeMap<Timestamp, SigningSecret>>>,
    /// The signatures that it refused.
    pub(crate) refused: Arc<Mutex<u64>>,
    pub(crate) accepted: Accepted,
}

pub(crate) fn header<'r>(request: &'r WebhookRequest, name: &str) -> Option<&'r str> {
    request.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
}

/// The trace context is one that the receiver could compute itself, but for the flag: it learns nothing from it.
fn check_trace(request: &WebhookRequest) {
    let context: TraceContext = header(request, TraceContext::HEADER).unwrap().parse().unwrap();
    let event: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let eid: Eid = event["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(context.trace_id, TraceId::of_event(eid), "{event}");
    assert_eq!(context.is_sampled, sampling().includes(eid));
}

/// Has the endpoint with this URL behave in this way.
pub(crate) fn behave(receiver: &WebhookReceiver, url: &EndpointUrl, behaviour: Behaviour) {
    let requests = Mutex::new(0_u64);
    receiver.respond_with(url, move |request, now| behaviour.respond(request, now, &requests));
}

impl Behaviour {
    fn respond(&self, request: &WebhookRequest, now: Timestamp, requests: &Mutex<u64>) -> WebhookResponse {
        if self.dead.is_some_and(|(from, to)| from <= now && now < to) {
            return WebhookResponse {
                outcome: AttemptOutcome::TimedOut,
                latency_ms: TIMEOUT_MS,
                ..WebhookReceiver::refused()
            };
        }
        let headers = ReceivedHeaders {
            id: header(request, "webhook-id"),
            timestamp: header(request, "webhook-timestamp"),
            signature: header(request, "webhook-signature"),
        };
        let secrets = self.secrets.lock().unwrap();
        let current: Vec<SigningSecret> =
            secrets.range(..=now).next_back().into_iter().map(|(_, secret)| secret.clone()).collect();
        if verify(&current, headers, &request.body, now).is_err() {
            *self.refused.lock().unwrap() += 1;
            return WebhookReceiver::response(401, 5);
        }
        let mut requests = requests.lock().unwrap();
        *requests += 1;
        if self.fails_every > 0 && requests.is_multiple_of(self.fails_every) {
            return WebhookReceiver::response(503, 30);
        }
        let id: DeliveryId = headers.id.unwrap().parse().unwrap();
        check_trace(request);
        let mut accepted = self.accepted.lock().unwrap();
        if accepted.iter().all(|(earlier, _)| *earlier != id) {
            accepted.push((id, now));
        }
        WebhookReceiver::response(200, 20)
    }
}
