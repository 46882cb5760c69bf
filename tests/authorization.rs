//! Every operation is called by every kind of caller: with 401 or 403 exactly where the contract's `security` says so, and as
//! `docs/authorization.md` lists.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::fleet::ClientRole;
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_domain::plan::Plan;
use roadcast_domain::webhook::TargetRules;
use roadcast_event_log::SegmentedLog;
use roadcast_lambda_kit::http::{Api, Invocation, Middleware, respond};
use roadcast_ports::port_set::RequestPorts;
use roadcast_services::alerts::back_tests::BackTestManagement;
use roadcast_services::alerts::rules::AlertRuleManagement;
use roadcast_services::authz::{Admin, Proof as _};
use roadcast_services::cache::{CachedEntitlements, CachedVehicles};
use roadcast_services::catalogue::event_schemas::{CachedSchemas, SchemaRegistration};
use roadcast_services::catalogue::packages::PackageCatalogue;
use roadcast_services::dead_letters::queries::DeadLetterQueries;
use roadcast_services::dead_letters::redrive::{LetterSender, Redriver};
use roadcast_services::delivery::feed::{FeedReader, PollInterval};
use roadcast_services::erasure::ErasureRequests;
use roadcast_services::fleets::receipts::Receipts;
use roadcast_services::ingest::Ingest;
use roadcast_services::query::fleet_events::FleetEvents;
use roadcast_services::query::{StateQueries, VehicleQueries};
use roadcast_services::vehicles::fleet_vehicles::FleetVehicles;
use roadcast_services::vehicles::registry::VehicleRegistry;
use roadcast_services::webhooks::attempts::AttemptQueries;
use roadcast_services::webhooks::endpoints::EndpointManagement;
use roadcast_services::webhooks::redrive::EndpointRedriver;
use roadcast_testbed::{InMemory, ManualClock, Memory, MemoryBulk, MemoryItems, SeededRandomness};
use serde_json::{Value, json};

use super::{Alerts, Catalogue, DeadLetters, Endpoints, Events, Feed, Onboarding, Vehicles, contract_operations, read};

const PAGE: &str = "docs/authorization.md";

/// The clients of a deployment in memory, and the functions on it.
struct Deployment {
    memory: Memory,
    clock: ManualClock,
    fleet_id: FleetId,
    /// A client of the fleet.
    fleet: ClientId,
    /// A client of another fleet.
    stranger: ClientId,
    ingest: ClientId,
    admin: ClientId,
}

impl Deployment {
    async fn new() -> Self {
        let clock = ManualClock::default();
        let memory = Memory::new(clock.clone());
        let onboarding = onboarding(&memory, &clock).onboarding;
        let admin = Admin::prove(&Caller::Admin(ClientId::new("admin"))).unwrap();
        let client = async |role| onboarding.create_client(&admin, "client", role).await.unwrap().0.client_id;
        let fleet = async |name| onboarding.create_fleet(&admin, name, Plan::Standard).await.unwrap().fleet_id;
        let (fleet_id, other) = (fleet("one").await, fleet("two").await);
        let (fleet, stranger) = (
            client(ClientRole::Fleet { fleet_id: fleet_id.clone() }).await,
            client(ClientRole::Fleet { fleet_id: other }).await,
        );
        let ingest = client(ClientRole::Ingest { sources: vec!["urn:a".to_owned()] }).await;
        let admin = client(ClientRole::Admin).await;
        Self { memory, clock, fleet_id, fleet, stranger, ingest, admin }
    }

    /// Calls each operation of an API as each caller. `statuses` gets the statuses by method and path.
    async fn call_all<A: Api>(&self, api: &A, statuses: &mut BTreeMap<(String, String), Statuses>) {
        let (memory, clock) = (|| self.memory.clone(), self.clock.clone());
        let ports = RequestPorts {
            clients: memory(),
            fleets: memory(),
            rate_counter: memory(),
            idempotency_store: memory(),
            secrets: memory(),
            clock,
        };
        let middleware = Middleware::<InMemory>::new(ports);
        for operation in A::OPERATIONS {
            let status = async |token: Option<(&ClientId, Scope)>| {
                let event = self.event(operation.method, operation.resource, token).to_string();
                let invocation: Invocation = serde_json::from_str(&event).unwrap();
                respond(api, &middleware, invocation, "r-1").await.status().as_u16()
            };
            let statuses_of = Statuses {
                anonymous: status(None).await,
                fleet: status(Some((&self.fleet, Scope::Read))).await,
                stranger: status(Some((&self.stranger, Scope::Read))).await,
                ingest: status(Some((&self.ingest, Scope::Ingest))).await,
                // The last one, because it may change what the others find.
                admin: status(Some((&self.admin, Scope::Admin))).await,
            };
            statuses.insert((operation.method.to_owned(), operation.resource.to_owned()), statuses_of);
        }
    }

