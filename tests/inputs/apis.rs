//! The functions on ports in memory. The types of all use cases are named in this file only.

use roadcast_alerts_api::AlertsApi;
use roadcast_catalogue_api::CatalogueApi;
use roadcast_dead_letters_api::DeadLettersApi;
use roadcast_domain::ids::ClientId;
use roadcast_domain::webhook::TargetRules;
use roadcast_endpoints_api::EndpointsApi;
use roadcast_events_api::EventsApi;
use roadcast_fleet_delivery::FleetDelivery;
use roadcast_lambda_kit::http::Middleware;
use roadcast_onboarding::OnboardingApi;
use roadcast_ports::port_set::RequestPorts;
use roadcast_services::alerts::back_tests::BackTestManagement;
use roadcast_services::alerts::rules::AlertRuleManagement;
use roadcast_services::bulk::{DEFAULT_WINDOW_ROWS, VehicleImport};
use roadcast_services::cache::{CachedEntitlements, CachedFleets, CachedSubjects, CachedVehicles};
use roadcast_services::catalogue::event_schemas::{CachedSchemas, SchemaRegistration};
use roadcast_services::catalogue::packages::PackageCatalogue;
use roadcast_services::dead_letters::queries::DeadLetterQueries;
use roadcast_services::dead_letters::redrive::{LetterSender, Redriver};
use roadcast_services::delivery::enrichment::Enrichment;
use roadcast_services::delivery::feed::{FeedReader, PollInterval};
use roadcast_services::erasure::ErasureRequests;
use roadcast_services::fleets::Onboarding;
use roadcast_services::fleets::provisioning::Provisioning;
use roadcast_services::fleets::receipts::Receipts;
use roadcast_services::ingest::Ingest;
use roadcast_services::query::fleet_events::FleetEvents;
use roadcast_services::query::{StateQueries, VehicleQueries};
use roadcast_services::stream::{AlertReader, EventStore, EventValidator, Publisher, RecentEvents, StreamProcessor};
use roadcast_services::vehicles::fleet_vehicles::FleetVehicles;
use roadcast_services::vehicles::registry::VehicleRegistry;
use roadcast_services::webhooks::attempts::AttemptQueries;
use roadcast_services::webhooks::endpoints::EndpointManagement;
use roadcast_services::webhooks::redrive::EndpointRedriver;
use roadcast_testbed::{ManualClock, Memory, MemoryBulk, SeededRandomness, port_set};
use roadcast_vehicles_api::VehiclesApi;

type M = Memory;
type Clock = ManualClock;

port_set! {
    /// The ports in memory, with a log whose events a test can list.
    pub(crate) enum ListedPorts {
        EventLog = Memory;
    }
}

pub(crate) type Events = EventsApi<ListedPorts>;
pub(crate) type Vehicles = VehiclesApi<ListedPorts>;
pub(crate) type Alerts = AlertsApi<ListedPorts>;
pub(crate) type Catalogue = CatalogueApi<ListedPorts>;
pub(crate) type DeadLetters = DeadLettersApi<ListedPorts>;
pub(crate) type Endpoints = EndpointsApi<ListedPorts>;
pub(crate) type Feed = FleetDelivery<ListedPorts>;
pub(crate) type Fleets = OnboardingApi<ListedPorts>;
pub(crate) type MemoryMiddleware = Middleware<ListedPorts>;
pub(crate) type Processor = StreamProcessor<ListedPorts>;
pub(crate) type Delivery = Enrichment<ListedPorts>;
pub(crate) type Provisioner = Provisioning<ListedPorts>;
pub(crate) type Import = VehicleImport<ListedPorts>;

/// The functions, each of which is created once, like a warm instance.
pub(crate) struct Apis {
    pub(crate) events: Events,
    pub(crate) vehicles: Vehicles,
    pub(crate) alerts: Alerts,
    pub(crate) catalogue: Catalogue,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) endpoints: Endpoints,
    pub(crate) feed: Feed,
    pub(crate) fleets: Fleets,
    pub(crate) middleware: MemoryMiddleware,
    pub(crate) processor: Processor,
    pub(crate) enrichment: Delivery,
    pub(crate) provisioning: Provisioner,
    pub(crate) import: Import,
}

