#![allow(clippy::unwrap_used)]
mod page;
mod secrets;

use roadcast_domain::caller::Caller;
use roadcast_domain::ids::{ClientId, Eid, VehicleId};
use roadcast_domain::plan::Plan;
use roadcast_domain::webhook::delivery::FailureReason;
use roadcast_domain::webhook::{Attempt, AttemptOutcome, Delivery, DeliveryKey, EndpointHealth, Payload, TargetRules};
use roadcast_lambda_kit::http::Invocation;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::webhooks::{Attempts, Deliveries, EndpointHealths};
use roadcast_services::authz::{Admin, Proof as _};
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::fleets::{DeliveryBuses, Onboarding};
use roadcast_testbed::{InMemory, ManualClock, Memory, SeededRandomness};

use super::*;

const URL: &str = "https://hooks.example.com/roadcast";

/// The API on ports in memory, and a fleet.
struct Fixture {
    memory: Memory,
    clock: ManualClock,
    api: EndpointsApi<InMemory>,
    fleet_id: FleetId,
}

/// A response, or the problem document.
struct Answer {
    status: u16,
    body: Value,
    etag: Option<String>,
}

impl Fixture {
    async fn new() -> Self {
        let clock = ManualClock::default();
        let memory = Memory::new(clock.clone());
        let (m, k) = (|| memory.clone(), || clock.clone());
        let entitlements = || CachedEntitlements::new(m(), k());
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
        let api = EndpointsApi {
            endpoints: EndpointManagement {
                endpoints: m(),
                fleets: m(),
                entitlements: entitlements(),
                health: m(),
                deliveries: m(),
                queue: m(),
                sealer: m(),
                rules: TargetRules::default(),
                clock: k(),
                randomness: SeededRandomness::new(2),
            },
            attempts: AttemptQueries {
                endpoints: m(),
                attempts: m(),
                deliveries: m(),
                entitlements: entitlements(),
                clock: k(),
            },
            redriver: EndpointRedriver { endpoints: m(), deliveries: m(), queue: m(), redrives: m(), clock: k() },
            clock: k(),
        };
        Self { memory, clock, api, fleet_id }
    }

    /// Sends a request of a client of the fleet. `path` has the path parameters beside the fleet.
    async fn send(&self, operation: (&str, &str), path: &Value, headers: &Value, body: &Value) -> Answer {
        self.send_as(&Caller::Fleet(self.fleet_id.clone()), operation, path, headers, body).await
    }

    async fn send_as(
        &self,
        caller: &Caller,
        (method, resource): (&str, &str),
        path: &Value,
        headers: &Value,
        body: &Value,
    ) -> Answer {
        let operations = EndpointsApi::<InMemory>::OPERATIONS;
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
            },
            Err(problem) => Answer { status: problem.status().as_u16(), body: problem.to_document(), etag: None },
        }
    }

    /// Creates an endpoint, and returns the path parameter with its id, and its secret.
    async fn create(&self, settings: Value) -> (Value, String) {
        let created = self.send(("POST", ENDPOINTS), &json!({}), &json!({}), &settings).await;
        assert_eq!(created.status, 201, "{}", created.body);
        (json!({"endpointId": created.body["endpointId"]}), created.body["secret"].as_str().unwrap().to_owned())
    }

    async fn get(&self, resource: &str, path: &Value) -> Answer {
        self.send(("GET", resource), path, &json!({}), &Value::Null).await
    }

    /// Stores a notice to an endpoint as a failed delivery with one attempt.
    async fn fail(&self, path: &Value, salt: u128) -> Delivery {
        let endpoint_id: EndpointId = path["endpointId"].as_str().unwrap().parse().unwrap();
        let now = self.clock.now();
        let key = DeliveryKey { endpoint_id, delivery_id: DeliveryId::from_time_and_salt(now, salt) };
        let payload = Payload::Notice { event_type: "roadcast.webhook.test.v1".to_owned(), cloud_event: "{}".to_owned() };
        let failed = Delivery { attempts: 1, ..Delivery::new(key, self.fleet_id.clone(), payload, now) };
        let failed = failed.failed(FailureReason::AttemptsExhausted, now);
        Deliveries::put(&self.memory, &failed).await.unwrap();
        Attempts::record(&self.memory, &[attempt(&failed, now)]).await.unwrap();
        failed
    }
}

fn admin() -> Caller {
    Caller::Admin(ClientId::new("admin"))
}

fn attempt(delivery: &Delivery, at: Timestamp) -> Attempt {
    Attempt {
        key: delivery.key.clone(),
        fleet_id: delivery.fleet_id.clone(),
        vid: delivery.payload.vid().cloned(),
        event_type: delivery.payload.event_type().to_owned(),
        number: 1,
        at,
        outcome: AttemptOutcome::ErrorStatus,
        status: Some(500),
        latency_ms: 61,
        excerpt: Some("locked".to_owned()),
        next_attempt_at: None,
    }
}

