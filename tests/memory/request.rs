//! Requests of an admin to the APIs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_domain::ids::ClientId;
use roadcast_lambda_kit::http::{Api, Invocation, Middleware, respond};
use roadcast_ports::port_set::RequestPorts;
use roadcast_testbed::{InMemory, ManualClock, Memory};
use serde_json::{Value as Json, json};

/// Returns the middleware, which accepts the admin `admin`.
pub(crate) fn middleware(memory: &Memory, clock: &ManualClock) -> Middleware<InMemory> {
    Middleware::new(RequestPorts {
        clients: memory.clone(),
        fleets: memory.clone(),
        rate_counter: memory.clone(),
        idempotency_store: memory.clone(),
        secrets: memory.clone(),
        clock: clock.clone(),
    })
    .with_first_admin(Some(ClientId::new("admin")))
}

/// A request of the admin.
pub(crate) struct Request<'r> {
    pub(crate) method: &'r str,
    pub(crate) resource: &'r str,
    pub(crate) path: Json,
    pub(crate) query: Json,
    pub(crate) body: &'r str,
}

impl<'r> Request<'r> {
    pub(crate) fn get(resource: &'r str, path: Json, query: Json) -> Self {
        Self { method: "GET", resource, path, query, body: "" }
    }

    /// Sends the request. Returns the status and the bytes of the body in the payload.
    pub(crate) async fn send(self, api: &impl Api, middleware: &Middleware<InMemory>) -> (u16, usize) {
        let Self { method, resource, path, query, body } = self;
        let multi: serde_json::Map<String, Json> =
            query.as_object().unwrap().iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
        let event = json!({"resource": resource, "httpMethod": method, "pathParameters": path,
            "headers": {"content-type": "application/json", "idempotency-key": "key"},
            "multiValueHeaders": {"content-type": ["application/json"], "idempotency-key": ["key"]},
            "queryStringParameters": query, "multiValueQueryStringParameters": multi,
            "body": STANDARD.encode(body), "isBase64Encoded": true,
            "requestContext": {"httpMethod": method, "resourcePath": resource,
                "authorizer": {"claims": {"client_id": "admin", "scope": "roadcast/admin"}}}});
        let invocation: Invocation = serde_json::from_str(&event.to_string()).unwrap();
        let response = respond(api, middleware, invocation, "test").await;
        let body = std::str::from_utf8(response.body()).unwrap();
        // Lambda writes the body as a JSON string.
        (response.status().as_u16(), serde_json::to_string(body).unwrap().len())
    }
}