    /// An event of API Gateway with path parameters that no resource has, except the fleet.
    fn event(&self, method: &str, resource: &str, token: Option<(&ClientId, Scope)>) -> Value {
        let parameters = resource.split('{').skip(1).filter_map(|part| part.split('}').next());
        let value = |name: &str| match name {
            "fleetId" => json!(self.fleet_id),
            "vid" => json!("veh_0000000000000009"),
            "subscriptionId" => json!("sub_0000000000000009"),
            "endpointId" => json!("end_0000000000000009"),
            "ruleId" => json!("rul_0000000000000009"),
            "backTestId" => json!("bkt_0000000000000009"),
            _ => json!("none"),
        };
        let path: serde_json::Map<String, Value> = parameters.map(|name| (name.to_owned(), value(name))).collect();
        let authorizer = token.map(|(client, scope)| json!({"claims": {"client_id": client, "scope": scope.as_str()}}));
        json!({"resource": resource, "httpMethod": method, "headers": {}, "pathParameters": path, "body": "{}",
            "requestContext": {"resourcePath": resource, "httpMethod": method, "authorizer": authorizer.unwrap_or(json!({}))}})
    }
}

/// The status of the response to each caller of an operation.
struct Statuses {
    anonymous: u16,
    admin: u16,
    fleet: u16,
    stranger: u16,
    ingest: u16,
}

fn onboarding(memory: &Memory, clock: &ManualClock) -> Onboarding {
    let memory = || memory.clone();
    Onboarding {
        onboarding: roadcast_services::fleets::Onboarding {
            fleets: memory(),
            clients: memory(),
            app_clients: memory(),
            subscriptions: memory(),
            vehicles: memory(),
            entitlements: memory(),
            workflow: memory(),
            delivery_buses: roadcast_services::fleets::DeliveryBuses { first: "delivery".to_owned(), rules_per_bus: 300 },
            first_admin: None,
            clock: clock.clone(),
            randomness: SeededRandomness::new(1),
        },
        receipts: Receipts {
            fleets: memory(),
            subscriptions: memory(),
            index: memory(),
            entitlements: memory(),
            clock: clock.clone(),
        },
        erasures: ErasureRequests {
            erasures: memory(),
            vehicles: memory(),
            workflow: memory(),
            clock: clock.clone(),
            randomness: SeededRandomness::new(2),
        },
        fleet_vehicles: FleetVehicles { mappings: MemoryBulk::default(), fleets: memory() },
    }
}

fn events(memory: &Memory, clock: &ManualClock) -> Events {
    let entitlements = || CachedEntitlements::new(memory.clone(), clock.clone());
    let log = || SegmentedLog { items: MemoryItems::default() };
    Events {
        ingest: Ingest {
            vehicles: CachedVehicles::new(memory.clone(), clock.clone()),
            stream: memory.clone(),
            schemas: CachedSchemas::new(memory.clone(), clock.clone()),
            clock: clock.clone(),
        },
        queries: queries(memory, clock),
        fleet_events: FleetEvents { entitlements: entitlements(), log: log(), index: memory.clone(), clock: clock.clone() },
    }
}

fn queries(memory: &Memory, clock: &ManualClock) -> VehicleQueries<InMemory> {
    VehicleQueries {
        vehicles: memory.clone(),
        entitlements: CachedEntitlements::new(memory.clone(), clock.clone()),
        log: SegmentedLog { items: MemoryItems::default() },
        clock: clock.clone(),
    }
}

fn vehicles(memory: &Memory, clock: &ManualClock) -> Vehicles {
    Vehicles {
        registry: VehicleRegistry {
            vehicles: memory.clone(),
            entitlements: memory.clone(),
            clock: clock.clone(),
            randomness: SeededRandomness::new(2),
        },
        states: StateQueries { queries: queries(memory, clock), state: memory.clone() },
    }
}

fn catalogue(memory: &Memory, clock: &ManualClock) -> Catalogue {
    Catalogue {
        packages: PackageCatalogue { packages: memory.clone(), schemas: memory.clone(), clock: clock.clone() },
        schemas: SchemaRegistration { schemas: memory.clone(), clock: clock.clone() },
    }
}

fn dead_letters(memory: &Memory, clock: &ManualClock) -> DeadLetters {
    let m = || memory.clone();
    let sender = LetterSender {
        contents: m(),
        archive: m(),
        targets: m(),
        stream: m(),
        bus: m(),
        fleets: m(),
        deliveries: m(),
        endpoints: m(),
        tasks: m(),
    };
    DeadLetters {
        queries: DeadLetterQueries { letters: m(), contents: m() },
        redriver: Redriver { letters: m(), redrives: m(), sender, clock: clock.clone() },
    }
}

fn endpoints(memory: &Memory, clock: &ManualClock) -> Endpoints {
    let m = || memory.clone();
    let entitlements = || CachedEntitlements::new(memory.clone(), clock.clone());
    Endpoints {
        endpoints: EndpointManagement {
            endpoints: m(),
            fleets: m(),
            entitlements: entitlements(),
            health: m(),
            deliveries: m(),
            queue: m(),
            sealer: m(),
            rules: TargetRules::default(),
            clock: clock.clone(),
            randomness: SeededRandomness::new(3),
        },
        attempts: AttemptQueries {
            endpoints: m(),
            attempts: m(),
            deliveries: m(),
            entitlements: entitlements(),
            clock: clock.clone(),
        },
        redriver: EndpointRedriver { endpoints: m(), deliveries: m(), queue: m(), redrives: m(), clock: clock.clone() },
        clock: clock.clone(),
    }
}