impl Apis {
    #[allow(clippy::too_many_lines)] // one construction for each function
    pub(crate) fn new(memory: &M, bulk: &MemoryBulk, clock: &Clock) -> Self {
        let m = || memory.clone();
        let k = || clock.clone();
        let entitlements = || CachedEntitlements::<ListedPorts>::new(m(), k());
        let registry =
            VehicleRegistry { vehicles: m(), entitlements: m(), clock: k(), randomness: SeededRandomness::new(1) };
        let onboarding = Onboarding {
            fleets: m(),
            clients: m(),
            app_clients: m(),
            subscriptions: m(),
            vehicles: m(),
            entitlements: m(),
            workflow: m(),
            delivery_buses: roadcast_services::fleets::DeliveryBuses { first: "delivery".to_owned(), rules_per_bus: 300 },
            first_admin: None,
            clock: k(),
            randomness: SeededRandomness::new(2),
        };
        Self {
            events: EventsApi {
                ingest: Ingest {
                    vehicles: CachedVehicles::new(m(), k()),
                    stream: m(),
                    schemas: CachedSchemas::new(m(), k()),
                    clock: k(),
                },
                queries: VehicleQueries { vehicles: m(), entitlements: entitlements(), log: m(), clock: k() },
                fleet_events: FleetEvents { entitlements: entitlements(), log: m(), index: m(), clock: k() },
            },
            vehicles: VehiclesApi {
                registry,
                states: StateQueries {
                    queries: VehicleQueries { vehicles: m(), entitlements: entitlements(), log: m(), clock: k() },
                    state: m(),
                },
            },
            alerts: alerts(memory, clock),
            catalogue: CatalogueApi {
                packages: PackageCatalogue { packages: m(), schemas: m(), clock: k() },
                schemas: SchemaRegistration { schemas: m(), clock: k() },
            },
            dead_letters: dead_letters(memory, clock),
            endpoints: endpoints(memory, clock),
            feed: FleetDelivery {
                feed_reader: FeedReader { queue: m(), entitlements: entitlements(), clock: k() },
                poll_interval: PollInterval::default(),
            },
            fleets: OnboardingApi {
                onboarding,
                receipts: Receipts { fleets: m(), subscriptions: m(), index: m(), entitlements: m(), clock: k() },
                erasures: ErasureRequests {
                    erasures: m(),
                    vehicles: m(),
                    workflow: m(),
                    clock: k(),
                    randomness: SeededRandomness::new(12),
                },
                fleet_vehicles: FleetVehicles { mappings: bulk.clone(), fleets: m() },
            },
            middleware: Middleware::new(RequestPorts {
                clients: m(),
                fleets: m(),
                rate_counter: m(),
                idempotency_store: m(),
                secrets: m(),
                clock: k(),
            })
            .with_first_admin(Some(ClientId::new("admin"))),
            processor: StreamProcessor {
                archive: m(),
                quarantine: m(),
                validator: EventValidator { subjects: CachedSubjects::new(m(), k()), schemas: CachedSchemas::new(m(), k()) },
                alerts: AlertReader { secrets: m() },
                publisher: Publisher { entitlements: entitlements(), bus: m(), clock: k() },
                store: EventStore { state: m(), log: m(), recent: RecentEvents::default() },
                clock: k(),
            },
            enrichment: Enrichment {
                entitlements: entitlements(),
                fleets: CachedFleets::new(m(), k()),
                bus: m(),
                index: m(),
                clock: k(),
            },
            provisioning: Provisioning {
                fleets: m(),
                clients: m(),
                app_clients: m(),
                subscriptions: m(),
                channel: m(),
                prober: roadcast_services::fleets::FeedProber {
                    proofs: m(),
                    bus: m(),
                    queue: m(),
                    clock: k(),
                    randomness: SeededRandomness::new(5),
                    wait_seconds: 0,
                },
                clock: k(),
            },
            import: VehicleImport {
                files: bulk.clone(),
                mappings: bulk.clone(),
                progress: bulk.clone(),
                vehicles: m(),
                vehicle_names: m(),
                fleets: CachedFleets::new(m(), k()),
                clock: k(),
                randomness: SeededRandomness::new(3),
                window_rows: DEFAULT_WINDOW_ROWS,
            },
        }
    }
}

fn alerts(memory: &M, clock: &Clock) -> Alerts {
    let (m, k) = (|| memory.clone(), || clock.clone());
    AlertsApi {
        rules: AlertRuleManagement { rules: m(), fleets: m(), clock: k(), randomness: SeededRandomness::new(6) },
        back_tests: BackTestManagement {
            back_tests: m(),
            queue: m(),
            rules: m(),
            fleets: m(),
            vehicles: m(),
            entitlements: CachedEntitlements::new(m(), k()),
            clock: k(),
            randomness: SeededRandomness::new(7),
        },
    }
}

fn dead_letters(memory: &M, clock: &Clock) -> DeadLetters {
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
    DeadLettersApi {
        queries: DeadLetterQueries { letters: m(), contents: m() },
        redriver: Redriver { letters: m(), redrives: m(), sender, clock: clock.clone() },
    }
}

fn endpoints(memory: &M, clock: &Clock) -> Endpoints {
    let (m, k) = (|| memory.clone(), || clock.clone());
    let entitlements = || CachedEntitlements::<ListedPorts>::new(m(), k());
    EndpointsApi {
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
            randomness: SeededRandomness::new(4),
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
    }
}
