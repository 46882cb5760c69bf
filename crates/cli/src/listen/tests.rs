use roadcast_domain::webhook::signature::{self, ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use tokio::io::AsyncReadExt as _;

use super::*;

const BODY: &[u8] = b"{\"type\":\"roadcast.alert.v1\",\"subject\":\"veh_1\",\n\"data\":{\"a\":1}}";

fn secret(byte: u8) -> SigningSecret {
    SigningSecret::new([byte; 32]).unwrap()
}

fn receiver(secrets: Vec<SigningSecret>) -> Receiver {
    Receiver { secrets, respond: 204, delay: Duration::ZERO }
}

/// A request that is signed with a secret now.
fn signed(secret: &SigningSecret, body: &[u8]) -> ReceivedRequest {
    let headers = signature::sign(std::slice::from_ref(secret), "evt_1", SystemClock.now(), body);
    let headers = [(ID_HEADER, headers.id), (TIMESTAMP_HEADER, &headers.timestamp), (SIGNATURE_HEADER, &headers.signature)];
    ReceivedRequest {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: body.to_vec(),
    }
}

/// Checks the status of the response to a request and the end of the line that is printed.
async fn check(receiver: &Receiver, request: &ReceivedRequest, status: u16, line_end: &str) -> Delivery {
    let (sender, mut events) = mpsc::channel(1);
    assert_eq!(receiver.receive(request, &sender).await.status, status);
    let Ok(Event::Received(delivery)) = events.try_recv() else { panic!("the delivery is printed") };
    assert!(delivery.line().ends_with(line_end), "{}", delivery.line());
    delivery
}

#[tokio::test]
async fn verified_delivery_is_printed_with_type_and_subject() {
    let request = signed(&secret(1), BODY);
    let receiver = receiver(vec![secret(2), secret(1)]);
    let delivery = check(&receiver, &request, 204, "Z  evt_1  roadcast.alert.v1  veh_1  verified").await;
    assert_eq!(delivery.event_line(), r#"{"data":{"a":1},"subject":"veh_1","type":"roadcast.alert.v1"}"#);
    let failing = Receiver { respond: 503, ..receiver };
    check(&failing, &request, 503, "verified").await;
}

#[tokio::test]
async fn delivery_that_is_not_verified_gets_401_with_the_reason() {
    let receiver = receiver(vec![secret(2)]);
    check(&receiver, &signed(&secret(1), BODY), 401, "REFUSED: no signature matches the body and the secret").await;
    let mut unsigned = signed(&secret(2), BODY);
    unsigned.headers.clear();
    check(&receiver, &unsigned, 401, "REFUSED: the header webhook-id is missing").await;
}

#[tokio::test]
async fn delivery_is_accepted_without_a_secret() {
    let request = signed(&secret(1), b"no \x1b[31m JSON");
    let delivery = check(&receiver(Vec::new()), &request, 204, "-  -  not verified: no secret").await;
    assert_eq!(delivery.event_line(), r#""no \u001b[31m JSON""#);
}

#[tokio::test]
async fn control_characters_do_not_reach_the_terminal() {
    let request = signed(&secret(1), br#"{"type":"\u001b[31m\nx","subject":"a"}"#);
    check(&receiver(vec![secret(1)]), &request, 204, "?[31m?x  a  verified").await;
}

#[tokio::test]
async fn other_method_than_post_is_refused() {
    let (sender, mut events) = mpsc::channel(1);
    let request = ReceivedRequest { method: "GET".to_owned(), ..signed(&secret(1), BODY) };
    assert_eq!(receiver(Vec::new()).receive(&request, &sender).await.status, 405);
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn requests_are_served_over_connections() {
    let listener = bind(0).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mut events) = mpsc::channel(4);
    let server = tokio::spawn(serve(listener, Arc::new(receiver(Vec::new())), sender));
    for (request, expected) in [
        ("POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n", "204 204"),
        ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "411"),
        ("hello\r\n\r\n", "400"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let statuses: Vec<&str> = text.split("HTTP/1.1 ").skip(1).filter_map(|response| response.get(..3)).collect();
        assert_eq!(statuses.join(" "), expected);
    }
    for _ in 0..2 {
        assert!(matches!(events.try_recv(), Ok(Event::Received(_))));
        assert!(matches!(events.try_recv(), Ok(Event::Responded)), "`--count` ends after the response");
    }
    server.abort();
}

#[tokio::test]
async fn port_in_use_is_reported_with_what_to_do() {
    let first = bind(0).await.unwrap();
    let error = bind(first.local_addr().unwrap().port()).await.unwrap_err().to_string();
    assert!(error.ends_with("in use; end the program that uses it, or choose another port with --port"), "{error}");
}

#[test]
fn invalid_secret_is_refused_without_printing_it() {
    let options =
        |secret: &str| ListenArgs { port: 0, secrets: vec![secret.to_owned()], respond: 204, count: None, delay: None };
    let error = Receiver::new(&options("whsec_secret!")).err().unwrap();
    assert_eq!(format!("{error:#}"), "a secret cannot be used: a signing secret is `whsec_` and base64 with padding");
    assert!(Receiver::new(&options("")).unwrap().secrets.is_empty());
}

#[test]
fn delay_has_a_unit() {
    assert_eq!(parse_delay("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(parse_delay("20s"), Ok(Duration::from_secs(20)));
    assert!(parse_delay("fastms").is_err());
}
