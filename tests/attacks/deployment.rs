//! A deployment in memory: two fleets, each with a vehicle, and an ingest client with another. All of it is created by
//! requests of an admin.

use std::sync::atomic::{AtomicUsize, Ordering};

use roadcast_domain::Timestamp;
use roadcast_ports::archive::RawRecord;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::provisioning::WorkflowRun;
use roadcast_services::fleets::offboarding::{self, Offboarding};
use roadcast_services::fleets::provisioning;
use roadcast_services::stream::{BatchOutcome, Record};
use roadcast_testbed::{ManualClock, Memory, MemoryBulk, ShardRecord};
use serde_json::{Value, json};

use crate::apis::{Alerts, Apis, Catalogue, DeadLetters, Endpoints, Events, Feed, Fleets, ListedPorts, Vehicles};
use crate::request::{Answer, Request, Token, answer, has_operation, request};
use crate::webhooks::{self, WebhookIds};

/// The speed that the vehicle of the first fleet reports.
pub(crate) const SPEED: &str = "61.5";
/// The VIN of the vehicle of the first fleet.
pub(crate) const VIN: &str = "WVWZZZ3CZEE000001";

/// A fleet, its vehicle and its client.
pub(crate) struct FleetIds {
    pub(crate) fleet_id: String,
    pub(crate) subscription_id: String,
    pub(crate) vid: String,
    /// The id of the last event.
    pub(crate) eid: String,
    pub(crate) token: Token,
    pub(crate) webhook: WebhookIds,
}

/// The deployment.
pub(crate) struct Deployment {
    pub(crate) memory: Memory,
    pub(crate) bulk: MemoryBulk,
    pub(crate) clock: ManualClock,
    pub(crate) apis: Box<Apis>,
    pub(crate) admin: Token,
    pub(crate) ingest: Token,
    processed: AtomicUsize,
    workflows: AtomicUsize,
}

/// What a subscription of the first fleet contains.
pub(crate) struct Subscribed {
    pub(crate) packages: &'static [&'static str],
    pub(crate) valid_until: Option<&'static str>,
}

impl Deployment {
    /// The time at which a deployment starts.
    pub(crate) const START: &str = "2026-01-01T12:00:00Z";

    /// Creates a deployment with an admin and an ingest client.
    pub(crate) async fn start() -> Self {
        let clock = ManualClock::at(Timestamp::parse_rfc3339(Self::START).unwrap());
        let (memory, bulk) = (Memory::new(clock.clone()), MemoryBulk::default());
        memory.set_visibility_ms(100);
        let apis = Box::new(Apis::new(&memory, &bulk, &clock));
        let (processed, workflows) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (admin, ingest) = (Token::new("admin", "roadcast/admin"), Token::new("", "roadcast/ingest"));
        let mut deployment = Self { memory, bulk, clock, apis, admin, ingest, processed, workflows };
        let ingest = json!({"name": "A gateway", "kind": "ingest", "sources": ["urn:test"]});
        let client = deployment.created("/clients", &ingest).await;
        deployment.ingest = Token::new(client["clientId"].as_str().unwrap(), "roadcast/ingest");
        deployment
    }