fn alerts(memory: &Memory, clock: &ManualClock) -> Alerts {
    let m = || memory.clone();
    let rules = AlertRuleManagement { rules: m(), fleets: m(), clock: clock.clone(), randomness: SeededRandomness::new(4) };
    let back_tests = BackTestManagement {
        back_tests: m(),
        queue: m(),
        rules: m(),
        fleets: m(),
        vehicles: m(),
        entitlements: CachedEntitlements::new(memory.clone(), clock.clone()),
        clock: clock.clone(),
        randomness: SeededRandomness::new(5),
    };
    Alerts { rules, back_tests }
}

fn feed(memory: &Memory, clock: &ManualClock) -> Feed {
    let entitlements = CachedEntitlements::new(memory.clone(), clock.clone());
    let feed_reader = FeedReader { queue: memory.clone(), entitlements, clock: clock.clone() };
    Feed { feed_reader, poll_interval: PollInterval::default() }
}

/// The statuses of every operation for every caller.
async fn all_statuses() -> BTreeMap<(String, String), Statuses> {
    let deployment = Deployment::new().await;
    let Deployment { memory, clock, .. } = &deployment;
    let mut statuses = BTreeMap::new();
    deployment.call_all(&events(memory, clock), &mut statuses).await;
    deployment.call_all(&vehicles(memory, clock), &mut statuses).await;
    deployment.call_all(&catalogue(memory, clock), &mut statuses).await;
    deployment.call_all(&alerts(memory, clock), &mut statuses).await;
    deployment.call_all(&dead_letters(memory, clock), &mut statuses).await;
    deployment.call_all(&endpoints(memory, clock), &mut statuses).await;
    deployment.call_all(&feed(memory, clock), &mut statuses).await;
    deployment.call_all(&onboarding(memory, clock), &mut statuses).await;
    statuses
}

#[tokio::test]
async fn callers_are_refused_exactly_where_the_contract_says_so() {
    let statuses = all_statuses().await;
    let contract = contract_operations();
    assert_eq!(statuses.keys().collect::<Vec<_>>(), contract.keys().collect::<Vec<_>>());
    for (operation, (_, scopes)) in &contract {
        let found = &statuses[operation];
        let is_open = scopes.is_empty();
        assert_eq!(found.anonymous == 401, !is_open, "{operation:?} without a token: {}", found.anonymous);
        let roles = [(Scope::Admin, found.admin), (Scope::Read, found.fleet), (Scope::Ingest, found.ingest)];
        for (scope, status) in roles {
            let is_permitted = is_open || scopes.contains(scope.as_str());
            assert_eq!(status == 403, !is_permitted, "{operation:?} with {scope:?}: {status}");
            assert!(status != 401 && status < 500, "{operation:?} with {scope:?}: {status}");
        }
    }
}

#[tokio::test]
async fn fleet_is_not_found_by_clients_of_another_fleet() {
    for ((method, resource), found) in all_statuses().await {
        if resource.starts_with("/fleets/{fleetId}") && found.fleet != 403 {
            assert_eq!(found.stranger, 404, "{method} {resource}");
        }
    }
}

#[tokio::test]
async fn page_lists_who_may_call_which_operation() {
    let mut table = String::from("| operation | admin | client of a fleet | ingest client |\n|---|---|---|---|\n");
    for ((method, resource), found) in all_statuses().await {
        let mark = |status: u16| if status == 403 { "no" } else { "yes" };
        let (admin, fleet, ingest) = (mark(found.admin), mark(found.fleet), mark(found.ingest));
        let _ = writeln!(table, "| `{method} {resource}` | {admin} | {fleet} | {ingest} |");
    }
    assert!(read(PAGE).contains(&table), "the table in {PAGE} must be:\n{table}");
}

/// A look at the role of a caller outside of `authz` would be a second place that decides who may do what.
#[test]
fn only_authz_looks_at_the_role_of_a_caller() {
    let is_test = |file: &str| file.contains("/tests");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in a folder of the project");
    let mut checked = 0;
    for folder in ["crates/services/src", "functions"] {
        let mut folders = vec![root.join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
                let file = entry.strip_prefix(root).unwrap_or(&entry).to_string_lossy().into_owned();
                if entry.is_dir() {
                    folders.push(entry);
                } else if entry.extension().is_some_and(|extension| extension == "rs")
                    && !file.contains("/authz")
                    && !is_test(&file)
                {
                    let text = std::fs::read_to_string(&entry).unwrap();
                    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                    assert!(!code.contains("Caller::"), "{file}: take a proof of `authz` in place of the caller");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 50, "{checked} files were checked");
}
