//! Secrets: shown once, restored for a repeated request, and rotated.

use roadcast_domain::webhook::SigningSecret;
use roadcast_lambda_kit::http::{Middleware, respond};
use roadcast_ports::port_set::RequestPorts;

use super::*;

#[tokio::test]
async fn secret_is_in_the_first_response_only() {
    let fixture = Fixture::new().await;
    let settings = json!({"url": URL, "headers": {"authorization": "Bearer hidden"}, "retrySchedule": [5, 60]});
    let (path, secret) = fixture.create(settings).await;
    assert!(secret.parse::<SigningSecret>().is_ok());
    let shown = fixture.get(ENDPOINT, &path).await;
    assert_eq!((shown.status, shown.etag.as_deref()), (200, Some("\"1\"")));
    let listed = fixture.get(ENDPOINTS, &json!({})).await;
    assert_eq!(listed.body["items"][0]["endpointId"], path["endpointId"]);
    for body in [&shown.body, &listed.body["items"][0]] {
        assert_eq!((&body["headerNames"], &body["secret"]), (&json!(["authorization"]), &Value::Null));
        let text = body.to_string();
        assert!(!text.contains(&secret) && !text.contains("hidden") && !text.contains("sealed"), "{text}");
    }
}

#[tokio::test]
async fn stored_response_gets_its_secret_until_it_is_replaced() {
    let fixture = Fixture::new().await;
    let (path, secret) = fixture.create(json!({ "url": URL })).await;
    let created = fixture.get(ENDPOINT, &path).await.body;
    let caller = || Manager::prove(&Caller::Fleet(fixture.fleet_id.clone())).unwrap();
    let restored = fixture.api.add_secret(caller(), response::ok(&created).unwrap()).await.unwrap();
    let body: Value = serde_json::from_slice(restored.body()).unwrap();
    assert_eq!((&body["secret"], &body["url"]), (&json!(secret), &json!(URL)));
    let stranger = Manager::prove(&Caller::Fleet(FleetId::from_random_bits(9))).unwrap();
    let problem = fixture.api.add_secret(stranger, response::ok(&created).unwrap()).await.unwrap_err();
    assert_eq!(problem.status(), StatusCode::NOT_FOUND, "another fleet");

    fixture.clock.advance_ms(1000);
    let rotated = fixture.send(("POST", SECRETS), &path, &json!({}), &json!({"overlapSeconds": 0})).await;
    assert_eq!((rotated.status, rotated.body["secrets"].as_array().unwrap().len()), (201, 1), "{}", rotated.body);
    assert_ne!(rotated.body["secret"], json!(secret));
    let problem = fixture.api.add_secret(caller(), response::ok(&created).unwrap()).await.unwrap_err();
    assert_eq!(problem.status(), StatusCode::CONFLICT, "the first secret does not exist any more");
    let again = fixture.api.add_secret(caller(), response::ok(&rotated.body).unwrap()).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(again.body()).unwrap()["secret"], rotated.body["secret"]);
}

/// Sends a request of an admin through the middleware, with an `Idempotency-Key`. Returns the body and whether it was replayed.
async fn send_with_key(fixture: &Fixture, middleware: &Middleware<InMemory>, body: &Value) -> (Value, bool) {
    let headers = json!({"Content-Type": "application/json", "Idempotency-Key": "k"});
    let event = json!({"resource": ENDPOINTS, "httpMethod": "POST", "pathParameters": {"fleetId": fixture.fleet_id},
        "headers": headers, "body": body.to_string(),
        "requestContext": {"httpMethod": "POST", "resourcePath": ENDPOINTS,
            "authorizer": {"claims": {"client_id": "admin", "scope": "roadcast/admin"}}}});
    let invocation = serde_json::from_str(&event.to_string()).unwrap();
    let response = respond(&fixture.api, middleware, invocation, "r").await;
    let body = serde_json::from_slice(response.body()).unwrap();
    (body, response.header("idempotency-replayed") == Some("true"))
}

#[tokio::test]
async fn repeated_creation_returns_the_secret_that_is_not_stored() {
    let fixture = Fixture::new().await;
    let m = || fixture.memory.clone();
    let ports = RequestPorts {
        clients: m(),
        fleets: m(),
        rate_counter: m(),
        idempotency_store: m(),
        secrets: m(),
        clock: fixture.clock.clone(),
    };
    let middleware = Middleware::new(ports).with_first_admin(Some(ClientId::new("admin")));
    let body = json!({ "url": URL });
    let (first, replayed) = send_with_key(&fixture, &middleware, &body).await;
    assert!(!replayed && first["secret"].is_string(), "{first}");
    let secret = first["secret"].as_str().unwrap();
    assert!(!format!("{:?}", fixture.memory).contains(secret), "the secret is stored sealed only");
    let (second, replayed) = send_with_key(&fixture, &middleware, &body).await;
    assert_eq!((second, replayed), (first.clone(), true));
}

#[tokio::test]
async fn rotation_shows_until_when_the_earlier_secret_signs() {
    let fixture = Fixture::new().await;
    let (path, _) = fixture.create(json!({ "url": URL })).await;
    fixture.clock.advance_ms(1000);
    let rotated = fixture.send(("POST", SECRETS), &path, &json!({}), &json!({"overlapSeconds": 60})).await;
    let until = fixture.clock.now().plus_ms(60_000);
    assert_eq!((rotated.status, &rotated.body["secrets"][1]["expiresAt"]), (201, &json!(until)));
    let conflict = fixture.send(("POST", SECRETS), &path, &json!({}), &json!({})).await;
    assert_eq!(conflict.status, 409, "a rotation is in progress");
    let invalid = fixture.send(("POST", SECRETS), &path, &json!({}), &json!({"overlapSeconds": 604_801})).await;
    assert_eq!((invalid.status, &invalid.body["errors"][0]["pointer"]), (422, &json!("/overlapSeconds")));
    fixture.clock.advance_ms(60_000);
    let shown = fixture.get(ENDPOINT, &path).await;
    assert_eq!(shown.body["secrets"].as_array().unwrap().len(), 1, "an expired secret is not shown");
}
