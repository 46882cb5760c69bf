#![allow(clippy::unwrap_used)]
use std::sync::Mutex;

use futures::future::BoxFuture;
use http::StatusCode;
use roadcast_domain::caller::CallerId;
use roadcast_domain::fleet::{Client, ClientRole, Fleet};
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::plan::Plan;
use roadcast_ports::clients::Clients;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::fleets::Fleets as _;
use roadcast_ports::port_set::RequestPorts;
use roadcast_services::authz::{FleetOwner, Reader};
use roadcast_testbed::{Fault, FaultPlan, Faulty, Memory, WithFaults, fixtures};
use serde_json::{Value, json};

use super::keyed_request;
use crate::deadline::Deadline;
use crate::http::dispatch::dispatch;
use crate::http::{
    Api, ApiRequest as _, ApiResponse as _, Call, ContractPath, Middleware, Operation, ProxyResponse, Response, parameters,
    query, respond, response, restore, serve, testing,
};
use crate::problem::{Problem, ProblemType};

/// An API with one operation that reads and one that creates.
struct TestApi {
    created: std::sync::atomic::AtomicU32,
    /// What happens during the next read.
    during: Mutex<Option<BoxFuture<'static, ()>>>,
}

parameters! {
    struct ReadThings {
        text: Option<String> = "q" => query::search_text,
    }
}

impl Api for TestApi {
    const OPERATIONS: &'static [Operation<Self>] = &[
        Operation::new("GET", "/things", serve!(read)),
        Operation::new("POST", "/things", serve!(create)).with_idempotency_key().with_secret(restore!(restore_secret)),
        Operation::open("GET", "/health", |_| response::ok(&json!({"status": "ok"}))),
    ];
    const CONTRACT: &'static [ContractPath] = &[ContractPath { template: "/fleets/{fleetId}", methods: &["DELETE", "GET"] }];
}

#[allow(clippy::unused_async)] // handlers are async
impl TestApi {
    async fn read(&self, call: Call<'_, ReadThings, FleetOwner>) -> Result<Response, Problem> {
        assert_ne!(call.query.text.as_deref(), Some("panic"), "a handler that panics");
        let during = self.during.lock().unwrap().take();
        if let Some(during) = during {
            during.await;
        }
        response::ok(&json!({}))
    }

    async fn create(&self, call: Call<'_, (), Reader>) -> Result<Response, Problem> {
        if call.request.text()? == "invalid" {
            return Err(Problem::invalid_body(JsonPointer::ROOT, "is invalid"));
        }
        let created = self.created.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(response::json(StatusCode::CREATED, &json!({"created": created, "secret": "s"}))?.with_secret("secret"))
    }

    async fn restore_secret(&self, _: Reader, mut response: Response) -> Result<Response, Problem> {
        let mut body: Value = serde_json::from_slice(response.body()).map_err(Problem::internal)?;
        assert!(body.get("secret").is_none(), "the secret is not stored");
        body["secret"] = json!("s");
        response.set_json(&body);
        Ok(response)
    }
}

struct MiddlewareFixture {
    memory: Memory,
    api: TestApi,
    middleware: Middleware<WithFaults>,
}

impl MiddlewareFixture {
    /// Two fleets with one client each, `one` and `two`. `counter_faults` are the faults of the rate counter.
    async fn new(counter_faults: FaultPlan) -> Self {
        let memory = Memory::default();
        for (bits, name) in [(1, "one"), (2, "two")] {
            let (fleet_id, created_at) = (FleetId::from_random_bits(bits), memory.clock().now());
            let (name, delivery_bus) = (name.to_owned(), "bus".to_owned());
            let role = ClientRole::Fleet { fleet_id: fleet_id.clone() };
            let change = fixtures::change(&fleet_id);
            memory.put(&Client::new(ClientId::new(&name), name.clone(), role, created_at), &change).await.unwrap();
            memory.create(&Fleet::new(fleet_id, name, delivery_bus, Plan::Standard, created_at), &change).await.unwrap();
        }
        let admin = Client::new(ClientId::new("admin"), "a".to_owned(), ClientRole::Admin, memory.clock().now());
        memory.put(&admin, &fixtures::client_creation(&admin)).await.unwrap();
        let healthy = || Faulty::healthy(memory.clone());
        let middleware = Middleware::new(RequestPorts {
            clients: healthy(),
            fleets: healthy(),
            rate_counter: Faulty::new(memory.clone(), counter_faults),
            idempotency_store: healthy(),
            secrets: healthy(),
            clock: memory.clock().clone(),
        });
        Self { api: TestApi { created: 0.into(), during: Mutex::default() }, middleware, memory }
    }

