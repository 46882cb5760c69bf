//! The API of webhook endpoints: 256 MiB.

use roadcast_codec::bus_entry;
use roadcast_domain::Timestamp;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::caller::Caller;
use roadcast_domain::event::{Body, Event, Telemetry};
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{DeliveryId, Eid, EndpointId, FleetId, VehicleId};
use roadcast_domain::plan::Plan;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_domain::webhook::{
    Attempt, AttemptOutcome, Delivery, DeliveryKey, Endpoint, FailureReason, Payload, TargetRules,
};
use roadcast_endpoints_api::EndpointsApi;
use roadcast_lambda_kit::http::{Api as _, Invocation};
use roadcast_ports::fleets::Fleets;
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::webhooks::{Attempts, Deliveries, WebhookRequest};
use roadcast_services::authz::{Manager, Proof as _};
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::webhooks::attempts::AttemptQueries;
use roadcast_services::webhooks::endpoints::EndpointManagement;
use roadcast_services::webhooks::redrive::EndpointRedriver;
use roadcast_testbed::{InMemory, ManualClock, Memory, SeededRandomness, fixtures};
use serde_json::{Value as Json, json};

use crate::fixture::{at, numbers, samples};
use crate::peak::{MIB, assert_peak, peak};

const BOUND: usize = 64 * MIB;
/// The largest event that is stored in a delivery.
const MAX_EVENT_BYTES: usize = 344 * 1024;
const PAGE: usize = 100;

/// The API, a fleet and its subscription to a vehicle.
struct EndpointFixture {
    memory: Memory,
    api: EndpointsApi<InMemory>,
    fleet_id: FleetId,
    vid: VehicleId,
}

impl EndpointFixture {
    fn new() -> Self {
        let clock = ManualClock::at(at(3_600_000));
        let memory = Memory::new(clock.clone());
        let (m, k) = (|| memory.clone(), || clock.clone());
        let entitlements = || CachedEntitlements::new(m(), k());
        let (fleet_id, vid) = (FleetId::from_random_bits(1), VehicleId::from_random_bits(1));
        let fleet = Fleet::new(fleet_id.clone(), "A fleet".to_owned(), "delivery".to_owned(), Plan::Standard, at(0));
        let change = Change::fleet_changed(Author::Provisioning, None, &fleet, at(0));
        peak(Fleets::create(&memory, &fleet, &change)).0.unwrap();
        let packages = ["telematics", "track-and-trace", "ev-battery"];
        let subscription = fixtures::subscription(1, &fleet_id, vec![vid.clone()], &packages, at(0));
        let change = Change::subscription_changed(Author::Provisioning, None, &subscription);
        peak(Subscriptions::create(&memory, &subscription, &change)).0.unwrap();
        peak(memory.write_grants(&subscription)).0.unwrap();
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
        Self { memory, api, fleet_id, vid }
    }

    /// Creates an endpoint with the largest settings.
    fn create(&self) -> EndpointId {
        let manager = Manager::prove(&self.caller()).unwrap().of_fleet(&self.fleet_id).unwrap();
        let types: Vec<String> =
            (0..Endpoint::MAX_EVENT_TYPES).map(|n| format!("{}.t{n}.v1", ["com"; 20].join("."))).collect();
        let headers: serde_json::Map<String, Json> =
            (0..Endpoint::MAX_HEADERS).map(|n| (format!("x-{n}"), json!("v".repeat(180)))).collect();
        let settings = json!({
            "url": format!("https://hooks.example.com/{}", "p".repeat(2000)), "eventTypes": types, "headers": headers,
            "description": "d".repeat(Endpoint::MAX_DESCRIPTION_BYTES), "retrySchedule": vec![3600; 30],
        });
        let settings = serde_json::from_value(settings).unwrap();
        peak(self.api.endpoints.create(&manager, settings)).0.unwrap().0.endpoint_id
    }

    fn caller(&self) -> Caller {
        Caller::Fleet(self.fleet_id.clone())
    }

