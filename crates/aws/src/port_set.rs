//! The ports on AWS as a port set.

use roadcast_ports::port_set::{PortSet, RequestPorts};

use crate::{
    CognitoAppClients, DynamoClients, DynamoEntitlements, DynamoEventLog, DynamoFeedIndex, DynamoFleets,
    DynamoIdempotencyStore, DynamoImportProgress, DynamoPackages, DynamoRateCounter, DynamoSchemas, DynamoStateStore,
    DynamoSubscriptions, DynamoVehicleMappings, DynamoVehicles, EventBridgeDeliveryBus, EventBridgeIngestBus, FleetChannels,
    KinesisTelemetryStream, OsRandomness, S3Archive, S3BulkFiles, Sdk, SqsFeedQueue, StepFunctionsProvisioning, SystemClock,
};

/// The ports on AWS.
#[derive(Debug)]
pub enum AwsPorts {}

impl PortSet for AwsPorts {
    type AppClients = CognitoAppClients;
    type Archive = S3Archive;
    type BulkFiles = S3BulkFiles;
    type Clients = DynamoClients;
    type Clock = SystemClock;
    type CustomPackages = DynamoPackages;
    type DeliveryBus = EventBridgeDeliveryBus;
    type Entitlements = DynamoEntitlements;
    type EventLog = DynamoEventLog;
    type FeedIndex = DynamoFeedIndex;
    type FeedQueue = SqsFeedQueue;
    type FleetChannel = FleetChannels;
    type Fleets = DynamoFleets;
    type IdempotencyStore = DynamoIdempotencyStore;
    type ImportProgress = DynamoImportProgress;
    type IngestBus = EventBridgeIngestBus;
    type ProvisioningWorkflow = StepFunctionsProvisioning;
    type Quarantine = S3Archive;
    type Randomness = OsRandomness;
    type RateCounter = DynamoRateCounter;
    type Schemas = DynamoSchemas;
    type StateStore = DynamoStateStore;
    type Subscriptions = DynamoSubscriptions;
    type TelemetryStream = KinesisTelemetryStream;
    type VehicleMappings = DynamoVehicleMappings;
    type VehicleNames = DynamoVehicles;
    type Vehicles = DynamoVehicles;
}

/// Returns the ports that every HTTP request uses, on the given reference table.
pub fn request_ports(sdk: &Sdk, reference_table: &str) -> RequestPorts<AwsPorts> {
    RequestPorts {
        clients: DynamoClients::new(sdk.dynamodb(), reference_table),
        fleets: DynamoFleets::new(sdk.dynamodb(), reference_table),
        rate_counter: DynamoRateCounter::new(sdk.dynamodb(), reference_table),
        idempotency_store: DynamoIdempotencyStore::new(sdk.dynamodb(), reference_table),
        clock: SystemClock,
    }
}
