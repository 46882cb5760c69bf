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

use crate::http::{Access, Api, Middleware, ProxyRequest, Request, Response, Route, answer};
use crate::problem::{Problem, ProblemType};

/// One thing to read and one to create.
struct Things {
    made: std::sync::atomic::AtomicU32,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Operation {
    Read,
    Create,
}

impl Api for Things {
    type Operation = Operation;

    const ROUTES: &'static [Route<Operation>] = &[
        Route::new("GET", "/things", Access::Scopes(&[Scope::Read]), Operation::Read).with_query(&["q"]),
        Route::new("POST", "/things", Access::Scopes(&[Scope::Read, Scope::Admin]), Operation::Create).creating(),
    ];

    async fn call(&self, operation: Operation, request: &Request, _: &Caller) -> Result<Response, Problem> {
        match operation {
            Operation::Read => Response::ok(&json!({})),
            Operation::Create if request.body() == b"wrong" => Err(Problem::invalid_body("", "is wrong")),
            Operation::Create => {
                let made = self.made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok(Response::json(StatusCode::CREATED, &json!({"made": made, "secret": "s"}))?.with_secret("secret"))
            }
        }
    }

    async fn restore(&self, _: Operation, _: &Caller, mut answer: Response) -> Result<Response, Problem> {
        let mut body: Value = serde_json::from_str(answer.body()).map_err(Problem::internal)?;
        assert!(body.get("secret").is_none(), "it was not kept");
        body["secret"] = json!("s");
        answer.set_json(&body);
        Ok(answer)
    }
}

struct World {
    memory: Memory,
    things: Things,
    middleware: Middleware<(Memory, Memory, Faulty<Memory>, Memory, ManualClock)>,
}

impl World {
    /// Two fleets with a client each, `one` and `two`.
    async fn new(counting: FaultPlan) -> Self {
        let memory = Memory::default();
        for (bits, name) in [(1, "one"), (2, "two")] {
            let (fleet_id, created_at) = (FleetId::from_random(bits), memory.clock().now());
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
        let middleware = Middleware::of((copy(), copy(), Faulty::new(copy(), counting), copy(), clock));
        Self { things: Things { made: 0.into() }, middleware, memory }
    }

    async fn ask(&self, method: &str, client: &str, key: Option<&str>, body: &str) -> Result<Response, Problem> {
        let scope = if client == "admin" { "roadcast/admin" } else { "roadcast/read" };
        let mut proxy = json!({
            "resource": "/things", "httpMethod": method, "body": body, "headers": {},
            "requestContext": {"authorizer": {"claims": {"client_id": client, "scope": scope}}},
        });
        if let Some(key) = key {
            proxy["headers"]["Idempotency-Key"] = json!(key);
        }
        answer(&self.things, &self.middleware, serde_json::from_value::<ProxyRequest>(proxy).unwrap()).await
    }
}

#[tokio::test]
async fn a_fleet_over_its_quota_is_told_when_to_come_back_and_others_are_served() {
    let world = World::new(FaultPlan::healthy()).await;
    let mut served = 0;
    let refused = loop {
        match world.ask("GET", "one", None, "").await {
            Ok(response) => {
                assert_eq!(response.header("ratelimit-policy"), Some("\"fleet\";q=600;w=60"));
                served += 1;
            }
            Err(problem) => break problem,
        }
    };
    assert_eq!(served, 630, "the quota, and what one copy grants by itself");
    assert_eq!(refused.kind(), ProblemType::TooManyRequests);
    let header = |name| refused.headers().iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str());
    assert!(header("retry-after").unwrap().parse::<u32>().unwrap() <= 60);
    assert!(header("ratelimit").unwrap().starts_with("\"fleet\";r=0;t="));
    assert!(world.ask("GET", "two", None, "").await.is_ok(), "another fleet");
    assert!(world.ask("POST", "admin", None, "").await.unwrap().header("ratelimit").is_none(), "an admin has no quota");
    world.memory.clock().advance_ms(60_000);
    assert!(world.ask("GET", "one", None, "").await.is_ok(), "the next minute");
}

#[tokio::test]
async fn a_quota_that_cannot_be_counted_refuses_nobody() {
    let world = World::new(FaultPlan::always(Fault::Unavailable)).await;
    for _ in 0..100 {
        assert!(world.ask("GET", "one", None, "").await.is_ok());
    }
}

#[tokio::test]
async fn a_refused_request_tells_the_quota_too() {
    let world = World::new(FaultPlan::healthy()).await;
    let refused = world.ask("POST", "one", None, "wrong").await.unwrap_err();
    assert!(refused.headers().iter().any(|(name, _)| *name == "ratelimit"));
}

#[tokio::test]
async fn a_key_is_its_callers_own_and_an_answer_is_kept_without_its_secret() {
    let world = World::new(FaultPlan::healthy()).await;
    let first = world.ask("POST", "one", Some("k"), "x").await.unwrap();
    let again = world.ask("POST", "one", Some("k"), "x").await.unwrap();
    assert_eq!(again.body(), first.body(), "the secret is back");
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
    let others = world.ask("POST", "two", Some("k"), "x").await.unwrap();
    assert_eq!(others.header("idempotency-replayed"), None, "another caller's key is another key");
    let reused = world.ask("POST", "one", Some("k"), "y").await.unwrap_err();
    assert_eq!(reused.kind(), ProblemType::IdempotencyKeyReused);
    assert_eq!(world.ask("POST", "one", Some("m"), "wrong").await.unwrap_err().kind(), ProblemType::InvalidBody);
    assert!(world.ask("POST", "one", Some("m"), "mended").await.is_ok(), "a key of what failed is free");
    for key in ["", "\"\"", "ä", "a b", &"k".repeat(256)] {
        assert_eq!(world.ask("POST", "one", Some(key), "x").await.unwrap_err().kind(), ProblemType::BadRequest, "{key}");
    }
}
