//! Names with several addresses.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use roadcast_domain::webhook::AttemptOutcome::{self, ConnectionRefused, Delivered, TimedOut};
use roadcast_ports::webhooks::WebhookResponse;
use roadcast_webhook_receiver::{Reaction, Response, Sink};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::fixture::{FixedNames, LOCALHOST, LONG, Setup, post, sender};

/// A loopback address at which no sink listens.
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

/// Posts to a sink whose name has these addresses.
async fn post_to(sink: &Sink, addresses: &[IpAddr], time: Duration) -> WebhookResponse {
    let sender = sender(Setup::local(sink), FixedNames::new(addresses), time);
    post(&sender, &format!("http://localhost:{}/", sink.address().port())).await
}

/// A listener whose queue is full: the operating system does not answer new connections.
async fn unresponsive(address: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(1).unwrap();
    let mut connections = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        connections.push(stream.unwrap());
    }
    (listener, connections)
}

#[tokio::test]
async fn next_address_is_tried_if_one_refuses() {
    let sink = Sink::start([Reaction::Respond(Response::new(200))]).await.unwrap();
    let check = async |addresses: &[IpAddr], outcome: AttemptOutcome| {
        assert_eq!(post_to(&sink, addresses, LONG).await.outcome, outcome);
    };
    check(&[OTHER, LOCALHOST], Delivered).await;
    check(&[OTHER, OTHER, LOCALHOST], Delivered).await;
    // At most three addresses are tried.
    check(&[OTHER, OTHER, OTHER, LOCALHOST], ConnectionRefused).await;
}

#[tokio::test]
async fn address_that_does_not_answer_leaves_time_for_the_next() {
    let sink = Sink::start([Reaction::Respond(Response::new(200))]).await.unwrap();
    let _listener = unresponsive(SocketAddr::new(OTHER, sink.address().port())).await;
    let response = post_to(&sink, &[OTHER, LOCALHOST], LONG).await;
    assert_eq!(response.outcome, Delivered);
    assert!((5000..30_000).contains(&response.latency_ms), "{} ms", response.latency_ms);
}

#[tokio::test]
async fn address_that_does_not_answer_times_out() {
    let sink = Sink::start([Reaction::Respond(Response::new(200))]).await.unwrap();
    let _listener = unresponsive(SocketAddr::new(OTHER, sink.address().port())).await;
    let response = post_to(&sink, &[OTHER], Duration::from_millis(300)).await;
    assert_eq!((response.outcome, response.status), (TimedOut, None));
}
