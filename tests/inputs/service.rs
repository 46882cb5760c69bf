//! The service in memory, with a vehicle, a fleet that is subscribed to it, and clients of each role.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::fleet::{Client as StoredClient, ClientRole};
use roadcast_domain::ids::{ClientId, FleetId, VehicleId};
use roadcast_domain::plan::Plan;
use roadcast_domain::vehicle::VehicleDetails;
use roadcast_lambda_kit::http::{Api, Invocation, respond};
use roadcast_ports::archive::RawRecord;
use roadcast_ports::clients::Clients as _;
use roadcast_ports::clock::Clock as _;
use roadcast_services::authz::{Admin, Proof as _, Sender};
use roadcast_services::bulk::ImportOutcome;
use roadcast_services::fleets::SubscriptionRequest;
use roadcast_services::fleets::provisioning::{Step as ProvisioningStep, Task};
use roadcast_services::stream::Record;
use roadcast_testbed::{ManualClock, Memory, MemoryBulk, ShardRecord, fixtures};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::apis::{Alerts, Apis, Catalogue, DeadLetters, Endpoints, Events, Feed, Fleets, Vehicles};
use crate::step::Request;

/// Who sends a request. Each is registered.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Client {
    /// An admin.
    Admin,
    /// The fleet.
    Fleet,
}

/// The service.
pub(crate) struct Service {
    pub(crate) memory: Memory,
    pub(crate) bulk: MemoryBulk,
    pub(crate) clock: ManualClock,
    pub(crate) vid: VehicleId,
    pub(crate) fleet_id: FleetId,
    apis: Apis,
    saved: BTreeMap<&'static str, String>,
    processed: usize,
}

impl Service {
    /// The time at which a row starts.
    pub(crate) const START: &str = "2026-01-01T12:00:00Z";
    /// The subject of events about the vehicle.
    pub(crate) const SUBJECT: &str = "test:car";

    /// Starts the service with a vehicle and a fleet that is subscribed to all of its signals.
    pub(crate) async fn start() -> Self {
        let clock = ManualClock::at(Timestamp::parse_rfc3339(Self::START).unwrap());
        let (memory, bulk) = (Memory::new(clock.clone()), MemoryBulk::default());
        let apis = Apis::new(&memory, &bulk, &clock);
        let caller = Caller::Admin(ClientId::new("admin"));
        let admin = Admin::prove(&caller).unwrap();
        let (vehicle, _) = apis.vehicles.registry.register(&Sender::prove(&caller).unwrap(), details()).await.unwrap();
        let fleet_id = apis.fleets.onboarding.create_fleet(&admin, "A fleet", Plan::Standard).await.unwrap().fleet_id;
        let packages = ["telematics", "track-and-trace", "diagnostics", "alerts", "ev-battery"];
        let request = json!({"vehicles": [vehicle.vid], "packages": packages, "deliveryFormat": "json"});
        let request: SubscriptionRequest = serde_json::from_value(request).unwrap();
        let subscription = apis.fleets.onboarding.subscribe(&admin, &fleet_id, request).await.unwrap();
        for step in [
            ProvisioningStep::EnsureQueue,
            ProvisioningStep::EnsureRule,
            ProvisioningStep::EnsureClient,
            ProvisioningStep::Activate,
        ] {
            memory.mark_feed_proven(&fleet_id);
            let (fleet_id, subscription_id) = (fleet_id.clone(), subscription.subscription_id.clone());
            let task = Task { step, fleet_id, subscription_id, attempt: 1, error: None };
            apis.provisioning.step(&task).await.unwrap();
        }
        let role = ClientRole::Fleet { fleet_id: fleet_id.clone() };
        let client = StoredClient::new(ClientId::new("fleet"), "fleet".to_owned(), role, clock.now());
        memory.put(&client, &fixtures::change(&fleet_id)).await.unwrap();
        let saved = BTreeMap::from([
            ("vid", vehicle.vid.to_string()),
            ("fleetId", fleet_id.to_string()),
            ("subscriptionId", subscription.subscription_id.to_string()),
        ]);
        Self { memory, bulk, clock, vid: vehicle.vid, fleet_id, apis, saved, processed: 0 }
    }

    /// Saves a text for `{name}` in later requests.
    pub(crate) fn save(&mut self, name: &'static str, text: String) {
        self.saved.insert(name, text);
    }

