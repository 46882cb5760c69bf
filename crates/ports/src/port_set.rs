//! Port sets: the implementations of all ports in one environment.

use crate::archive::{Archive, Quarantine};
use crate::bulk::{BulkFiles, ImportProgress, VehicleMappings};
use crate::bus::{DeliveryBus, IngestBus};
use crate::clients::{AppClients, Clients};
use crate::clock::{Clock, Randomness};
use crate::entitlements::Entitlements;
use crate::event_log::EventLog;
use crate::feed::{FeedIndex, FeedQueue};
use crate::fleets::Fleets;
use crate::packages::CustomPackages;
use crate::provisioning::{FleetChannel, ProvisioningWorkflow};
use crate::requests::{IdempotencyStore, RateCounter};
use crate::schemas::Schemas;
use crate::state::StateStore;
use crate::stream::TelemetryStream;
use crate::subscriptions::Subscriptions;
use crate::vehicles::{VehicleNames, Vehicles};

/// The implementations of all ports in one environment: AWS, memory, memory with faults, memory under a meter.
///
/// A use case has one type parameter, `Ports: PortSet`, and its fields name the ports that it uses, such as
/// `Ports::Archive`. A port set is a type without values: it only selects the types.
pub trait PortSet: Send + Sync + 'static {
    /// The app clients of the user pool.
    type AppClients: AppClients;
    /// The archive of stream records.
    type Archive: Archive;
    /// The uploaded files.
    type BulkFiles: BulkFiles;
    /// The registered clients.
    type Clients: Clients;
    /// The clock.
    type Clock: Clock + Clone;
    /// The custom packages.
    type CustomPackages: CustomPackages;
    /// The buses that deliver to fleets.
    type DeliveryBus: DeliveryBus;
    /// The entitlements of fleets to vehicles.
    type Entitlements: Entitlements;
    /// The event log.
    type EventLog: EventLog;
    /// The index of delivered events.
    type FeedIndex: FeedIndex;
    /// The queues of the feeds.
    type FeedQueue: FeedQueue;
    /// The queues and rules of fleets.
    type FleetChannel: FleetChannel;
    /// The fleets.
    type Fleets: Fleets;
    /// The responses to requests with an `Idempotency-Key`.
    type IdempotencyStore: IdempotencyStore;
    /// The checkpoints of imports.
    type ImportProgress: ImportProgress;
    /// The bus of validated events.
    type IngestBus: IngestBus;
    /// The workflows of provisioning and offboarding.
    type ProvisioningWorkflow: ProvisioningWorkflow;
    /// The quarantine of invalid items.
    type Quarantine: Quarantine;
    /// The source of random bits.
    type Randomness: Randomness;
    /// The request counts of fleets.
    type RateCounter: RateCounter;
    /// The schemas of custom events.
    type Schemas: Schemas;
    /// The last-known values of vehicles.
    type StateStore: StateStore;
    /// The subscriptions.
    type Subscriptions: Subscriptions;
    /// The stream of uploads.
    type TelemetryStream: TelemetryStream;
    /// The vehicles that files assign to fleets.
    type VehicleMappings: VehicleMappings;
    /// The names of vehicles.
    type VehicleNames: VehicleNames;
    /// The registered vehicles.
    type Vehicles: Vehicles;
}

/// The ports that every HTTP request uses, whatever its operation.
pub struct RequestPorts<Ports: PortSet> {
    /// The clients and their roles.
    pub clients: Ports::Clients,
    /// The fleets and their plans.
    pub fleets: Ports::Fleets,
    /// The request counts of the fleets.
    pub rate_counter: Ports::RateCounter,
    /// The responses to requests with an `Idempotency-Key`.
    pub idempotency_store: Ports::IdempotencyStore,
    /// The clock.
    pub clock: Ports::Clock,
}
