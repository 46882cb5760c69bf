//! Receivers that are slow, wrong or unfriendly.

use std::time::Duration;

use roadcast_domain::webhook::AttemptOutcome::{self, *};
use roadcast_ports::webhooks::WebhookRequest;
use roadcast_webhook_client::{HttpSender, MAX_RETRY_AFTER_S, SenderSettings};
use roadcast_webhook_receiver::{Reaction, Response, Sink};

use crate::fixture::{FixedClock, FixedNames, LOCALHOST, LONG, Setup, post, post_to_sink, sender};

/// The time of an attempt that must end by time.
const SHORT: Duration = Duration::from_millis(300);
/// A pause that no attempt waits for.
const PAUSE: Duration = Duration::from_mins(10);

/// Checks the outcome and the status of an attempt.
async fn check(reaction: Reaction, timeout: Duration, outcome: AttemptOutcome, status: Option<u16>) {
    let name = format!("{reaction:.60?}");
    let sink = Sink::start([reaction]).await.unwrap();
    let response = post_to_sink(&sink, timeout).await;
    assert_eq!((response.outcome, response.status), (outcome, status), "{name}");
    assert_eq!(sink.requests().len(), 1, "{name}");
    let least_ms = if outcome == TimedOut { SHORT.as_millis() } else { 0 };
    assert!((least_ms..30_000).contains(&response.latency_ms.into()), "{name}: {} ms", response.latency_ms);
}

#[tokio::test]
async fn only_a_status_of_2xx_is_a_success() {
    for (status, outcome) in [
        (200, Delivered),
        (201, Delivered),
        (204, Delivered),
        (299, Delivered),
        (300, Redirected),
        (301, Redirected),
        (304, Redirected),
        (308, Redirected),
        (400, ErrorStatus),
        (404, ErrorStatus),
        (409, ErrorStatus),
        (410, Gone),
        (429, ErrorStatus),
        (500, ErrorStatus),
        (503, ErrorStatus),
        (599, ErrorStatus),
    ] {
        check(Reaction::Respond(Response::new(status)), LONG, outcome, Some(status)).await;
    }
}

#[tokio::test]
async fn three_failures_are_followed_by_a_success() {
    let failure = || Reaction::Respond(Response::new(500).with_body("database is down"));
    let sink = Sink::start([failure(), failure(), failure(), Reaction::Respond(Response::new(200))]).await.unwrap();
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        let response = post_to_sink(&sink, LONG).await;
        outcomes.push((response.outcome, response.status, response.excerpt));
    }
    let failed = (ErrorStatus, Some(500), Some("database is down".to_owned()));
    assert_eq!(outcomes, [failed.clone(), failed.clone(), failed, (Delivered, Some(200), None)]);
}

#[tokio::test]
async fn requested_delay_is_returned() {
    for (status, value, expected) in [
        (429, "120", Some(120)),
        (503, "Thu, 01 Jan 2026 00:05:00 GMT", Some(300)),
        (500, "999999999", Some(MAX_RETRY_AFTER_S)),
        (429, "soon", None),
        (200, "120", None),
    ] {
        let response = Response::new(status).with_header("Retry-After", value);
        let sink = Sink::start([Reaction::Respond(response)]).await.unwrap();
        assert_eq!(post_to_sink(&sink, LONG).await.retry_after_s, expected, "{status} {value}");
    }
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let other = Sink::start([Reaction::Respond(Response::new(200))]).await.unwrap();
    for location in ["http://169.254.169.254/latest/meta-data/".to_owned(), format!("http://{}/", other.address())] {
        let response = Response::new(301).with_header("Location", &location);
        check(Reaction::Respond(response), LONG, Redirected, Some(301)).await;
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn slow_receiver_times_out() {
    check(Reaction::Delay(PAUSE, Response::new(200)), SHORT, TimedOut, None).await;
}

#[tokio::test]
async fn receiver_that_drips_times_out() {
    let pause = Duration::from_millis(20);
    check(Reaction::Drip(pause, Response::new(200)), SHORT, TimedOut, None).await;
    let long = Response::new(200).with_body("a".repeat(200));
    check(Reaction::DripBody(pause, long), SHORT, TimedOut, Some(200)).await;
}

#[tokio::test]
async fn failure_status_counts_although_its_body_drips() {
    for (status, outcome) in [(500, ErrorStatus), (410, Gone), (302, Redirected)] {
        let response = Response::new(status).with_header("retry-after", "7").with_body("why");
        let sink = Sink::start([Reaction::DripBody(PAUSE, response)]).await.unwrap();
        let response = post_to_sink(&sink, SHORT).await;
        assert_eq!((response.outcome, response.retry_after_s), (outcome, Some(7)), "{status}");
    }
}

#[tokio::test]
async fn endless_body_is_read_up_to_a_limit() {
    let sink = Sink::start([Reaction::Endless(Response::new(200))]).await.unwrap();
    let response = post_to_sink(&sink, LONG).await;
    assert_eq!((response.outcome, response.excerpt), (Delivered, Some(".".repeat(WebhookRequest::MAX_EXCERPT))));
    check(Reaction::Endless(Response::new(500)), LONG, ErrorStatus, Some(500)).await;
}

#[tokio::test]
async fn response_that_ends_early_is_no_success() {
    check(Reaction::Close, LONG, ConnectionClosed, None).await;
    check(Reaction::Reset, LONG, ConnectionClosed, None).await;
    check(Reaction::Raw(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()), LONG, ConnectionClosed, None).await;
    check(Reaction::Truncate(Response::new(200).with_body("ok")), LONG, ConnectionClosed, Some(200)).await;
    check(Reaction::Truncate(Response::new(404).with_body("no")), LONG, ErrorStatus, Some(404)).await;
}

#[tokio::test]
async fn response_that_is_not_http_is_invalid() {
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(65));
    let long_head = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "a".repeat(32 * 1024));
    for bytes in ["SSH-2.0-OpenSSH_9.6\r\n", "200 OK\r\n\r\n", &many_headers, &long_head] {
        check(Reaction::Raw(bytes.into()), LONG, InvalidResponse, None).await;
    }
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    check(Reaction::Raw(chunk.into()), LONG, InvalidResponse, Some(200)).await;
}

#[tokio::test]
async fn informational_responses_are_skipped() {
    let bytes = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    check(Reaction::Raw(bytes.into()), LONG, Delivered, Some(204)).await;
}

#[tokio::test]
async fn closed_port_is_a_refused_connection() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let sender = sender(Setup::of_sink(&format!("localhost:{port}")), FixedNames::new([LOCALHOST]), LONG);
    let response = post(&sender, &format!("http://localhost:{port}/")).await;
    assert_eq!((response.outcome, response.status), (ConnectionRefused, None));
}

#[tokio::test]
async fn unknown_name_is_not_resolved() {
    let sender = sender(Setup::deployed(), FixedNames::new([]), LONG);
    assert_eq!(post(&sender, "https://hooks.example.com/").await.outcome, NameNotResolved);
}

#[test]
fn deployed_sender_has_the_time_of_an_attempt_and_roots() {
    let settings = SenderSettings::of_this_machine(roadcast_domain::webhook::TargetRules::default()).unwrap();
    assert_eq!(settings.timeout, Duration::from_secs(15));
    assert!(settings.roots.len() > 50, "{} roots", settings.roots.len());
    HttpSender::new(settings, FixedClock).unwrap();
}
