//! No way into private networks.

use std::net::IpAddr;

use roadcast_domain::webhook::AttemptOutcome::{AddressForbidden, Delivered};
use roadcast_ports::webhooks::{WebhookRequest, WebhookSender as _};
use roadcast_webhook_receiver::{Reaction, Response, Sink};

use crate::fixture::{FixedNames, LOCALHOST, LONG, METADATA, Setup, post, request, sender};

/// A sink that closes each connection after its response, so that the next attempt resolves the name again.
async fn sink() -> Sink {
    Sink::start([Reaction::CloseAfter(Response::new(200).with_header("connection", "close"))]).await.unwrap()
}

#[tokio::test]
async fn name_with_a_private_address_is_not_connected_to() {
    let sink = sink().await;
    let url = format!("https://hooks.example.com:{}/", sink.address().port());
    for address in ["127.0.0.1", "::ffff:127.0.0.1", "::1", "::127.0.0.1", "169.254.169.254", "fd00:ec2::254"] {
        let names = FixedNames::new([address.parse::<IpAddr>().unwrap()]);
        let sender = sender(Setup::deployed(), names, LONG);
        let response = sender.post(&WebhookRequest { any_port: true, ..request(&url) }).await;
        assert_eq!((response.outcome, response.excerpt), (AddressForbidden, None), "{address}");
    }
    assert_eq!(sink.connections(), 0);
}

#[tokio::test]
async fn address_in_a_url_is_checked_without_resolution() {
    let sink = sink().await;
    let names = FixedNames::new([LOCALHOST]);
    let sender = sender(Setup::deployed(), names.clone(), LONG);
    let port = sink.address().port();
    for host in ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "[::1]", "[::ffff:127.0.0.1]", "0"] {
        let request = WebhookRequest { any_port: true, ..request(&format!("https://{host}:{port}/")) };
        let response = sender.post(&request).await;
        assert_eq!(response.outcome, AddressForbidden, "{host}");
    }
    assert_eq!((sink.connections(), names.resolutions()), (0, 0));
}

#[tokio::test]
async fn other_scheme_and_other_port_are_forbidden() {
    let names = FixedNames::new([METADATA]);
    let sender = sender(Setup::deployed(), names.clone(), LONG);
    for url in ["http://hooks.example.com/", "https://hooks.example.com:8443/", "https://localhost/", "https://metadata/"] {
        assert_eq!(post(&sender, url).await.outcome, AddressForbidden, "{url}");
    }
    assert_eq!(names.resolutions(), 0);
}

#[tokio::test]
async fn address_that_was_checked_is_the_one_that_is_connected_to() {
    // The name has an allowed address for the check. A second resolution before the connection would get a forbidden one.
    let sink = sink().await;
    let names = FixedNames::changing([vec![LOCALHOST], vec![METADATA]]);
    let sender = sender(Setup::local(&sink), names.clone(), LONG);
    let url = format!("http://localhost:{}/", sink.address().port());
    assert_eq!(post(&sender, &url).await.outcome, Delivered);
    assert_eq!((sink.connections(), names.resolutions()), (1, 1));
    // The next connection gets the new address, and checks it.
    assert_eq!(post(&sender, &url).await.outcome, AddressForbidden);
    assert_eq!((sink.connections(), names.resolutions()), (1, 2));
}

#[tokio::test]
async fn forbidden_addresses_of_a_name_are_skipped() {
    let sink = sink().await;
    let names = FixedNames::new([METADATA, "10.0.0.1".parse().unwrap(), LOCALHOST]);
    let sender = sender(Setup::local(&sink), names, LONG);
    assert_eq!(post(&sender, &format!("http://localhost:{}/", sink.address().port())).await.outcome, Delivered);
}