    /// Stores a failed delivery of an event, and an attempt of it.
    fn fail(&self, endpoint_id: &EndpointId, number: i64, cloud_event: &str) {
        let now = at(number);
        let key = DeliveryKey { endpoint_id: endpoint_id.clone(), delivery_id: DeliveryId::from_time_and_salt(now, 1) };
        let eid = Eid::for_event(&self.vid, "urn:test", &number.to_string(), now);
        let event_type = "roadcast.telemetry.v1".to_owned();
        let payload = Payload::Event {
            vid: self.vid.clone(),
            eid,
            event_type: event_type.clone(),
            cloud_event: cloud_event.to_owned(),
        };
        let failed = Delivery::new(key.clone(), self.fleet_id.clone(), payload, now);
        let failed = failed.failed(FailureReason::AttemptsExhausted, now);
        peak(Deliveries::put(&self.memory, &failed)).0.unwrap();
        let attempt = Attempt {
            key,
            fleet_id: self.fleet_id.clone(),
            vid: Some(self.vid.clone()),
            event_type,
            number: 1,
            at: now,
            outcome: AttemptOutcome::ErrorStatus,
            status: Some(500),
            latency_ms: 1,
            excerpt: Some("\u{1F600}".repeat(WebhookRequest::MAX_EXCERPT)),
            next_attempt_at: None,
        };
        peak(Attempts::record(&self.memory, &[attempt])).0.unwrap();
    }

    /// Sends a request of a client of the fleet. Returns the body.
    fn get(&self, input: &str, resource: &str, path: &Json) -> Json {
        let operations = EndpointsApi::<InMemory>::OPERATIONS.iter();
        let operation = operations.clone().find(|found| (found.method, found.resource) == ("GET", resource)).unwrap();
        let mut path = path.clone();
        path["fleetId"] = json!(self.fleet_id);
        let event = json!({"httpMethod": "GET", "pathParameters": path, "queryStringParameters": {"limit": PAGE.to_string()},
            "requestContext": {"httpMethod": "GET", "resourcePath": resource}});
        let request = serde_json::from_str::<Invocation>(&event.to_string()).unwrap().into_request().unwrap();
        let response = assert_peak(input, BOUND, operation.handle(&self.api, &request, &self.caller())).unwrap();
        serde_json::from_slice(response.body()).unwrap()
    }
}

/// An event of almost the largest size, in the form of the bus.
fn large_event(vid: &VehicleId, received: Timestamp) -> String {
    let encoded = |count: usize| {
        let body = Body::Telemetry(Telemetry { samples: samples(count, 0, 100, |n| numbers(27, n)).into() });
        let eid = Eid::for_event(vid, "urn:test", "large", at(0));
        let event = Event { eid, vid: vid.clone(), received, body };
        bus_entry::encode(&[&event], DeliveryFormat::Json, None).unwrap().remove(0).json
    };
    let per_sample = encoded(100).len() / 100;
    let event = encoded(MAX_EVENT_BYTES / per_sample - 5);
    assert!(event.len() > MAX_EVENT_BYTES * 9 / 10 && event.len() <= MAX_EVENT_BYTES, "{}", event.len());
    event
}

#[test]
fn attempts_of_large_events_are_bounded() {
    let fixture = EndpointFixture::new();
    let endpoint_id = fixture.create();
    let event = large_event(&fixture.vid, at(3_600_000));
    for number in 0..PAGE {
        fixture.fail(&endpoint_id, number as i64, &event);
    }
    let path = json!({ "endpointId": endpoint_id });
    let page = fixture.get("100 attempts of events of 344 KiB", "/fleets/{fleetId}/endpoints/{endpointId}/attempts", &path);
    assert_eq!(page["items"].as_array().unwrap().len(), PAGE);
}

#[test]
fn list_of_the_largest_endpoints_is_bounded() {
    let fixture = EndpointFixture::new();
    for _ in 0..Endpoint::MAX_PER_FLEET {
        fixture.create();
    }
    let list = fixture.get("20 endpoints of the largest size", "/fleets/{fleetId}/endpoints", &json!({}));
    assert_eq!(list["items"].as_array().unwrap().len(), Endpoint::MAX_PER_FLEET);
}
