use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// An endpoint that responds to every request with `{}` and keeps its connections open. Returns its URL and the number of
/// connections so far.
fn endpoint() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            counter.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || respond(connection.unwrap()));
        }
    });
    (url, connections)
}

/// Responds to each request that ends with `}`: the bodies of these requests are JSON.
fn respond(mut connection: TcpStream) {
    let (mut buffer, mut request) = ([0; 4096], Vec::new());
    while let Ok(length @ 1..) = connection.read(&mut buffer) {
        request.extend_from_slice(&buffer[..length]);
        if request.ends_with(b"}") {
            request.clear();
            connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        }
    }
}

#[tokio::test]
async fn all_clients_share_one_pool_of_connections() {
    let (url, connections) = endpoint();
    let sdk = Sdk::for_local_endpoint(&url, "us-east-1");
    for client in [sdk.dynamodb(), sdk.dynamodb(), sdk.clone().dynamodb()] {
        client.list_tables().send().await.unwrap();
    }
    sdk.secrets_manager().get_secret_value().secret_id("s").send().await.unwrap();
    sdk.kinesis().list_streams().send().await.unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[test]
fn client_is_created_once_by_its_first_use() {
    let created = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&created);
    let client = LazyClient::new(move || counter.fetch_add(1, Ordering::SeqCst));
    let clone = client.clone();
    assert_eq!(created.load(Ordering::SeqCst), 0);
    assert_eq!((*client, *clone), (0, 0));
    assert_eq!(created.load(Ordering::SeqCst), 1);
    assert_eq!(*LazyClient::from(7), 7, "one that exists");
}

#[tokio::test]
async fn adapters_get_the_same_client() {
    let sdk = Sdk::for_local_endpoint("http://127.0.0.1:9", "us-east-1");
    let (first, second) = (sdk.sqs(), sdk.clone().sqs());
    assert!(std::ptr::eq(&raw const *first, &raw const *second));
}

#[test]
fn aws_lc_is_built_without_the_jitter_of_the_processor() {
    let config = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cargo/config.toml")).unwrap();
    let is_set = config.lines().any(|line| line == "AWS_LC_SYS_NO_JITTER_ENTROPY = \"1\"");
    assert!(is_set, "see docs/decisions/0048-entropy-of-tls.md");
}
