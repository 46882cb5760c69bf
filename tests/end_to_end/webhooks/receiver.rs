//! The receiver of the checks: a sink on the port that the local stack allows.

use std::time::{Duration, Instant, SystemTime};

use roadcast_domain::Timestamp;
use roadcast_domain::webhook::signature::{SigningSecret, verify};
use roadcast_webhook_receiver::{Reaction, ReceivedRequest, Response, Sink};
use serde_json::Value;
use tokio::runtime::Runtime;

/// The port that `cargo roadcast up` allows in addition to that of `cargo roadcast listen`.
const PORT: u16 = 8791;
/// The port to which the stack of the checks posts notices of the operator's alerts.
pub(crate) const INCIDENT_PORT: u16 = 8792;
/// The maximum time until a delivery arrives. It includes the start of functions.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A receiver. It ends when it is dropped.
pub(crate) struct Receiver {
    sink: Sink,
    // After the sink, which ends on it.
    _runtime: Runtime,
}

impl Receiver {
    /// Starts a receiver that responds with these statuses, one for each request; the last one repeats.
    pub(crate) fn start(statuses: &[u16]) -> Self {
        Self::start_at(PORT, statuses)
    }

    /// The same on another port.
    pub(crate) fn start_at(port: u16, statuses: &[u16]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let reactions =
            statuses.iter().map(|&status| Reaction::Respond(Response::new(status).with_body(format!("status {status}"))));
        let sink = runtime.block_on(Sink::start_at(port, reactions)).expect("the port of the receiver is free");
        Self { sink, _runtime: runtime }
    }

    /// Returns the URL of a path.
    pub(crate) fn url(path: &str) -> String {
        format!("http://127.0.0.1:{PORT}{path}")
    }

    /// Returns the requests to a path so far.
    pub(crate) fn requests(&self, path: &str) -> Vec<ReceivedRequest> {
        let mut requests = self.sink.requests();
        requests.retain(|request| request.path == path);
        requests
    }

    /// Waits until a path got this number of requests, and returns them.
    pub(crate) fn wait_for(&self, path: &str, count: usize) -> Vec<ReceivedRequest> {
        let started = Instant::now();
        loop {
            let requests = self.requests(path);
            if requests.len() >= count {
                return requests;
            }
            assert!(started.elapsed() < TIMEOUT, "{path} got {} of {count} requests within {TIMEOUT:?}", requests.len());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Whether a request has a signature of the secret.
pub(crate) fn is_signed_with(request: &ReceivedRequest, secret: &str) -> bool {
    let secret: SigningSecret = secret.parse().expect("a secret");
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
    let now = Timestamp::from_ms(i64::try_from(since_epoch.as_millis()).expect("a time"));
    verify(&[secret], request.signature_headers(), &request.body, now).is_ok()
}

/// Returns the event of a request.
pub(crate) fn event(request: &ReceivedRequest) -> Value {
    let media_type = request.header("content-type").unwrap_or_default();
    assert!(media_type.starts_with("application/cloudevents+json"), "{media_type}");
    serde_json::from_slice(&request.body).expect("the body is JSON")
}