    async fn send(&self, method: &str, client: &str, key: Option<&str>, body: &str) -> Result<Response, Problem> {
        let scope = if client == "admin" { "roadcast/admin" } else { "roadcast/read" };
        let mut event = json!({
            "resource": "/things", "httpMethod": method, "body": body, "headers": {},
            "requestContext": {"authorizer": {"claims": {"client_id": client, "scope": scope}}},
        });
        if let Some(key) = key {
            event["headers"]["Idempotency-Key"] = json!(key);
        }
        dispatch(&self.api, &self.middleware, testing::request(event)).await
    }

    /// Responds to an event as the function does. Returns the response in the format of API Gateway, and its body.
    async fn respond(&self, event: &Value) -> (Value, Value) {
        let response = respond(&self.api, &self.middleware, testing::invocation(event), "r-1").await;
        let proxy = serde_json::to_value(ProxyResponse(response)).unwrap();
        let body = serde_json::from_str(proxy["body"].as_str().unwrap()).unwrap();
        (proxy, body)
    }
}

#[tokio::test]
async fn fleet_over_its_rate_limit_is_refused_until_the_next_window() {
    let fixture = MiddlewareFixture::new(FaultPlan::healthy()).await;
    let mut served = 0;
    let refused = loop {
        match fixture.send("GET", "one", None, "").await {
            Ok(response) => {
                assert_eq!(response.header("ratelimit-policy"), Some("\"fleet\";q=600;w=60"));
                served += 1;
            }
            Err(problem) => break problem,
        }
    };
    assert_eq!(served, 600, "one instance grants the quota");
    assert_eq!(refused.kind(), ProblemType::TooManyRequests);
    let header = |name| refused.headers().iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str());
    assert!(header("retry-after").unwrap().parse::<u32>().unwrap() <= 60);
    assert!(header("ratelimit").unwrap().starts_with("\"fleet\";r=0;t="));
    assert!(fixture.send("GET", "two", None, "").await.is_ok(), "another fleet");
    assert!(
        fixture.send("POST", "admin", None, "").await.unwrap().header("ratelimit").is_none(),
        "an admin has no rate limit"
    );
    fixture.memory.clock().advance_ms(60_000);
    assert!(fixture.send("GET", "one", None, "").await.is_ok(), "the next window");
}

#[tokio::test]
async fn client_deleted_during_a_long_request_gets_no_answer() {
    let fixture = MiddlewareFixture::new(FaultPlan::healthy()).await;
    for (seconds, expected) in [(4, Ok(())), (5, Err(ProblemType::Forbidden))] {
        assert!(fixture.send("GET", "two", None, "").await.is_ok(), "the record of the client is cached now");
        let (memory, client_id) = (fixture.memory.clone(), ClientId::new("two"));
        *fixture.api.during.lock().unwrap() = Some(Box::pin(async move {
            if let Some(client) = Clients::get(&memory, &client_id).await.unwrap() {
                Clients::remove(&memory, &client, &fixtures::client_creation(&client)).await.unwrap();
            }
            memory.clock().advance_ms(seconds * 1000);
        }));
        let answer = fixture.send("GET", "two", None, "").await.map(|_| ()).map_err(|problem| problem.kind());
        assert_eq!(answer, expected, "a read of {seconds} s");
    }
}

#[tokio::test]
async fn answer_that_depends_on_the_caller_is_not_cached() {
    let fixture = MiddlewareFixture::new(FaultPlan::healthy()).await;
    let mut missing_token = event("/things");
    missing_token["requestContext"]["authorizer"] = json!({});
    for (event, expected) in [
        (event("/things"), json!(["no-store"])),
        (missing_token, json!(["no-store"])),
        (event("/other"), json!(["no-store"])),
        (event("/health"), Value::Null),
    ] {
        let (proxy, _) = fixture.respond(&event).await;
        assert_eq!(proxy["multiValueHeaders"]["cache-control"], expected, "{event}");
    }
}

