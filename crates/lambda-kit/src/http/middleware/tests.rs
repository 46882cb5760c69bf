#![allow(clippy::unwrap_used)]
use http::StatusCode;
use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::fleet::{Client, ClientRole, Fleet};
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_domain::plan::Plan;
use roadcast_ports::clients::Clients as _;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::fleets::Fleets as _;
use roadcast_testbed::{Fault, FaultPlan, Faulty, ManualClock, Memory};
use serde_json::{Value, json};

use crate::http::{Access, Api, Middleware, ProxyRequest, Request, Response, Route, dispatch};
use crate::problem::{Problem, ProblemType};

/// An API with one operation that reads and one that creates.
struct TestApi {
    created: std::sync::atomic::AtomicU32,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Operation {
    Read,
    Create,
}

impl Api for TestApi {
    type Operation = Operation;

    const ROUTES: &'static [Route<Operation>] = &[
        Route::new("GET", "/things", Access::Scopes(&[Scope::Read]), Operation::Read).with_query(&["q"]),
        Route::new("POST", "/things", Access::Scopes(&[Scope::Read, Scope::Admin]), Operation::Create)
            .with_idempotency_key(),
    ];

    async fn handle(&self, operation: Operation, request: &Request, _: &Caller) -> Result<Response, Problem> {
        match operation {
            Operation::Read => Response::ok(&json!({})),
            Operation::Create if request.body() == b"invalid" => Err(Problem::invalid_body("", "is invalid")),
            Operation::Create => {
                let created = self.created.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok(Response::json(StatusCode::CREATED, &json!({"created": created, "secret": "s"}))?.with_secret("secret"))
            }
        }
    }

    async fn restore_secret(&self, _: Operation, _: &Caller, mut response: Response) -> Result<Response, Problem> {
        let mut body: Value = serde_json::from_str(response.body()).map_err(Problem::internal)?;
        assert!(body.get("secret").is_none(), "the secret is not stored");
        body["secret"] = json!("s");
        response.set_json(&body);
        Ok(response)
    }
}

struct MiddlewareFixture {
    memory: Memory,
    api: TestApi,
    middleware: Middleware<(Memory, Memory, Faulty<Memory>, Memory, ManualClock)>,
}

impl MiddlewareFixture {
    /// Two fleets with one client each, `one` and `two`. `counter_faults` are the faults of the rate counter.
    async fn new(counter_faults: FaultPlan) -> Self {
        let memory = Memory::default();
        for (bits, name) in [(1, "one"), (2, "two")] {
            let (fleet_id, created_at) = (FleetId::from_random_bits(bits), memory.clock().now());
            let (name, delivery_bus) = (name.to_owned(), "bus".to_owned());
            let role = ClientRole::Fleet { fleet_id: fleet_id.clone() };
            memory
                .put(
                    &Client { client_id: ClientId::new(&name), name: name.clone(), role, secret_shown_at: None, created_at },
                    None,
                )
                .await
                .unwrap();
            memory.create(&Fleet::new(fleet_id, name, delivery_bus, Plan::Standard, created_at), None).await.unwrap();
        }
        let (copy, clock) = (|| memory.clone(), memory.clock().clone());
        let middleware = Middleware::new((copy(), copy(), Faulty::new(copy(), counter_faults), copy(), clock));
        Self { api: TestApi { created: 0.into() }, middleware, memory }
    }

    async fn send(&self, method: &str, client: &str, key: Option<&str>, body: &str) -> Result<Response, Problem> {
        let scope = if client == "admin" { "roadcast/admin" } else { "roadcast/read" };
        let mut proxy = json!({
            "resource": "/things", "httpMethod": method, "body": body, "headers": {},
            "requestContext": {"authorizer": {"claims": {"client_id": client, "scope": scope}}},
        });
        if let Some(key) = key {
            proxy["headers"]["Idempotency-Key"] = json!(key);
        }
        dispatch(&self.api, &self.middleware, serde_json::from_value::<ProxyRequest>(proxy).unwrap()).await
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
    assert_eq!(served, 630, "the quota, and the share that one instance grants on its own");
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