#[tokio::test]
async fn change_needs_the_version_that_was_read() {
    let fixture = Fixture::new().await;
    let (path, _) = fixture.create(json!({"url": URL, "headers": {"x-route": "blue"}})).await;
    let paused = json!({"url": URL, "state": "paused", "order": "vehicle"});
    let replace = async |headers: Value| fixture.send(("PUT", ENDPOINT), &path, &headers, &paused).await;
    assert_eq!(replace(json!({})).await.status, 428);
    assert_eq!(replace(json!({"If-Match": "\"9\""})).await.status, 412);
    let changed = replace(json!({"If-Match": "\"1\""})).await;
    assert_eq!((changed.status, changed.etag.as_deref()), (200, Some("\"2\"")), "{}", changed.body);
    assert_eq!((&changed.body["state"], &changed.body["order"]), (&json!("paused"), &json!("vehicle")));
    assert_eq!(changed.body["headerNames"], json!(["x-route"]), "headers stay if the body has none");
    let delete = async |headers: Value| fixture.send(("DELETE", ENDPOINT), &path, &headers, &Value::Null).await.status;
    assert_eq!(delete(json!({})).await, 428);
    assert_eq!(delete(json!({"If-Match": "\"1\""})).await, 412);
    assert_eq!(delete(json!({"If-Match": "\"2\""})).await, 204);
    assert_eq!(fixture.get(ENDPOINT, &path).await.status, 404);
}

#[tokio::test]
async fn invalid_endpoint_is_refused_at_its_member() {
    let fixture = Fixture::new().await;
    for (member, value, pointer) in [
        ("url", json!("http://hooks.example.com/"), "/url"),
        ("url", json!("https://10.0.0.1/"), "/url"),
        ("url", json!("https://hooks.example.com:8443/"), "/url"),
        ("url", json!("https://user@hooks.example.com/"), "/url"),
        ("packages", json!(["no-such-package"]), "/packages/0"),
        ("eventTypes", json!([""]), "/eventTypes/0"),
        ("eventTypes", json!(["Not a type"]), "/eventTypes/0"),
        ("headers", json!({"webhook-id": "x"}), "/headers/webhook-id"),
        ("headers", json!({"x-a": "line\nend"}), "/headers/x-a"),
        ("headers", json!(null), "/headers"),
        ("description", json!(null), "/description"),
        ("rateLimit", json!(0), "/rateLimit"),
        ("retrySchedule", json!([]), "/retrySchedule"),
        ("retrySchedule", json!([86_401]), "/retrySchedule"),
        ("order", json!("fleet"), "/order"),
        ("state", json!("disabled"), "/state"),
        ("anyPort", json!(true), "/anyPort"),
        ("secret", json!("mine"), "/secret"),
    ] {
        let mut body = json!({ "url": URL });
        body[member] = value;
        let refused = fixture.send(("POST", ENDPOINTS), &json!({}), &json!({}), &body).await;
        let found = refused.body["errors"][0]["pointer"].as_str();
        assert_eq!((refused.status, found), (422, Some(pointer)), "{body}: {}", refused.body);
    }
    let other_port = json!({"url": "https://hooks.example.com:8443/", "anyPort": true});
    let by_admin = fixture.send_as(&admin(), ("POST", ENDPOINTS), &json!({}), &json!({}), &other_port).await;
    assert_eq!((by_admin.status, &by_admin.body["anyPort"]), (201, &json!(true)), "{}", by_admin.body);
}

#[tokio::test]
async fn endpoint_shows_its_health_and_the_times_of_attempts() {
    let fixture = Fixture::new().await;
    let (path, _) = fixture.create(json!({"url": URL, "retrySchedule": [5, 60]})).await;
    let healthy = fixture.get(ENDPOINT, &path).await.body;
    assert_eq!(healthy["health"], json!({"circuit": "closed", "consecutiveFailures": 0, "slow": false}));
    let now = fixture.clock.now();
    assert_eq!(healthy["attemptTimes"], json!([now, now.plus_ms(5000), now.plus_ms(65_000)]));

    let endpoint_id: EndpointId = path["endpointId"].as_str().unwrap().parse().unwrap();
    let failing = EndpointHealth {
        consecutive_failures: 7,
        failing_since: Some(now),
        open_until: Some(now.plus_ms(1000)),
        slow_until: Some(now.plus_ms(1000)),
        ..EndpointHealth::healthy(endpoint_id)
    };
    EndpointHealths::replace(&fixture.memory, &failing).await.unwrap();
    let open = fixture.get(ENDPOINT, &path).await.body;
    assert_eq!((&open["health"]["circuit"], &open["health"]["slow"]), (&json!("open"), &json!(true)));
    assert_eq!(open["health"]["disabledFrom"], json!(now.plus_ms(EndpointHealth::DISABLE_AFTER_MS)));
    fixture.clock.advance_ms(1000);
    let half_open = fixture.get(ENDPOINT, &path).await.body;
    assert_eq!((&half_open["health"]["circuit"], &half_open["health"]["slow"]), (&json!("halfOpen"), &json!(false)));
}