#[tokio::test]
async fn requests_are_allowed_if_the_rate_counter_fails() {
    let fixture = MiddlewareFixture::new(FaultPlan::always(Fault::Unavailable)).await;
    for _ in 0..100 {
        assert!(fixture.send("GET", "one", None, "").await.is_ok());
    }
}

#[tokio::test]
async fn problem_has_rate_limit_headers() {
    let fixture = MiddlewareFixture::new(FaultPlan::healthy()).await;
    let refused = fixture.send("POST", "one", None, "invalid").await.unwrap_err();
    assert!(refused.headers().iter().any(|(name, _)| *name == "ratelimit"));
}

#[tokio::test]
async fn idempotency_key_is_per_caller_and_secret_is_restored() {
    let fixture = MiddlewareFixture::new(FaultPlan::healthy()).await;
    let first = fixture.send("POST", "one", Some("k"), "x").await.unwrap();
    let again = fixture.send("POST", "one", Some("k"), "x").await.unwrap();
    assert_eq!(again.body(), first.body(), "the secret is restored");
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
    let others = fixture.send("POST", "two", Some("k"), "x").await.unwrap();
    assert_eq!(others.header("idempotency-replayed"), None, "the key of another caller is another key");
    let reused = fixture.send("POST", "one", Some("k"), "y").await.unwrap_err();
    assert_eq!(reused.kind(), ProblemType::IdempotencyKeyReused);
    assert_eq!(fixture.send("POST", "one", Some("m"), "invalid").await.unwrap_err().kind(), ProblemType::InvalidBody);
    assert!(fixture.send("POST", "one", Some("m"), "valid").await.is_ok(), "the key of a failed request can be used again");
    for key in ["", "\"\"", "ä", "a b", &"k".repeat(256)] {
        assert_eq!(fixture.send("POST", "one", Some(key), "x").await.unwrap_err().kind(), ProblemType::BadRequest, "{key}");
    }
}

#[test]
fn key_is_bound_to_role_id_and_request_in_a_constant_format() {
    let request = testing::request(json!({"resource": "/things", "httpMethod": "POST", "body": "x",
        "headers": {"Idempotency-Key": "k"}}));
    let key = |caller: &CallerId| keyed_request(&request, caller).unwrap().unwrap().key;
    // Another key would execute requests again that clients repeat during a deployment.
    let (client, fleet) = (ClientId::new("c"), FleetId::from_random_bits(1));
    assert_eq!(key(&CallerId::Admin(client.clone())), "tFlDeFNmpeFDe8GVTWbn8g");
    assert_eq!(key(&CallerId::Fleet(fleet)), "jDHWFqnlqeNirUcXRUxHfA");
    assert_eq!(key(&CallerId::Ingest(client)), "GqwC1JE1L1OCKOWyPVTfJg");
}

/// An event for `GET` of a resource, with the claims of an admin.
fn event(resource: &str) -> Value {
    testing::complete(json!({"resource": resource, "httpMethod": "GET", "headers": {},
        "requestContext": {"authorizer": {"claims": {"client_id": "one", "scope": "roadcast/read"}}}}))
}

#[tokio::test]
async fn event_that_is_not_a_request_gets_a_problem_document() {
    let fixture = MiddlewareFixture::new(FaultPlan::healthy()).await;
    let mut bad_base64 = event("/health");
    (bad_base64["body"], bad_base64["isBase64Encoded"]) = (json!("!"), json!(true));
    let mut without_method = event("/health");
    without_method["requestContext"].as_object_mut().unwrap().remove("httpMethod");
    let mut panicking = event("/things");
    panicking["queryStringParameters"] = json!({"q": "panic"});
    for event in [bad_base64, without_method, panicking] {
        let (proxy, problem) = fixture.respond(&event).await;
        assert_eq!(proxy["multiValueHeaders"]["content-type"], json!(["application/problem+json"]), "{event}");
        assert_eq!((&proxy["statusCode"], &problem["status"]), (&json!(500), &json!(500)), "{event}");
        assert_eq!(problem["type"], ProblemType::Internal.uri());
        assert_eq!(problem["instance"], "urn:request:r-1");
    }
}

