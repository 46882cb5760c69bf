#![allow(clippy::unwrap_used)]
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::ClientId;
use roadcast_domain::plan::Plan;
use roadcast_lambda_kit::http::Invocation;
use roadcast_services::authz::Proof as _;
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::fleets::{DeliveryBuses, Onboarding};
use roadcast_testbed::{InMemory, ManualClock, Memory, SeededRandomness};
use serde_json::Value;

use super::*;

/// The API on ports in memory, and a fleet.
struct Fixture {
    memory: Memory,
    api: AlertsApi<InMemory>,
    fleet_id: FleetId,
}

/// A response, or the problem document.
struct Answer {
    status: u16,
    body: Value,
    etag: Option<String>,
    location: Option<String>,
}

impl Fixture {
    async fn new() -> Self {
        let clock = ManualClock::default();
        let memory = Memory::new(clock.clone());
        let (m, k) = (|| memory.clone(), || clock.clone());
        let onboarding = Onboarding::<InMemory> {
            fleets: m(),
            clients: m(),
            app_clients: m(),
            subscriptions: m(),
            vehicles: m(),
            entitlements: m(),
            workflow: m(),
            delivery_buses: DeliveryBuses { first: "delivery".to_owned(), rules_per_bus: 300 },
            first_admin: None,
            clock: k(),
            randomness: SeededRandomness::new(1),
        };
        let admin = Admin::prove(&admin()).unwrap();
        let fleet_id = onboarding.create_fleet(&admin, "A fleet", Plan::Standard).await.unwrap().fleet_id;
        let rules = AlertRuleManagement { rules: m(), fleets: m(), clock: k(), randomness: SeededRandomness::new(2) };
        let back_tests = BackTestManagement {
            back_tests: m(),
            queue: m(),
            rules: m(),
            fleets: m(),
            vehicles: m(),
            entitlements: CachedEntitlements::new(m(), k()),
            clock: k(),
            randomness: SeededRandomness::new(3),
        };
        Self { memory, api: AlertsApi { rules, back_tests }, fleet_id }
    }

    fn fleet(&self) -> Caller {
        Caller::Fleet(self.fleet_id.clone())
    }

    /// Sends a request. `path` has the path parameters beside the fleet.
    async fn send(
        &self,
        caller: &Caller,
        (method, resource): (&str, &str),
        path: &Value,
        headers: &Value,
        body: &Value,
    ) -> Answer {
        let operations = AlertsApi::<InMemory>::OPERATIONS;
        let operation = operations.iter().find(|found| (found.method, found.resource) == (method, resource)).unwrap();
        let mut path = path.clone();
        path["fleetId"] = json!(self.fleet_id);
        let event = json!({"httpMethod": method, "pathParameters": path, "headers": headers, "body": body.to_string(),
            "requestContext": {"httpMethod": method, "resourcePath": resource}});
        let request = serde_json::from_str::<Invocation>(&event.to_string()).unwrap().into_request().unwrap();
        match operation.handle(&self.api, &request, caller).await {
            Ok(response) => Answer {
                status: response.status().as_u16(),
                body: serde_json::from_slice(response.body()).unwrap_or(Value::Null),
                etag: response.header("etag").map(str::to_owned),
                location: response.header("location").map(str::to_owned),
            },
            Err(problem) => {
                Answer { status: problem.status().as_u16(), body: problem.to_document(), etag: None, location: None }
            }
        }
    }

    async fn get(&self, caller: &Caller, resource: &str, path: &Value) -> Answer {
        self.send(caller, ("GET", resource), path, &json!({}), &Value::Null).await
    }

    async fn post(&self, caller: &Caller, resource: &str, body: &Value) -> Answer {
        self.send(caller, ("POST", resource), &json!({}), &json!({}), body).await
    }
}

fn admin() -> Caller {
    Caller::Admin(ClientId::new("admin"))
}

fn rule() -> Value {
    json!({"name": "Lamp \"on\"", "severity": "info", "condition": {"milOn": {}}, "cooldownS": 60})
}