#[tokio::test]
async fn pending_delivery_shows_its_next_attempts() {
    let fixture = Fixture::new().await;
    let (path, _) = fixture.create(json!({"url": URL, "retrySchedule": [5, 60, 600]})).await;
    let tested = fixture.send(("POST", TEST), &path, &json!({}), &Value::Null).await;
    assert_eq!(tested.status, 202, "{}", tested.body);
    let mut of_delivery = path.clone();
    of_delivery["deliveryId"] = tested.body["deliveryId"].clone();
    let now = fixture.clock.now();
    let pending = fixture.get(DELIVERY, &of_delivery).await.body;
    assert_eq!((&pending["state"], &pending["attempts"]), (&json!("pending"), &json!(0)), "{pending}");
    assert_eq!(pending["attemptTimes"].as_array().unwrap().len(), 4);

    let stored = fixture.memory.webhook_deliveries().remove(0);
    let next = now.plus_ms(5000);
    let failed_once = Delivery { attempts: 1, next_attempt_at: Some(next), ..stored };
    Deliveries::replace(&fixture.memory, &failed_once).await.unwrap();
    let pending = fixture.get(DELIVERY, &of_delivery).await.body;
    assert_eq!(pending["attemptTimes"], json!([next, next.plus_ms(60_000), next.plus_ms(660_000)]));
    of_delivery["deliveryId"] = json!(DeliveryId::from_time_and_salt(now, 99));
    assert_eq!(fixture.get(DELIVERY, &of_delivery).await.status, 404);
}

#[tokio::test]
async fn fleet_sees_no_attempt_of_an_event_that_it_may_not_see() {
    let fixture = Fixture::new().await;
    let (path, _) = fixture.create(json!({ "url": URL })).await;
    let shown = fixture.fail(&path, 1).await;
    let vid = VehicleId::from_random_bits(1);
    let eid = Eid::for_event(&vid, "urn:a", "1", fixture.clock.now());
    let payload = Payload::Event { vid, eid, event_type: "roadcast.telemetry.v1".to_owned(), cloud_event: String::new() };
    let hidden = Delivery { payload, ..fixture.fail(&path, 2).await };
    let hidden = Delivery {
        key: DeliveryKey { delivery_id: DeliveryId::from_time_and_salt(fixture.clock.now(), 3), ..hidden.key.clone() },
        ..hidden
    };
    Deliveries::put(&fixture.memory, &hidden).await.unwrap();
    Attempts::record(&fixture.memory, &[attempt(&hidden, fixture.clock.now())]).await.unwrap();
    let listed = fixture.get(ATTEMPTS, &path).await.body;
    let ids: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|item| &item["deliveryId"]).collect();
    assert!(ids.contains(&&json!(shown.key.delivery_id)) && !ids.contains(&&json!(hidden.key.delivery_id)), "{listed}");
    let mut of_hidden = path.clone();
    of_hidden["deliveryId"] = json!(hidden.key.delivery_id);
    assert_eq!(fixture.get(DELIVERY, &of_hidden).await.status, 404);
    let by_admin = fixture.send_as(&admin(), ("GET", DELIVERY), &of_hidden, &json!({}), &Value::Null).await;
    assert_eq!((by_admin.status, &by_admin.body["reason"]), (200, &json!("attemptsExhausted")));
}

#[tokio::test]
async fn redrive_has_one_request_and_one_effect() {
    let fixture = Fixture::new().await;
    let (mut path, _) = fixture.create(json!({ "url": URL })).await;
    let failed = fixture.fail(&path, 1).await;
    path["redriveId"] = json!("after-the-move");
    let redrive = async |body: Value| fixture.send(("PUT", REDRIVE), &path, &json!({}), &body).await;
    for (body, pointer) in [
        (json!({}), "/deliveryIds"),
        (json!({"deliveryIds": []}), "/deliveryIds"),
        (json!({"deliveryIds": ["x"]}), "/deliveryIds/0"),
        (json!({"all": false}), "/all"),
        (json!({"since": "2026-01-01T00:00:00Z", "all": true}), "/all"),
        (json!({"deliveryIds": [failed.key.delivery_id], "since": "2026-01-01T00:00:00Z"}), "/since"),
        (json!({"since": "yesterday"}), "/since"),
    ] {
        let refused = redrive(body.clone()).await;
        let found = refused.body["errors"][0]["pointer"].as_str();
        assert_eq!((refused.status, found), (422, Some(pointer)), "{body}: {}", refused.body);
    }
    assert_eq!(fixture.get(REDRIVE, &path).await.status, 404, "an invalid redrive leaves no record");
    let finished = redrive(json!({ "all": true })).await;
    assert_eq!((finished.status, &finished.body["redriven"]), (200, &json!(1)), "{}", finished.body);
    assert_eq!((&finished.body["state"], &finished.body["by"]), (&json!("finished"), &json!({"kind": "fleet"})));
    assert_eq!(redrive(json!({ "all": true })).await.body, finished.body);
    assert_eq!(redrive(json!({"since": "2020-01-01T00:00:00Z"})).await.status, 409);
    assert_eq!(fixture.get(REDRIVE, &path).await.body, finished.body);
}
