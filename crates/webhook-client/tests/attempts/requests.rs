//! What a receiver gets.

use std::process::Command;

use roadcast_domain::Timestamp;
use roadcast_domain::webhook::AttemptOutcome::Delivered;
use roadcast_domain::webhook::SigningSecret;
use roadcast_domain::webhook::signature::{self, ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use roadcast_ports::webhooks::WebhookSender as _;
use roadcast_webhook_receiver::{Reaction, ReceivedRequest, Response, Sink};

use crate::fixture::{FixedNames, LOCALHOST, LONG, Setup, request, sender};

/// Posts these headers and this body to a sink, and returns what it received.
async fn received(path: &str, headers: &[(&str, &str)], body: &[u8]) -> ReceivedRequest {
    let sink = Sink::start([Reaction::Respond(Response::new(200))]).await.unwrap();
    let sender = sender(Setup::local(&sink), FixedNames::new([LOCALHOST]), LONG);
    let mut request = request(&format!("http://localhost:{}{path}", sink.address().port()));
    request.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    request.body = body.to_vec();
    assert_eq!(sender.post(&request).await.outcome, Delivered);
    let [received] = sink.requests().try_into().unwrap();
    let host = format!("localhost:{}", sink.address().port());
    assert_eq!(received.header("host"), Some(&*host));
    received
}

#[tokio::test]
async fn receiver_gets_a_post_with_the_headers_and_the_body() {
    let body = vec![b'x'; 256 * 1024];
    let received = received("/a%20b?c=d|{e}", &[("authorization", "Bearer 1"), ("X-Fleet", "7")], &body).await;
    assert_eq!((&*received.method, &*received.path), ("POST", "/a%20b?c=d|{e}"));
    assert_eq!((received.header("authorization"), received.header("x-fleet")), (Some("Bearer 1"), Some("7")));
    assert_eq!(received.header("content-length"), Some("262144"));
    assert!(received.header("user-agent").is_some_and(|agent| agent.starts_with("Roadcast-Webhooks/")));
    assert_eq!(received.body, body);
}

#[tokio::test]
async fn signed_request_is_verified_by_its_receiver() {
    let (old, new) = (SigningSecret::new([1; 32]).unwrap(), SigningSecret::new([2; 32]).unwrap());
    let (at, body) = (Timestamp::from_ms(1_767_225_600_000), "{\"text\":\"Öldruck\"}".as_bytes());
    let signed = signature::sign(&[new.clone(), old.clone()], "01JGFJJZ0000000000000000AA", at, body);
    let headers = [(ID_HEADER, signed.id), (TIMESTAMP_HEADER, &signed.timestamp), (SIGNATURE_HEADER, &signed.signature)];
    let received = received("/", &headers, body).await;
    for secret in [old, new] {
        assert_eq!(signature::verify(&[secret], received.signature_headers(), &received.body, at), Ok(()));
    }
}

#[tokio::test]
async fn header_that_could_change_the_request_is_not_sent() {
    let headers = [
        ("Host", "169.254.169.254"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("connection", "close"),
        ("a b", "1"),
        ("x-split", "1\r\nx-injected: 2"),
        ("x-kept", "1"),
    ];
    let received = received("/", &headers, b"{}").await;
    assert_eq!((received.header("content-length"), &*received.body), (Some("2"), b"{}".as_slice()));
    for name in ["transfer-encoding", "connection", "a b", "x-split", "x-injected"] {
        assert_eq!(received.header(name), None, "{name}");
    }
    assert_eq!(received.header("x-kept"), Some("1"));
}

#[test]
fn proxy_of_the_environment_is_not_used() {
    // A child process, because a test must not change its own environment.
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "requests::signed_request_is_verified_by_its_receiver"]);
    for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(variable, "http://127.0.0.1:1");
    }
    let output = child.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