    /// Creates a resource by a request of the admin, to a path without parameters.
    pub(crate) async fn created(&self, resource: &'static str, body: &Value) -> Value {
        let answer = self.send(&request("POST", resource).by(&self.admin).json(body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }

    /// Creates a fleet with a client and a subscription to a new vehicle, which has sent an event.
    pub(crate) async fn fleet(&self, name: &str, vin: &str, speed: &str, subscribed: &Subscribed) -> FleetIds {
        let vehicle = json!({"vin": vin, "externalIds": [{"scheme": "test", "value": name}]});
        let vid = self.created("/vehicles", &vehicle).await["vid"].as_str().unwrap().to_owned();
        let fleet = self.created("/fleets", &json!({"name": name, "plan": "plus"})).await;
        let fleet_id = fleet["fleetId"].as_str().unwrap().to_owned();
        let client = self.created("/clients", &json!({"name": name, "kind": "fleet", "fleetId": fleet_id})).await;
        let mut body = json!({"vehicles": [vid], "packages": subscribed.packages});
        if let Some(until) = subscribed.valid_until {
            body["validUntil"] = json!(until);
        }
        let create = request("POST", "/fleets/{fleetId}/subscriptions").path("fleetId", &fleet_id);
        let answer = self.send(&create.by(&self.admin).json(&body)).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let subscription_id = answer.json()["subscriptionId"].as_str().unwrap().to_owned();
        self.run_workflows().await;
        let signals = json!({"Vehicle.Speed": speed.parse::<f64>().unwrap(), "Vehicle.CurrentLocation.Latitude": 51.25});
        let eid = self.upload(&vid, "first", &signals).await;
        self.process().await;
        let token = Token::new(client["clientId"].as_str().unwrap(), "roadcast/read");
        let create = request("POST", "/fleets/{fleetId}/endpoints").path("fleetId", &fleet_id).by(&token);
        let endpoint = self.send(&create.json(&json!({"url": "https://hooks.example.com/"}))).await.json();
        let text = |name: &str| endpoint[name].as_str().unwrap().to_owned();
        let (endpoint_id, secret) = (text("endpointId"), text("secret"));
        let delivery_id = webhooks::store_delivery(&self.memory, &fleet_id, &vid, &eid, &endpoint_id).await;
        let webhook = WebhookIds { endpoint_id, secret, delivery_id };
        FleetIds { fleet_id, subscription_id, vid, eid, token, webhook }
    }

    /// Creates the fleet that is attacked.
    pub(crate) async fn first_fleet(&self, subscribed: &Subscribed) -> FleetIds {
        self.fleet("victim", VIN, SPEED, subscribed).await
    }

    /// Sends an event about a vehicle, and returns its eid.
    pub(crate) async fn upload(&self, vid: &str, id: &str, signals: &Value) -> String {
        let send = request("POST", "/vehicles/{vid}/events").path("vid", vid).by(&self.admin);
        let answer = self.send(&send.json(&event(id, signals)).header("content-type", "application/cloudevents+json")).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["accepted"][0]["eid"].as_str().unwrap().to_owned()
    }

    /// Sends a request to the function that has its operation.
    pub(crate) async fn send(&self, request: &Request) -> Answer {
        let event = request.event();
        self.answer(&event).await.unwrap_or_else(|| panic!("no function has the operation of {event:#}"))
    }

    /// Returns the answer to an event of the function that has its operation. None if no function has it.
    pub(crate) async fn answer(&self, event: &Value) -> Option<Answer> {
        let Apis { alerts, events, vehicles, catalogue, dead_letters, endpoints, feed, fleets, middleware, .. } =
            &*self.apis;
        if has_operation::<Alerts>(event) {
            Some(answer(alerts, middleware, event).await)
        } else if has_operation::<Events>(event) {
            Some(answer(events, middleware, event).await)
        } else if has_operation::<Vehicles>(event) {
            Some(answer(vehicles, middleware, event).await)
        } else if has_operation::<Catalogue>(event) {
            Some(answer(catalogue, middleware, event).await)
        } else if has_operation::<DeadLetters>(event) {
            Some(answer(dead_letters, middleware, event).await)
        } else if has_operation::<Endpoints>(event) {
            Some(answer(endpoints, middleware, event).await)
        } else if has_operation::<Feed>(event) {
            Some(answer(feed, middleware, event).await)
        } else if has_operation::<Fleets>(event) {
            Some(answer(fleets, middleware, event).await)
        } else {
            None
        }
    }

    /// Returns the answers of all functions to an event.
    pub(crate) async fn answers(&self, event: &Value) -> Vec<Answer> {
        let Apis { alerts, events, vehicles, catalogue, dead_letters, endpoints, feed, fleets, middleware, .. } =
            &*self.apis;
        vec![
            answer(alerts, middleware, event).await,
            answer(events, middleware, event).await,
            answer(vehicles, middleware, event).await,
            answer(catalogue, middleware, event).await,
            answer(dead_letters, middleware, event).await,
            answer(endpoints, middleware, event).await,
            answer(feed, middleware, event).await,
            answer(fleets, middleware, event).await,
        ]
    }

    /// Processes new records of the stream, and delivers what they contain.
    pub(crate) async fn process(&self) {
        let all = self.memory.stream().records();
        let start = self.processed.swap(all.len(), Ordering::Relaxed);
        let records: Vec<Record> = all.into_iter().skip(start).map(to_record).collect();
        self.process_batch(&records).await;
    }

    /// Processes a batch of records, and delivers what they contain.
    pub(crate) async fn process_batch(&self, records: &[Record]) -> BatchOutcome {
        let outcome = self.apis.processor.process_batch(records).await;
        assert_eq!(outcome.retry_from, None, "{:?}", outcome.failures);
        for entry in self.memory.take_published() {
            let events: Vec<&str> = entry.events.iter().map(String::as_str).collect();
            self.apis.enrichment.deliver(&events).await.unwrap();
        }
        outcome
    }

    /// Runs the workflows that were started, each to its end.
    pub(crate) async fn run_workflows(&self) {
        let runs = self.memory.workflows();
        let start = self.workflows.swap(runs.len(), Ordering::Relaxed);
        for run in &runs[start..] {
            match run {
                WorkflowRun::Provision { fleet_id, subscription_id, attempt } => {
                    use provisioning::Step::{Activate, EnsureClient, EnsureQueue, EnsureRule};
                    for step in [EnsureQueue, EnsureRule, EnsureClient, Activate] {
                        self.memory.mark_feed_proven(fleet_id);
                        let (fleet_id, subscription_id) = (fleet_id.clone(), subscription_id.clone());
                        let task = provisioning::Task { step, fleet_id, subscription_id, attempt: *attempt, error: None };
                        self.apis.provisioning.step(&task).await.unwrap();
                    }
                }
                WorkflowRun::Offboard { fleet_id, attempt } => {
                    use offboarding::Step::{Drain, Finish, RemoveClients, RemoveQueue, Revoke, StopDelivery};
                    for step in [StopDelivery, Drain, Revoke, RemoveQueue, RemoveClients, Finish] {
                        let task = offboarding::Task { step, fleet_id: fleet_id.clone(), attempt: *attempt, error: None };
                        self.offboarding().step(&task).await.unwrap();
                    }
                }
                // No attack erases vehicles: `services/tests/erasure` does.
                WorkflowRun::Erase { .. } => {}
            }
        }
    }

    fn offboarding(&self) -> Offboarding<ListedPorts> {
        let memory = || self.memory.clone();
        let (fleets, clients, app_clients) = (memory(), memory(), memory());
        let (subscriptions, endpoints, alert_rules, channel) = (memory(), memory(), memory(), memory());
        let clock = self.clock.clone();
        Offboarding { fleets, clients, app_clients, subscriptions, endpoints, alert_rules, channel, clock }
    }

    /// Returns everything that is stored, as text.
    pub(crate) fn stored(&self) -> String {
        format!("{:?}\n{:?}\n{:?}", self.memory, self.bulk, self.clock.now())
    }
}

/// Returns a telemetry event with one sample.
pub(crate) fn event(id: &str, signals: &Value) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "urn:test", "type": "roadcast.telemetry.v1", "time": Deployment::START,
        "data": {"samples": [{"at": Deployment::START, "signals": signals}]}})
}

/// Returns the request that reads the feed of a fleet.
pub(crate) fn read_feed(fleet_id: &str, token: &Token) -> Request {
    request("POST", "/fleets/{fleetId}/feed").path("fleetId", fleet_id).by(token).json(&json!({}))
}

/// Returns the request that acknowledges what a read of the feed returned.
pub(crate) fn acknowledge_feed(fleet_id: &str, token: &Token, ack: &Value) -> Request {
    request("POST", "/fleets/{fleetId}/feed/ack").path("fleetId", fleet_id).by(token).json(&json!({ "ack": ack }))
}

fn to_record(ShardRecord { shard, sequence_number, partition_key, arrived_at, data }: ShardRecord) -> Record {
    Record { shard, raw: RawRecord { sequence_number, partition_key, arrived_at, data }.into() }
}
