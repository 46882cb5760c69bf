//! A request of the client, as a vector.

use std::path::PathBuf;
use std::time::Duration;

use roadcast_domain::Timestamp;
use roadcast_domain::webhook::signature::{self, ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use roadcast_domain::webhook::{AttemptOutcome, SigningSecret, TargetRules};
use roadcast_ports::clock::Clock;
use roadcast_ports::webhooks::{WebhookRequest, WebhookSender as _};
use roadcast_webhook_client::{HttpSender, SenderSettings, SystemNames};
use roadcast_webhook_receiver::{Reaction, ReceivedRequest, Response, Sink};
use serde_json::json;

/// When the request is signed.
const AT: Timestamp = Timestamp::from_ms(1_767_225_600_000);

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        AT
    }
}

/// Sends a request that is signed with two secrets, and returns a file with what the receiver got: once for each secret.
pub(crate) async fn vector_of_an_attempt(file_name: &str) -> PathBuf {
    let secrets = [1, 2].map(|byte| SigningSecret::new([byte; 32]).unwrap());
    let request = received(&secrets).await;
    let headers: serde_json::Map<_, _> = request.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let body = String::from_utf8(request.body.clone()).unwrap();
    let lines = secrets.iter().enumerate().map(|(index, secret)| {
        let name = format!("request of the client, secret {index}");
        let vector = json!({"name": name, "secret": secret.reveal(), "now": AT.ms() / 1000, "headers": headers, "body": body, "expected": "valid"});
        format!("{vector}\n")
    });
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{file_name}.ndjson"));
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    file
}

async fn received(secrets: &[SigningSecret]) -> ReceivedRequest {
    let sink = Sink::start([Reaction::Respond(Response::new(204))]).await.unwrap();
    let body = "{\"type\":\"roadcast.alert.v1\",\"data\":{\"text\":\"Öldruck\"}}".as_bytes();
    let signed = signature::sign(secrets, "01JGFJJZ0000000000000000AA", AT, body);
    let headers = [(ID_HEADER, signed.id), (TIMESTAMP_HEADER, &signed.timestamp), (SIGNATURE_HEADER, &signed.signature)];
    let request = WebhookRequest {
        url: format!("http://{}/", sink.address()).parse().unwrap(),
        any_port: false,
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: body.to_vec(),
    };
    let rules = TargetRules::with_local_sinks(vec![sink.address().to_string().parse().unwrap()]);
    let roots = rustls::RootCertStore::empty();
    let settings = SenderSettings { rules, names: SystemNames, roots, timeout: Duration::from_mins(1) };
    let response = HttpSender::new(settings, FixedClock).unwrap().post(&request).await;
    assert_eq!(response.outcome, AttemptOutcome::Delivered);
    sink.requests().remove(0)
}
