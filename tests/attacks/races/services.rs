//! The functions and workflows on ports whose calls interleave.

use std::sync::Arc;

use roadcast_catalogue_api::CatalogueApi;
use roadcast_domain::ids::ClientId;
use roadcast_fleet_delivery::FleetDelivery;
use roadcast_lambda_kit::http::Middleware;
use roadcast_onboarding::OnboardingApi;
use roadcast_ports::port_set::RequestPorts;
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::catalogue::event_schemas::SchemaRegistration;
use roadcast_services::catalogue::packages::PackageCatalogue;
use roadcast_services::delivery::feed::{FeedReader, PollInterval};
use roadcast_services::erasure::ErasureRequests;
use roadcast_services::fleets::Onboarding;
use roadcast_services::fleets::offboarding::Offboarding;
use roadcast_services::fleets::provisioning::Provisioning;
use roadcast_services::fleets::receipts::Receipts;
use roadcast_services::query::{StateQueries, VehicleQueries};
use roadcast_services::vehicles::fleet_vehicles::FleetVehicles;
use roadcast_services::vehicles::registry::VehicleRegistry;
use roadcast_testbed::{Memory, SeededRandomness, port_set};
use roadcast_vehicles_api::VehiclesApi;

use super::interleaved::Interleaved;
use crate::deployment::Deployment;
use crate::request::{Answer, Request, answer, has_operation};

type M = Interleaved<Memory>;

port_set! {
    /// Ports in memory whose calls interleave.
    pub(crate) enum InterleavedPorts {
        AppClients = M;
        Clients = M;
        CustomPackages = M;
        Entitlements = M;
        EventLog = M;
        FeedIndex = M;
        FeedProofs = M;
        FeedQueue = M;
        FleetChannel = M;
        Fleets = M;
        IdempotencyStore = M;
        IngestBus = M;
        ProvisioningWorkflow = M;
        RateCounter = M;
        Schemas = M;
        StateStore = M;
        Subscriptions = M;
        Vehicles = M;
    }
}

/// Functions and workflows of a deployment, as one of several instances.
pub(crate) struct Services {
    vehicles: VehiclesApi<InterleavedPorts>,
    catalogue: CatalogueApi<InterleavedPorts>,
    feed: FleetDelivery<InterleavedPorts>,
    fleets: OnboardingApi<InterleavedPorts>,
    middleware: Middleware<InterleavedPorts>,
    pub(crate) provisioning: Provisioning<InterleavedPorts>,
    pub(crate) offboarding: Offboarding<InterleavedPorts>,
}

impl Services {
    /// Creates an instance whose calls take times of a seed.
    pub(crate) fn new(deployment: &Deployment, seed: u64) -> Self {
        let random = Arc::new(SeededRandomness::new(seed));
        let m = || Interleaved::new(deployment.memory.clone(), random.clone());
        let k = || deployment.clock.clone();
        let ids = |salt: u64| SeededRandomness::new(seed << 8 | salt);
        let entitlements = || CachedEntitlements::new(m(), k());
        let queries = VehicleQueries { vehicles: m(), entitlements: entitlements(), log: m(), clock: k() };
        let onboarding = Onboarding {
            fleets: m(),
            clients: m(),
            app_clients: m(),
            subscriptions: m(),
            vehicles: m(),
            entitlements: m(),
            workflow: m(),
            delivery_buses: roadcast_services::fleets::DeliveryBuses { first: "delivery".to_owned(), rules_per_bus: 300 },
            first_admin: Some(ClientId::new("admin")),
            clock: k(),
            randomness: ids(101),
        };
        let ports = RequestPorts {
            clients: m(),
            fleets: m(),
            rate_counter: m(),
            idempotency_store: m(),
            secrets: deployment.memory.clone(),
            clock: k(),
        };
        Self {
            vehicles: VehiclesApi {
                registry: VehicleRegistry { vehicles: m(), entitlements: m(), clock: k(), randomness: ids(102) },
                states: StateQueries { queries, state: m() },
            },
            catalogue: CatalogueApi {
                packages: PackageCatalogue { packages: m(), schemas: m(), clock: k() },
                schemas: SchemaRegistration { schemas: m(), clock: k() },
            },
            feed: FleetDelivery {
                feed_reader: FeedReader { queue: m(), entitlements: entitlements(), clock: k() },
                poll_interval: PollInterval::default(),
            },
            fleets: OnboardingApi {
                onboarding,
                receipts: Receipts { fleets: m(), subscriptions: m(), index: m(), entitlements: m(), clock: k() },
                erasures: ErasureRequests {
                    erasures: deployment.memory.clone(),
                    vehicles: m(),
                    workflow: m(),
                    clock: k(),
                    randomness: SeededRandomness::new(12),
                },
                fleet_vehicles: FleetVehicles { mappings: deployment.bulk.clone(), fleets: m() },
            },
            middleware: Middleware::new(ports).with_first_admin(Some(ClientId::new("admin"))),
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
                    randomness: ids(107),
                    wait_seconds: 0,
                },
                clock: k(),
            },
            offboarding: Offboarding {
                fleets: m(),
                clients: m(),
                app_clients: m(),
                subscriptions: m(),
                endpoints: deployment.memory.clone(),
                alert_rules: deployment.memory.clone(),
                channel: m(),
                clock: k(),
            },
        }
    }

    /// Sends a request to the function that has its operation.
    pub(crate) async fn send(&self, request: &Request) -> Answer {
        let event = request.event();
        let Self { vehicles, catalogue, feed, fleets, middleware, .. } = self;
        if has_operation::<VehiclesApi<InterleavedPorts>>(&event) {
            answer(vehicles, middleware, &event).await
        } else if has_operation::<CatalogueApi<InterleavedPorts>>(&event) {
            answer(catalogue, middleware, &event).await
        } else if has_operation::<FleetDelivery<InterleavedPorts>>(&event) {
            answer(feed, middleware, &event).await
        } else if has_operation::<OnboardingApi<InterleavedPorts>>(&event) {
            answer(fleets, middleware, &event).await
        } else {
            panic!("no function has the operation of {event:#}")
        }
    }
}
