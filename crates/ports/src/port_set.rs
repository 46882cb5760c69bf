//! Port sets: the implementations of all ports in one environment.

use crate::alert_notices::{NoticeBus, NoticeTopic, SentNotices};
use crate::alert_state::{AlertCheckpoints, ShardEvaluations};
use crate::alerts::{AlertRules, BackTestQueue, BackTests};
use crate::archive::{Archive, ArchivedBatches, Quarantine};
use crate::bulk::{BulkFiles, ImportProgress, VehicleMappings};
use crate::bus::{DeliveryBus, IngestBus};
use crate::clients::{AppClients, Clients};
use crate::clock::{Clock, Randomness};
use crate::dead_letters::{DeadLetterContents, DeadLetters, Redrives};
use crate::entitlements::Entitlements;
use crate::erasure::{Erasures, VehicleErasure};
use crate::event_log::EventLog;
use crate::feed::{FeedIndex, FeedQueue};
use crate::fleets::Fleets;
use crate::message_delay::MessageDelay;
use crate::packages::CustomPackages;
use crate::provisioning::{FeedProofs, FleetChannel, ProvisioningWorkflow};
use crate::redrive::{ArchivedRecords, RedriveTargets};
use crate::requests::{IdempotencyStore, RateCounter};
use crate::schemas::Schemas;
use crate::secrets::SecretSource;
use crate::state::StateStore;
use crate::stream::{StreamClock, StreamReader, TelemetryStream};
use crate::subscriptions::Subscriptions;
use crate::vehicles::{VehicleNames, Vehicles};
use crate::webhooks::{
    Attempts, Deliveries, DeliveryQueue, EndpointHealths, EndpointRedrives, Endpoints, FailedDeliveries, Sealer,
    WaitingDeliveries, WebhookSender,
};

/// The implementations of all ports in one environment: AWS, memory, memory with faults, memory under a meter.
///
/// A use case has one type parameter, `Ports: PortSet`, and its fields name the ports that it uses, such as
/// `Ports::Archive`. A port set is a type without values: it only selects the types.
pub trait PortSet: Send + Sync + 'static {
    /// The checkpoints of the evaluations of alert rules.
    type AlertCheckpoints: AlertCheckpoints;
    /// The alert rules.
    type AlertRules: AlertRules;
    /// The app clients of the user pool.
    type AppClients: AppClients;
    /// The attempts of webhook deliveries.
    type Attempts: Attempts;
    /// The archive of stream records.
    type Archive: Archive;
    /// The reads of the archive for restores.
    type ArchivedBatches: ArchivedBatches;
    /// The reads of the archive for redrives.
    type ArchivedRecords: ArchivedRecords;
    /// The queue of back-tests.
    type BackTestQueue: BackTestQueue;
    /// The back-tests.
    type BackTests: BackTests;
    /// The uploaded files.
    type BulkFiles: BulkFiles;
    /// The registered clients.
    type Clients: Clients;
    /// The clock.
    type Clock: Clock + Clone;
    /// The custom packages.
    type CustomPackages: CustomPackages;
    /// The bytes of dead letters.
    type DeadLetterContents: DeadLetterContents;
    /// The dead letters.
    type DeadLetters: DeadLetters;
    /// The webhook deliveries.
    type Deliveries: Deliveries;
    /// The queues of the dispatcher of webhooks.
    type DeliveryQueue: DeliveryQueue;
    /// The buses that deliver to fleets.
    type DeliveryBus: DeliveryBus;
    /// The health of webhook endpoints.
    type EndpointHealths: EndpointHealths;
    /// The redrives of webhook deliveries.
    type EndpointRedrives: EndpointRedrives;
    /// The webhook endpoints.
    type Endpoints: Endpoints;
    /// The entitlements of fleets to vehicles.
    type Entitlements: Entitlements;
    /// The records of erasures.
    type Erasures: Erasures;
    /// The event log.
    type EventLog: EventLog;
    /// The dead letters of webhook deliveries.
    type FailedDeliveries: FailedDeliveries;
    /// The index of delivered events.
    type FeedIndex: FeedIndex;
    /// The queues of the feeds.
    type FeedQueue: FeedQueue;
    /// The proofs that events pass to the feeds.
    type FeedProofs: FeedProofs;
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
    /// The delay of failed messages.
    type MessageDelay: MessageDelay;
    /// The ingest bus, for notices.
    type NoticeBus: NoticeBus;
    /// The topic of the operator's alerts.
    type NoticeTopic: NoticeTopic;
    /// The workflows of provisioning and offboarding.
    type ProvisioningWorkflow: ProvisioningWorkflow;
    /// The quarantine of invalid items.
    type Quarantine: Quarantine;
    /// The source of random bits.
    type Randomness: Randomness;
    /// The request counts of fleets.
    type RateCounter: RateCounter;
    /// The targets of redrives.
    type RedriveTargets: RedriveTargets;
    /// The redrives of dead letters.
    type Redrives: Redrives;
    /// The schemas of custom events.
    type Schemas: Schemas;
    /// The sealing of secrets of endpoints.
    type Sealer: Sealer;
    /// The secret of the stack.
    type SecretSource: SecretSource + Clone + 'static;
    /// Which notices were sent.
    type SentNotices: SentNotices;
    /// Which instance evaluates a shard of the stream.
    type ShardEvaluations: ShardEvaluations;
    /// The last-known values of vehicles.
    type StateStore: StateStore;
    /// The clock of the stream.
    type StreamClock: StreamClock;
    /// The reads of the stream beside its consumers.
    type StreamReader: StreamReader;
    /// The subscriptions.
    type Subscriptions: Subscriptions;
    /// The stream of uploads.
    type TelemetryStream: TelemetryStream;
    /// What erasures do to the stores.
    type VehicleErasure: VehicleErasure;
    /// The vehicles that files assign to fleets.
    type VehicleMappings: VehicleMappings;
    /// The names of vehicles.
    type VehicleNames: VehicleNames;
    /// The registered vehicles.
    type Vehicles: Vehicles;
    /// The deliveries that wait in the store.
    type WaitingDeliveries: WaitingDeliveries;
    /// The HTTP requests to webhook endpoints.
    type WebhookSender: WebhookSender;
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
    /// The secret of the stack, for cursors.
    pub secrets: Ports::SecretSource,
    /// The clock.
    pub clock: Ports::Clock,
}
