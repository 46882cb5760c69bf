//! Memory that idle connections take.

use std::sync::mpsc;

use roadcast_domain::webhook::AttemptOutcome::Delivered;
use roadcast_webhook_client::MAX_IDLE_PER_HOST;
use roadcast_webhook_receiver::{Reaction, Response, Sink};
use tokio::runtime::{Builder, Runtime};

use crate::certificates::{Authority, server};
use crate::fixture::{FixedNames, LOCALHOST, LONG, Setup, post, sender};

/// Maximum bytes of an idle connection, as decision 0041 states.
const MAX_BYTES: i64 = 64 * 1024;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn idle_connection_takes_at_most_64_kib() {
    let authority = Authority::new("a");
    let tls = server(authority.certify("localhost", 4000), None);
    // In another thread, because only the allocations of this thread count.
    let (ports, port) = mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let response = Response::new(200).with_body(vec![b'a'; 15 * 1024]);
            let sink = Sink::start_tls([Reaction::Respond(response)], tls).await.unwrap();
            ports.send(sink.address().port()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let port = port.recv().unwrap();
    let runtime = runtime();
    let setup = Setup { roots: authority.roots(), ..Setup::of_sink(&format!("localhost:{port}")) };
    let sender = sender(setup, FixedNames::new([LOCALHOST]), LONG);
    let url = format!("https://localhost:{port}/");
    let used = allocation_counter::measure(|| {
        runtime.block_on(async {
            let (first, second) = tokio::join!(post(&sender, &url), post(&sender, &url));
            assert_eq!([first.outcome, second.outcome], [Delivered; MAX_IDLE_PER_HOST]);
        });
    });
    let bytes = used.bytes_current / 2;
    assert!((1024..MAX_BYTES).contains(&bytes), "{bytes} bytes");
}