#[tokio::test]
async fn rule_is_returned_as_it_was_written_with_its_version() {
    let fixture = Fixture::new().await;
    for (caller, rules, one) in [(fixture.fleet(), RULES, RULE), (admin(), OPERATOR_RULES, OPERATOR_RULE)] {
        let created = fixture.post(&caller, rules, &rule()).await;
        assert_eq!((created.status, created.etag.as_deref()), (201, Some("\"1\"")), "{}", created.body);
        for (name, value) in rule().as_object().unwrap() {
            assert_eq!(created.body[name], *value);
        }
        assert_eq!(created.body.get("fleetId").is_some(), rules == RULES);
        let path = json!({"ruleId": created.body["ruleId"]});
        assert_eq!(created.location, Some(format!("alert-rules/{}", created.body["ruleId"].as_str().unwrap())));
        assert_eq!(fixture.get(&caller, one, &path).await.body, created.body);
        assert_eq!(fixture.get(&caller, rules, &json!({})).await.body, json!({"items": [created.body]}));

        let put = async |etag: &Value, body: &Value| fixture.send(&caller, ("PUT", one), &path, etag, body).await;
        let mut off = rule();
        off["enabled"] = json!(false);
        assert_eq!(put(&json!({}), &off).await.status, 428);
        assert_eq!(put(&json!({"if-match": "\"7\""}), &off).await.status, 412);
        let replaced = put(&json!({"if-match": "\"1\""}), &off).await;
        assert_eq!((replaced.status, &replaced.body["version"], &replaced.body["enabled"]), (200, &json!(2), &json!(false)));
        let delete = async |etag: Value| fixture.send(&caller, ("DELETE", one), &path, &etag, &Value::Null).await.status;
        assert_eq!([delete(json!({})).await, delete(json!({"if-match": "\"1\""})).await], [428, 412]);
        assert_eq!(delete(json!({"if-match": "\"2\""})).await, 204);
        assert_eq!(fixture.get(&caller, one, &path).await.status, 404);
    }
    let changes = fixture.get(&admin(), OPERATOR_AUDIT, &json!({})).await;
    assert_eq!(changes.body["items"].as_array().map(Vec::len), Some(3), "{}", changes.body);
    assert_eq!(changes.body["items"][2]["of"]["kind"], "alertRule");
}

#[tokio::test]
async fn mistakes_of_a_rule_are_422_with_pointers() {
    let fixture = Fixture::new().await;
    let pointers = |answer: &Answer| {
        let errors = answer.body["errors"].as_array().unwrap();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut wrong = rule();
    wrong["severity"] = json!("loud");
    wrong["condition"] = json!({"threshold": {"signal": "Vehicle.Unknown", "above": 1}});
    let refused = fixture.post(&fixture.fleet(), RULES, &wrong).await;
    assert_eq!(
        (refused.status, pointers(&refused)),
        (422, vec!["/severity".to_owned(), "/condition/threshold/signal".to_owned()])
    );
    let refused = fixture.post(&fixture.fleet(), TEST, &json!({"rule": wrong, "from": "x"})).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert_eq!(pointers(&refused), ["/rule/severity", "/rule/condition/threshold/signal", "/from"]);
}

#[tokio::test]
async fn back_test_is_started_shown_and_cancelled() {
    let fixture = Fixture::new().await;
    let vid = "veh_0123456789abcdef";
    let (fleet, admin) = (fixture.fleet(), admin());
    for (caller, test, list, one) in
        [(&fleet, TEST, BACK_TESTS, BACK_TEST), (&admin, OPERATOR_TEST, OPERATOR_BACK_TESTS, OPERATOR_BACK_TEST)]
    {
        let started = fixture.post(caller, test, &json!({"rule": rule(), "vehicles": [vid]})).await;
        assert_eq!(started.status, 202, "{}", started.body);
        assert_eq!((&started.body["state"], &started.body["ruleName"]), (&json!("running"), &rule()["name"]));
        let id = started.body["backTestId"].as_str().unwrap();
        assert_eq!(started.location, Some(format!("../back-tests/{id}")));
        assert!(fixture.memory.take_back_test_task().is_some());
        let path = json!({ "backTestId": id });
        let shown = fixture.get(caller, one, &path).await;
        assert_eq!((shown.status, &shown.body["raised"], &shown.body["alerts"]), (200, &json!(0), &json!([])));
        assert_eq!(fixture.get(caller, list, &json!({})).await.body, json!({"items": [started.body]}));
        let other = if *caller == admin { BACK_TEST } else { OPERATOR_BACK_TEST };
        let asking = if *caller == admin { &fleet } else { &admin };
        assert_eq!(fixture.get(asking, other, &path).await.status, 404, "another owner does not have it");
        let cancelled = fixture.send(caller, ("DELETE", one), &path, &json!({}), &Value::Null).await;
        assert_eq!((cancelled.status, fixture.get(caller, one, &path).await.status), (204, 404));
    }
}

#[tokio::test]
async fn other_fleets_get_404() {
    let fixture = Fixture::new().await;
    let other = Caller::Fleet(FleetId::from_random_bits(99));
    for (operation, path) in [
        (("GET", RULES), json!({})),
        (("POST", RULES), json!({})),
        (("POST", TEST), json!({})),
        (("GET", BACK_TESTS), json!({})),
        (("GET", BACK_TEST), json!({"backTestId": "bkt_0123456789abcdef"})),
    ] {
        let answer = fixture.send(&other, operation, &path, &json!({}), &rule()).await;
        assert_eq!(answer.status, 404, "{operation:?}");
    }
}
