//! Connections that are used again.

use roadcast_domain::webhook::AttemptOutcome::{self, ConnectionClosed, Delivered};
use roadcast_ports::webhooks::WebhookRequest;
use roadcast_webhook_client::MAX_IDLE_PER_HOST;
use roadcast_webhook_receiver::{Reaction, Response, Sink};

use crate::fixture::{FixedClock, FixedNames, LOCALHOST, LONG, Setup, post, sender};

type Sender = roadcast_webhook_client::HttpSender<FixedClock, FixedNames>;

fn sender_to(sink: &Sink) -> (Sender, String) {
    let sender = sender(Setup::local(sink), FixedNames::new([LOCALHOST]), LONG);
    (sender, format!("http://localhost:{}/", sink.address().port()))
}

/// Posts twice, and checks the second outcome, the number of connections and the number of requests that were received.
async fn check(script: [Reaction; 2], outcome: AttemptOutcome, connections: usize, requests: usize) {
    let name = format!("{script:.80?}");
    let sink = Sink::start(script).await.unwrap();
    let (sender, url) = sender_to(&sink);
    assert_eq!(post(&sender, &url).await.status, Some(200), "{name}");
    // The receiver gets the time to close its connection.
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert_eq!(post(&sender, &url).await.outcome, outcome, "{name}");
    assert_eq!((sink.connections(), sink.requests().len()), (connections, requests), "{name}");
}

fn ok() -> Response {
    Response::new(200).with_body("ok")
}

#[tokio::test]
async fn connection_is_reused_after_a_complete_response() {
    check([Reaction::Respond(ok()), Reaction::Respond(ok())], Delivered, 1, 2).await;
}

#[tokio::test]
async fn connection_is_not_reused_after_an_incomplete_response() {
    check([Reaction::Endless(ok()), Reaction::Respond(ok())], Delivered, 2, 2).await;
    let long = ok().with_body(vec![b'a'; WebhookRequest::MAX_RESPONSE_BYTES + 1]);
    check([Reaction::Respond(long), Reaction::Respond(ok())], Delivered, 2, 2).await;
}

#[tokio::test]
async fn connection_that_the_receiver_closed_is_replaced() {
    check([Reaction::CloseAfter(ok()), Reaction::Respond(ok())], Delivered, 2, 2).await;
}

#[tokio::test]
async fn request_on_a_connection_that_closes_is_sent_again_once() {
    // The idle connection closes when it gets the next request; the request is received twice.
    let sink = Sink::start([Reaction::Respond(ok()), Reaction::Close, Reaction::Respond(ok())]).await.unwrap();
    let (sender, url) = sender_to(&sink);
    assert_eq!(post(&sender, &url).await.outcome, Delivered);
    assert_eq!(post(&sender, &url).await.outcome, Delivered);
    assert_eq!((sink.connections(), sink.requests().len()), (2, 3));
    // On a new connection it is the failure of the receiver.
    check([Reaction::Respond(ok()), Reaction::Close], ConnectionClosed, 2, 3).await;
}

#[tokio::test]
async fn idle_connections_to_a_host_are_limited() {
    let delay = std::time::Duration::from_millis(300);
    let sink = Sink::start([Reaction::Delay(delay, ok())]).await.unwrap();
    let (sender, url) = sender_to(&sink);
    let parallel = || async {
        let (a, b, c, d) = tokio::join!(post(&sender, &url), post(&sender, &url), post(&sender, &url), post(&sender, &url));
        assert!([a, b, c, d].iter().all(|response| response.outcome == Delivered));
    };
    parallel().await;
    assert_eq!(sink.connections(), 4);
    parallel().await;
    assert_eq!(sink.connections(), 4 + 4 - MAX_IDLE_PER_HOST);
}
