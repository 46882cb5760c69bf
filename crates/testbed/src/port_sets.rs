//! Port sets in memory.

use roadcast_event_log::SegmentedLog;

use crate::{Faulty, Memory, MemoryErasure, MemoryItems, MemoryQueue};

/// The adapter of each port in memory, by the name of the port.
pub mod memory_adapters {
    use roadcast_event_log::SegmentedLog;

    use crate::{
        ManualClock, Memory, MemoryBulk, MemoryErasure, MemoryItems, MemoryQueue, SeededRandomness, WebhookReceiver,
    };

    /// Implements the port in memory.
    pub type AlertCheckpoints = Memory;
    /// Implements the port in memory.
    pub type AlertRules = Memory;
    /// Implements the port in memory.
    pub type AppClients = Memory;
    /// Implements the port in memory.
    pub type Archive = Memory;
    /// Implements the port in memory.
    pub type ArchivedBatches = Memory;
    /// Implements the port in memory.
    pub type ArchivedRecords = Memory;
    /// Implements the port in memory.
    pub type Attempts = Memory;
    /// Implements the port in memory.
    pub type BackTestQueue = Memory;
    /// Implements the port in memory.
    pub type BackTests = Memory;
    /// Implements the port in memory.
    pub type BulkFiles = MemoryBulk;
    /// Implements the port in memory.
    pub type Clients = Memory;
    /// Implements the port in memory.
    pub type Clock = ManualClock;
    /// Implements the port in memory.
    pub type CustomPackages = Memory;
    /// Implements the port in memory.
    pub type DeadLetterContents = Memory;
    /// Implements the port in memory.
    pub type DeadLetters = Memory;
    /// Implements the port in memory.
    pub type Deliveries = Memory;
    /// Implements the port in memory.
    pub type DeliveryBus = Memory;
    /// Implements the port in memory.
    pub type DeliveryQueue = Memory;
    /// Implements the port in memory.
    pub type EndpointHealths = Memory;
    /// Implements the port in memory.
    pub type EndpointRedrives = Memory;
    /// Implements the port in memory.
    pub type Endpoints = Memory;
    /// Implements the port in memory.
    pub type Entitlements = Memory;
    /// Implements the port in memory.
    pub type Erasures = Memory;
    /// Implements the port in memory.
    pub type EventLog = SegmentedLog<MemoryItems>;
    /// Implements the port in memory.
    pub type FailedDeliveries = Memory;
    /// Implements the port in memory.
    pub type FeedIndex = Memory;
    /// Implements the port in memory.
    pub type FeedProofs = Memory;
    /// Implements the port in memory.
    pub type FeedQueue = Memory;
    /// Implements the port in memory.
    pub type FleetChannel = Memory;
    /// Implements the port in memory.
    pub type Fleets = Memory;
    /// Implements the port in memory.
    pub type IdempotencyStore = Memory;
    /// Implements the port in memory.
    pub type ImportProgress = MemoryBulk;
    /// Implements the port in memory.
    pub type IngestBus = Memory;
    /// Implements the port in memory.
    pub type MessageDelay = MemoryQueue;
    /// Implements the port in memory.
    pub type NoticeBus = Memory;
    /// Implements the port in memory.
    pub type NoticeTopic = Memory;
    /// Implements the port in memory.
    pub type ProvisioningWorkflow = Memory;
    /// Implements the port in memory.
    pub type Quarantine = Memory;
    /// Implements the port in memory.
    pub type Randomness = SeededRandomness;
    /// Implements the port in memory.
    pub type RateCounter = Memory;
    /// Implements the port in memory.
    pub type RedriveTargets = Memory;
    /// Implements the port in memory.
    pub type Redrives = Memory;
    /// Implements the port in memory.
    pub type Schemas = Memory;
    /// Implements the port in memory.
    pub type Sealer = Memory;
    /// Implements the port in memory.
    pub type SecretSource = Memory;
    /// Implements the port in memory.
    pub type SentNotices = Memory;
    /// Implements the port in memory.
    pub type ShardEvaluations = Memory;
    /// Implements the port in memory.
    pub type StateStore = Memory;
    /// Implements the port in memory.
    pub type StreamClock = Memory;
    /// Implements the port in memory.
    pub type StreamReader = Memory;
    /// Implements the port in memory.
    pub type Subscriptions = Memory;
    /// Implements the port in memory.
    pub type TelemetryStream = Memory;
    /// Implements the port in memory.
    pub type VehicleErasure = MemoryErasure;
    /// Implements the port in memory.
    pub type VehicleMappings = MemoryBulk;
    /// Implements the port in memory.
    pub type VehicleNames = Memory;
    /// Implements the port in memory.
    pub type Vehicles = Memory;
    /// Implements the port in memory.
    pub type WaitingDeliveries = Memory;
    /// Implements the port in memory.
    pub type WebhookSender = WebhookReceiver;
}

