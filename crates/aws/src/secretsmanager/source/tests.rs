#![allow(clippy::unwrap_used)]
use std::sync::Mutex as StdMutex;

use futures::future::join_all;
use serde_json::json;

use super::*;
use crate::fake_aws::{FakeAws, Request, Response};

#[derive(Clone, Default)]
struct TestClock(Arc<StdMutex<i64>>);

impl TestClock {
    fn advance_ms(&self, ms: i64) {
        *self.0.lock().unwrap() += ms;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(*self.0.lock().unwrap())
    }
}

fn value(byte: &str) -> Response {
    Response::ok(json!({ "SecretString": byte.repeat(64), "VersionId": byte }))
}

fn missing() -> Response {
    Response::error(400, json!({ "__type": "ResourceNotFoundException", "Message": "no such label" }))
}

fn secret(byte: &str) -> Secret {
    Secret::new(byte.repeat(64)).unwrap()
}

fn label(request: &Request) -> String {
    request.json()["VersionStage"].as_str().unwrap().to_owned()
}

fn source(
    respond: impl Fn(usize, &Request) -> Response + Send + Sync + 'static,
) -> (SecretsManagerSource, FakeAws, TestClock) {
    let (aws, clock) = (FakeAws::new(respond), TestClock::default());
    let client = aws.sdk().secrets_manager();
    (SecretsManagerSource::with_clock(client, "stack-secret", clock.clone()), aws, clock)
}

#[tokio::test]
async fn secret_is_read_when_needed_and_once_in_half_an_hour() {
    let respond = |_, request: &Request| if label(request) == CURRENT { value("a").late() } else { missing() };
    let (source, aws, clock) = source(respond);
    assert!(aws.requests().is_empty(), "not before it is needed");
    let read = || async { source.clone().secrets().await.unwrap() };
    let concurrent = join_all((0..8).map(|_| read())).await;
    assert!(concurrent.iter().all(|secrets| **secrets == StackSecrets::single(secret("a"))));
    assert_eq!(aws.requests().len(), 4, "one request per label and one more, for all callers");
    clock.advance_ms(TTL_MS - 1);
    read().await;
    assert_eq!(aws.requests().len(), 4, "cached");
    clock.advance_ms(1);
    read().await;
    assert_eq!(aws.requests().len(), 8, "read again");
}

#[tokio::test]
async fn versions_are_distinguished_by_label_and_listed_once() {
    let all = source(|_, request| match label(request).as_str() {
        CURRENT => value("b"),
        PREVIOUS => value("a"),
        _ => value("c"),
    });
    let expect = StackSecrets { current: secret("b"), previous: Some(secret("a")), pending: Some(secret("c")) };
    assert_eq!(*all.0.secrets().await.unwrap(), expect);
    let promoted = source(|_, request| if label(request) == PREVIOUS { missing() } else { value("c") });
    assert_eq!(*promoted.0.secrets().await.unwrap(), StackSecrets::single(secret("c")), "one version, two labels");
}

#[tokio::test]
async fn labels_that_move_during_a_read_are_read_again() {
    // The rotation promotes "b" after the first three requests.
    let respond = |number, request: &Request| match label(request).as_str() {
        CURRENT => value(if number < 3 { "a" } else { "b" }),
        PREVIOUS if number >= 3 => value("a"),
        _ => missing(),
    };
    let expect = StackSecrets { current: secret("b"), previous: Some(secret("a")), pending: None };
    assert_eq!(*source(respond).0.secrets().await.unwrap(), expect);
}

#[tokio::test]
async fn cached_secret_is_used_while_the_service_does_not_respond() {
    let (source, aws, clock) = source(|number, request| match label(request).as_str() {
        _ if number >= 4 => value("b").after(REFRESH_TIMEOUT * 2),
        CURRENT => value("a"),
        _ => missing(),
    });
    source.secrets().await.unwrap();
    clock.advance_ms(TTL_MS);
    assert_eq!(*source.secrets().await.unwrap(), StackSecrets::single(secret("a")));
    assert!(aws.requests().len() > 4, "an attempt was made");
}

#[tokio::test]
async fn cached_secret_is_used_for_an_hour_while_it_cannot_be_read() {
    let (source, aws, clock) = source(|number, request| match label(request).as_str() {
        _ if number >= 4 => Response::error(400, json!({ "__type": "AccessDeniedException" })),
        CURRENT => value("a"),
        _ => missing(),
    });
    source.secrets().await.unwrap();
    clock.advance_ms(TTL_MS);
    assert_eq!(*source.secrets().await.unwrap(), StackSecrets::single(secret("a")));
    let attempts = aws.requests().len();
    source.secrets().await.unwrap();
    assert_eq!(aws.requests().len(), attempts, "not at every use");
    clock.advance_ms(MAX_AGE_MS);
    assert_eq!(source.secrets().await.unwrap_err().kind(), PortErrorKind::Unavailable);
}

#[tokio::test]
async fn missing_or_short_secret_is_unavailable_but_never_rejected() {
    for response in [missing(), Response::ok(json!({ "SecretString": "short" }))] {
        let (source, ..) = source(move |_, _| response.clone());
        assert_eq!(source.secrets().await.unwrap_err().kind(), PortErrorKind::Unavailable);
    }
}