#[tokio::test]
async fn bad_host_and_forwarded_proto_are_served() {
    let fixture = MiddlewareFixture::new(FaultPlan::healthy()).await;
    for (name, value) in [("Host", "a b"), ("X-Forwarded-Proto", "https, http")] {
        let mut event = event("/health");
        event["headers"][name] = json!(value);
        event["multiValueHeaders"] = json!({ name: [value] });
        let (proxy, body) = fixture.respond(&event).await;
        assert_eq!((&proxy["statusCode"], body), (&json!(200), json!({"status": "ok"})), "{name}");
    }
}

#[tokio::test]
async fn unknown_path_is_404_and_other_method_is_405() {
    let fixture = MiddlewareFixture::new(FaultPlan::healthy()).await;
    assert_eq!(fixture.respond(&event("/other")).await.0["statusCode"], 404);
    let mut head = event("/things");
    head["httpMethod"] = json!("HEAD");
    let (proxy, _) = fixture.respond(&head).await;
    assert_eq!((&proxy["statusCode"], &proxy["multiValueHeaders"]["allow"]), (&json!(405), &json!(["GET, POST"])));
}

/// An event of a request without an operation. Its body cannot be decoded.
fn unmatched_event(method: &str, path: &str, client: &str) -> Value {
    let mut event = event("/{proxy+}");
    (event["httpMethod"], event["pathParameters"]) = (json!(method), json!({"proxy": path}));
    (event["headers"], event["body"]) = (json!({"Content-Encoding": "gzip"}), json!("x"));
    event["queryStringParameters"] = json!({"unknown": "1"});
    event["requestContext"]["authorizer"]["claims"]["client_id"] = json!(client);
    event
}

#[tokio::test]
async fn request_without_an_operation_is_404_or_405_with_allow() {
    let fixture = MiddlewareFixture::new(FaultPlan::healthy()).await;
    let (proxy, problem) = fixture.respond(&unmatched_event("PATCH", "fleets/f", "one")).await;
    let headers = &proxy["multiValueHeaders"];
    assert_eq!((&proxy["statusCode"], &headers["allow"]), (&json!(405), &json!(["DELETE, GET"])));
    assert_eq!(headers["content-type"], json!(["application/problem+json"]));
    assert_eq!(problem["type"], ProblemType::MethodNotAllowed.uri());
    let (proxy, problem) = fixture.respond(&unmatched_event("PATCH", "fleet", "one")).await;
    assert_eq!((&proxy["statusCode"], &problem["type"]), (&json!(404), &json!(ProblemType::NotFound.uri())));
    assert!(proxy["multiValueHeaders"]["ratelimit"].is_array(), "it counts like other requests: {proxy}");
}

#[tokio::test]
async fn request_without_an_operation_is_authenticated_and_counted() {
    let fixture = MiddlewareFixture::new(FaultPlan::healthy()).await;
    let status = async |event: &Value| fixture.respond(event).await.0["statusCode"].clone();
    assert_eq!(status(&unmatched_event("GET", "fleets/f/x", "removed")).await, 403, "a client that is not registered");
    let mut anonymous = unmatched_event("GET", "fleets/f/x", "one");
    anonymous["requestContext"]["authorizer"] = json!({});
    assert_eq!(status(&anonymous).await, 401);
    let mut answers = Vec::new();
    while answers.last() != Some(&json!(429)) && answers.len() < 10_000 {
        answers.push(status(&unmatched_event("GET", "fleets/f/x", "two")).await);
    }
    assert_eq!(answers.last(), Some(&json!(429)), "the plan of the fleet limits such requests too");
}

#[tokio::test]
async fn request_without_end_is_answered_at_the_deadline() {
    let fixture = MiddlewareFixture::new(FaultPlan::healthy()).await;
    *fixture.api.during.lock().unwrap() = Some(Box::pin(std::future::pending()));
    let event = testing::complete(json!({
        "resource": "/things", "httpMethod": "GET",
        "requestContext": {"authorizer": {"claims": {"client_id": "one", "scope": "roadcast/read"}}},
    }));
    let invocation = testing::invocation(&event).with_deadline(Deadline::after(std::time::Duration::from_millis(50)));
    let response = respond(&fixture.api, &fixture.middleware, invocation, "r-1").await;
    assert_eq!((response.status(), response.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("1")));
    let problem: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(problem["instance"], "urn:request:r-1");
}