/// Declares a port set in memory. A port that is listed has the given type, every other one its type of [`InMemory`].
///
/// ```
/// use roadcast_testbed::{Faulty, Memory, port_set};
///
/// port_set! {
///     /// Ports in memory whose archive can fail.
///     enum WithFaultyArchive {
///         Archive = Faulty<Memory>;
///     }
/// }
/// ```
#[macro_export]
macro_rules! port_set {
    ($(#[$attribute:meta])* $visibility:vis enum $name:ident { $($port:ident = $adapter:ty;)* }) => {
        $(#[$attribute])*
        #[derive(Debug)]
        $visibility enum $name {}

        // The aliases hide those that are imported with `*`.
        const _: () = {
            #[allow(unused_imports)] // if all of them are hidden
            use $crate::port_sets::memory_adapters::*;

            $(type $port = $adapter;)*

            impl $crate::PortSet for $name {
                type AlertCheckpoints = AlertCheckpoints;
                type AlertRules = AlertRules;
                type AppClients = AppClients;
                type Archive = Archive;
                type ArchivedBatches = ArchivedBatches;
                type ArchivedRecords = ArchivedRecords;
                type Attempts = Attempts;
                type BackTestQueue = BackTestQueue;
                type BackTests = BackTests;
                type BulkFiles = BulkFiles;
                type Clients = Clients;
                type Clock = Clock;
                type CustomPackages = CustomPackages;
                type DeadLetterContents = DeadLetterContents;
                type DeadLetters = DeadLetters;
                type Deliveries = Deliveries;
                type DeliveryBus = DeliveryBus;
                type DeliveryQueue = DeliveryQueue;
                type EndpointHealths = EndpointHealths;
                type EndpointRedrives = EndpointRedrives;
                type Endpoints = Endpoints;
                type Entitlements = Entitlements;
                type Erasures = Erasures;
                type EventLog = EventLog;
                type FailedDeliveries = FailedDeliveries;
                type FeedIndex = FeedIndex;
                type FeedProofs = FeedProofs;
                type FeedQueue = FeedQueue;
                type FleetChannel = FleetChannel;
                type Fleets = Fleets;
                type IdempotencyStore = IdempotencyStore;
                type ImportProgress = ImportProgress;
                type IngestBus = IngestBus;
                type MessageDelay = MessageDelay;
                type NoticeBus = NoticeBus;
                type NoticeTopic = NoticeTopic;
                type ProvisioningWorkflow = ProvisioningWorkflow;
                type Quarantine = Quarantine;
                type Randomness = Randomness;
                type RateCounter = RateCounter;
                type RedriveTargets = RedriveTargets;
                type Redrives = Redrives;
                type Schemas = Schemas;
                type Sealer = Sealer;
                type SecretSource = SecretSource;
                type SentNotices = SentNotices;
                type ShardEvaluations = ShardEvaluations;
                type StateStore = StateStore;
                type StreamClock = StreamClock;
                type StreamReader = StreamReader;
                type Subscriptions = Subscriptions;
                type TelemetryStream = TelemetryStream;
                type VehicleErasure = VehicleErasure;
                type VehicleMappings = VehicleMappings;
                type VehicleNames = VehicleNames;
                type Vehicles = Vehicles;
                type WaitingDeliveries = WaitingDeliveries;
                type WebhookSender = WebhookSender;
            }
        };
    };
}

port_set! {
    /// The ports in memory.
    pub enum InMemory {}
}

port_set! {
    /// The ports in memory, with the faults of a [`FaultPlan`](crate::FaultPlan) wherever [`Faulty`] implements the port.
    pub enum WithFaults {
        AlertCheckpoints = Faulty<Memory>;
        AlertRules = Faulty<Memory>;
        AppClients = Faulty<Memory>;
        Archive = Faulty<Memory>;
        ArchivedBatches = Faulty<Memory>;
        Attempts = Faulty<Memory>;
        BackTestQueue = Faulty<Memory>;
        BackTests = Faulty<Memory>;
        Clients = Faulty<Memory>;
        CustomPackages = Faulty<Memory>;
        DeadLetterContents = Faulty<Memory>;
        DeadLetters = Faulty<Memory>;
        Deliveries = Faulty<Memory>;
        DeliveryBus = Faulty<Memory>;
        DeliveryQueue = Faulty<Memory>;
        EndpointHealths = Faulty<Memory>;
        EndpointRedrives = Faulty<Memory>;
        Endpoints = Faulty<Memory>;
        Entitlements = Faulty<Memory>;
        Erasures = Faulty<Memory>;
        EventLog = SegmentedLog<Faulty<MemoryItems>>;
        FailedDeliveries = Faulty<Memory>;
        FeedIndex = Faulty<Memory>;
        FeedProofs = Faulty<Memory>;
        FeedQueue = Faulty<Memory>;
        FleetChannel = Faulty<Memory>;
        Fleets = Faulty<Memory>;
        IdempotencyStore = Faulty<Memory>;
        IngestBus = Faulty<Memory>;
        MessageDelay = Faulty<MemoryQueue>;
        NoticeBus = Faulty<Memory>;
        NoticeTopic = Faulty<Memory>;
        ProvisioningWorkflow = Faulty<Memory>;
        Quarantine = Faulty<Memory>;
        RateCounter = Faulty<Memory>;
        RedriveTargets = Faulty<Memory>;
        Redrives = Faulty<Memory>;
        Schemas = Faulty<Memory>;
        Sealer = Faulty<Memory>;
        SecretSource = Faulty<Memory>;
        SentNotices = Faulty<Memory>;
        ShardEvaluations = Faulty<Memory>;
        StateStore = Faulty<Memory>;
        StreamReader = Faulty<Memory>;
        Subscriptions = Faulty<Memory>;
        TelemetryStream = Faulty<Memory>;
        VehicleErasure = Faulty<MemoryErasure>;
        Vehicles = Faulty<Memory>;
        WaitingDeliveries = Faulty<Memory>;
    }
}
