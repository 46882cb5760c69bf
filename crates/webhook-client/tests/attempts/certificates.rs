//! Encryption: only a receiver with a valid certificate for its name gets the request.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use roadcast_domain::webhook::AttemptOutcome;
use roadcast_webhook_receiver::{Reaction, Response, Sink};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::fixture::{FixedNames, LOCALHOST, LONG, Setup, post, sender};

/// A certificate authority of a test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Certifies a name until the end of a year.
    pub(crate) fn certify(&self, name: &str, last_year: i32) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        (certificate, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }
}

/// The TLS of a receiver. With an authority of clients, it requires a certificate of the client.
pub(crate) fn server(
    (certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>),
    clients: Option<&Authority>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(clients) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(clients.roots().into(), provider).build().unwrap();
            config.with_client_cert_verifier(verifier)
        }
    };
    Arc::new(config.with_single_cert(vec![certificate], key).unwrap())
}

/// Posts to a receiver with this TLS, and checks the outcome, the start of the excerpt and whether a request was received.
async fn check(trusted: &Authority, tls: Arc<ServerConfig>, outcome: AttemptOutcome, excerpt: &str) {
    let sink = Sink::start_tls([Reaction::Respond(Response::new(200).with_body("ok"))], tls).await.unwrap();
    let setup = Setup { roots: trusted.roots(), ..Setup::local(&sink) };
    let sender = sender(setup, FixedNames::new([LOCALHOST]), LONG);
    let response = post(&sender, &format!("https://localhost:{}/", sink.address().port())).await;
    assert_eq!(response.outcome, outcome);
    let found = response.excerpt.unwrap_or_default();
    assert!(found.starts_with(excerpt), "{found}");
    assert_eq!(sink.requests().len(), usize::from(outcome == AttemptOutcome::Delivered));
}

#[tokio::test]
async fn receiver_with_a_valid_certificate_gets_the_request() {
    let authority = Authority::new("a");
    check(&authority, server(authority.certify("localhost", 4000), None), AttemptOutcome::Delivered, "ok").await;
}

#[tokio::test]
async fn receiver_with_a_wrong_certificate_gets_nothing() {
    let (authority, other, impostor) = (Authority::new("a"), Authority::new("b"), Authority::new("a"));
    for (tls, reason) in [
        (server(other.certify("localhost", 4000), None), "invalid peer certificate: UnknownIssuer"),
        (server(impostor.certify("localhost", 4000), None), "invalid peer certificate: BadSignature"),
        (server(authority.certify("localhost", 2020), None), "invalid peer certificate: certificate expired"),
        (server(authority.certify("example.com", 4000), None), "invalid peer certificate: certificate not valid for name"),
    ] {
        check(&authority, tls, AttemptOutcome::TlsFailed, reason).await;
    }
}

#[tokio::test]
async fn receiver_that_requires_a_client_certificate_is_a_tls_failure() {
    let authority = Authority::new("a");
    let tls = server(authority.certify("localhost", 4000), Some(&authority));
    check(&authority, tls, AttemptOutcome::TlsFailed, "received fatal alert").await;
}

#[tokio::test]
async fn receiver_without_tls_gets_nothing() {
    let sink = Sink::start([Reaction::Respond(Response::new(200))]).await.unwrap();
    let sender = sender(Setup::local(&sink), FixedNames::new([LOCALHOST]), LONG);
    let response = post(&sender, &format!("https://localhost:{}/", sink.address().port())).await;
    assert_eq!((response.outcome, response.status), (AttemptOutcome::TlsFailed, None));
    assert_eq!((sink.requests().len(), sink.failed_connections()), (0, 1));
}

#[tokio::test]
async fn receiver_that_does_not_answer_the_handshake_times_out() {
    // Accepted by the operating system; nothing reads.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let sender =
        sender(Setup::of_sink(&format!("localhost:{port}")), FixedNames::new([LOCALHOST]), Duration::from_millis(200));
    let response = post(&sender, &format!("https://localhost:{port}/")).await;
    assert_eq!((response.outcome, response.status), (AttemptOutcome::TimedOut, None));
    assert!((200..5000).contains(&response.latency_ms), "{} ms", response.latency_ms);
}
