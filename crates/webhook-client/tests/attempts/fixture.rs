//! Senders for tests: their own resolver, roots and time.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roadcast_domain::Timestamp;
use roadcast_domain::webhook::TargetRules;
use roadcast_ports::clock::Clock;
use roadcast_ports::webhooks::{WebhookRequest, WebhookResponse, WebhookSender as _};
use roadcast_webhook_client::{HttpSender, Names, SenderSettings};
use roadcast_webhook_receiver::Sink;
use rustls::RootCertStore;

/// The address of the sinks.
pub(crate) const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The address at which AWS serves credentials to instances.
pub(crate) const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
/// The time of an attempt that must not end by time.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A clock that shows 2026-01-01T00:00:00Z.
pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(1_767_225_600_000)
    }
}

/// A resolver with an answer for each resolution; the last one repeats. An empty answer is an error.
#[derive(Clone)]
pub(crate) struct FixedNames {
    answers: Arc<Mutex<VecDeque<Vec<IpAddr>>>>,
    resolutions: Arc<AtomicUsize>,
}

impl FixedNames {
    /// Creates a resolver that always returns these addresses.
    pub(crate) fn new(addresses: impl Into<Vec<IpAddr>>) -> Self {
        Self::changing([addresses.into()])
    }

    pub(crate) fn changing(answers: impl IntoIterator<Item = Vec<IpAddr>>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), resolutions: Arc::default() }
    }

    /// Returns how many times a name was resolved.
    pub(crate) fn resolutions(&self) -> usize {
        self.resolutions.load(Ordering::Relaxed)
    }
}

impl Names for FixedNames {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.resolutions.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        answer.filter(|addresses| !addresses.is_empty()).ok_or_else(|| io::Error::other("no such name"))
    }
}

/// The rules and the roots of a sender.
pub(crate) struct Setup {
    pub(crate) rules: TargetRules,
    pub(crate) roots: RootCertStore,
}

impl Setup {
    /// Those of a deployed stage, without roots.
    pub(crate) fn deployed() -> Self {
        Self { rules: TargetRules::default(), roots: RootCertStore::empty() }
    }

    /// Allows one receiver on this machine.
    pub(crate) fn of_sink(sink: &str) -> Self {
        Self { rules: TargetRules::with_local_sinks(vec![sink.parse().unwrap()]), ..Self::deployed() }
    }

    /// Allows a sink by the name `localhost`.
    pub(crate) fn local(sink: &Sink) -> Self {
        Self::of_sink(&format!("localhost:{}", sink.address().port()))
    }
}

pub(crate) fn sender(setup: Setup, names: FixedNames, timeout: Duration) -> HttpSender<FixedClock, FixedNames> {
    let settings = SenderSettings { rules: setup.rules, names, roots: setup.roots, timeout };
    HttpSender::new(settings, FixedClock).unwrap()
}

/// A request with a body.
pub(crate) fn request(url: &str) -> WebhookRequest {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    WebhookRequest { url: url.parse().unwrap(), any_port: false, headers, body: b"{}".to_vec() }
}

pub(crate) async fn post(sender: &HttpSender<FixedClock, FixedNames>, url: &str) -> WebhookResponse {
    sender.post(&request(url)).await
}

/// Posts to a sink by the name `localhost`, without TLS, with the time of an attempt.
pub(crate) async fn post_to_sink(sink: &Sink, timeout: Duration) -> WebhookResponse {
    let sender = sender(Setup::local(sink), FixedNames::new([LOCALHOST]), timeout);
    post(&sender, &format!("http://localhost:{}/hook", sink.address().port())).await
}