    fn fill(&self, text: &str) -> String {
        self.saved.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// Sends a request through the function that has its operation.
    pub(crate) async fn send(&self, request: &Request) -> Answer {
        let event = self.event(request);
        let has = |operations: &[(&str, &str)]| operations.contains(&(request.method, request.resource));
        let Self { apis, .. } = self;
        if has(&operations::<Events>()) {
            self.respond(&apis.events, &event).await
        } else if has(&operations::<Vehicles>()) {
            self.respond(&apis.vehicles, &event).await
        } else if has(&operations::<Alerts>()) {
            self.respond(&apis.alerts, &event).await
        } else if has(&operations::<Catalogue>()) {
            self.respond(&apis.catalogue, &event).await
        } else if has(&operations::<DeadLetters>()) {
            self.respond(&apis.dead_letters, &event).await
        } else if has(&operations::<Endpoints>()) {
            self.respond(&apis.endpoints, &event).await
        } else if has(&operations::<Feed>()) {
            self.respond(&apis.feed, &event).await
        } else if has(&operations::<Fleets>()) {
            self.respond(&apis.fleets, &event).await
        } else {
            panic!("no function has {} {}", request.method, request.resource)
        }
    }

    async fn respond<A: Api>(&self, api: &A, event: &Value) -> Answer {
        let invocation: Invocation = serde_json::from_str(&event.to_string()).unwrap();
        let response = respond(api, &self.apis.middleware, invocation, "test").await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let body = match &response.body()[..] {
            [] => Value::Null,
            bytes => serde_json::from_slice(bytes).unwrap_or_else(|_| text(bytes).into()),
        };
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
        Answer { status: response.status().as_u16(), headers, body }
    }

    /// Returns the event of API Gateway for a request. The body is in base64, as API Gateway sends bytes.
    fn event(&self, request: &Request) -> Value {
        let multi = |pairs: Vec<(&str, String)>| {
            let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (name, value) in pairs {
                values.entry(name.to_owned()).or_default().push(self.fill(&value));
            }
            values
        };
        let single = |values: &BTreeMap<String, Vec<String>>| -> BTreeMap<String, String> {
            values.iter().filter_map(|(name, values)| Some((name.clone(), values.last()?.clone()))).collect()
        };
        let (headers, query) = (multi(request.headers.clone()), multi(request.query.clone()));
        let mut path = single(&multi(vec![("vid", "{vid}".into()), ("fleetId", "{fleetId}".into())]));
        path.insert("subscriptionId".to_owned(), self.fill("{subscriptionId}"));
        path.extend(request.path.iter().map(|(name, value)| ((*name).to_owned(), self.fill(value))));
        let body = std::str::from_utf8(&request.body).map(|text| self.fill(text).into_bytes());
        let (client, scopes) = match request.client {
            Client::Admin => ("admin", "roadcast/admin"),
            Client::Fleet => ("fleet", "roadcast/read"),
        };
        json!({"resource": request.resource, "httpMethod": request.method, "pathParameters": path,
            "headers": single(&headers), "multiValueHeaders": headers,
            "queryStringParameters": single(&query), "multiValueQueryStringParameters": query,
            "body": STANDARD.encode(body.as_deref().unwrap_or(&request.body)), "isBase64Encoded": true,
            "requestContext": {"httpMethod": request.method, "resourcePath": request.resource,
                "authorizer": {"claims": {"client_id": client, "scope": scopes}}}})
    }

    /// Puts a record onto the stream.
    pub(crate) fn put(&self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).map(|text| self.fill(text).into_bytes());
        self.memory.stream().put_bytes(self.vid.as_str(), text.as_deref().unwrap_or(bytes));
    }

    /// Processes new records of the stream and delivers what they contain. Fails if a record must be retried.
    pub(crate) async fn process(&mut self) -> Result<(), String> {
        let records: Vec<Record> = self.memory.stream().records().into_iter().skip(self.processed).map(to_record).collect();
        let outcome = self.apis.processor.process_batch(&records).await;
        if outcome.retry_from.is_some() {
            return Err(format!("the batch must be retried: {:?}", outcome.failures));
        }
        self.processed += records.len();
        for entry in self.memory.take_published() {
            let events: Vec<&str> = entry.events.iter().map(String::as_str).collect();
            self.apis.enrichment.deliver(&events).await.map_err(|error| format!("{error:?}"))?;
        }
        Ok(())
    }

    /// Imports a bulk file. Returns its summary, and the lines of its report in `report`.
    pub(crate) async fn load(&self, name: &str, bytes: &[u8]) -> Result<Value, String> {
        let text = std::str::from_utf8(bytes).map(|text| self.fill(text).into_bytes());
        let file = self.bulk.upload(&format!("vin-map/{name}"), text.as_deref().unwrap_or(bytes), self.clock.now());
        let forever = Timestamp::from_ms(i64::MAX);
        let outcome = self.apis.import.import(&file, forever).await.map_err(|error| error.to_string())?;
        let ImportOutcome::Loaded(summary, _) = outcome else { return Err(format!("{outcome:?}")) };
        let report = self.bulk.object(&format!("reports/vin-map/{name}.report.ndjson")).unwrap_or_default();
        let lines = String::from_utf8_lossy(&report).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut found = serde_json::to_value(&*summary).unwrap();
        found["report"] = Value::Array(lines);
        Ok(found)
    }
}

fn operations<A: Api>() -> Vec<(&'static str, &'static str)> {
    A::OPERATIONS.iter().map(|operation| (operation.method, operation.resource)).collect()
}

fn details() -> VehicleDetails {
    serde_json::from_value(json!({"vin": "WVWZZZ3CZEE000001", "externalIds": [{"scheme": "test", "value": "car"}]})).unwrap()
}

fn to_record(ShardRecord { shard, sequence_number, partition_key, arrived_at, data }: ShardRecord) -> Record {
    Record { shard, raw: RawRecord { sequence_number, partition_key, arrived_at, data }.into() }
}
