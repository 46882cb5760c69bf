//! The ports on AWS as a port set.

use roadcast_ports::port_set::{PortSet, RequestPorts};

use roadcast_webhook_client::{HttpSender, SystemNames};

use crate::{
    AwsRedriveTargets, AwsVehicleErasure, CognitoAppClients, DynamoAlertRules, DynamoAlertState, DynamoAttempts,
    DynamoBackTests, DynamoClients, DynamoDeadLetters, DynamoDeliveries, DynamoEndpointHealths, DynamoEndpointRedrives,
    DynamoEndpoints, DynamoEntitlements, DynamoErasures, DynamoEventLog, DynamoFeedIndex, DynamoFeedProofs, DynamoFleets,
    DynamoIdempotencyStore, DynamoImportProgress, DynamoPackages, DynamoRateCounter, DynamoSchemas, DynamoSentNotices,
    DynamoStateStore, DynamoSubscriptions, DynamoVehicleMappings, DynamoVehicles, DynamoWaitingDeliveries,
    EventBridgeDeliveryBus, EventBridgeIngestBus, FleetChannels, KinesisStreamClock, KinesisStreamReader,
    KinesisTelemetryStream, KmsSealer, OsRandomness, S3Archive, S3ArchivedBatches, S3ArchivedRecords, S3BulkFiles,
    S3DeadLetterContents, Sdk, SecretsManagerSource, SnsNoticeTopic, SqsBackTestQueue, SqsDeliveryQueue,
    SqsFailedDeliveries, SqsFeedQueue, SqsMessageDelay, StepFunctionsProvisioning, SystemClock,
};

/// The ports on AWS.
#[derive(Debug)]
pub enum AwsPorts {}

impl PortSet for AwsPorts {
    type AlertRules = DynamoAlertRules;
    type AlertCheckpoints = DynamoAlertState;
    type AppClients = CognitoAppClients;
    type Archive = S3Archive;
    type ArchivedBatches = S3ArchivedBatches;
    type ArchivedRecords = S3ArchivedRecords;
    type Attempts = DynamoAttempts;
    type BackTestQueue = SqsBackTestQueue;
    type BackTests = DynamoBackTests;
    type BulkFiles = S3BulkFiles;
    type Clients = DynamoClients;
    type Clock = SystemClock;
    type CustomPackages = DynamoPackages;
    type DeadLetterContents = S3DeadLetterContents;
    type DeadLetters = DynamoDeadLetters;
    type Deliveries = DynamoDeliveries;
    type DeliveryBus = EventBridgeDeliveryBus;
    type DeliveryQueue = SqsDeliveryQueue;
    type EndpointHealths = DynamoEndpointHealths;
    type EndpointRedrives = DynamoEndpointRedrives;
    type Endpoints = DynamoEndpoints;
    type Entitlements = DynamoEntitlements;
    type Erasures = DynamoErasures;
    type EventLog = DynamoEventLog;
    type FailedDeliveries = SqsFailedDeliveries;
    type FeedIndex = DynamoFeedIndex;
    type FeedProofs = DynamoFeedProofs;
    type FeedQueue = SqsFeedQueue;
    type FleetChannel = FleetChannels;
    type Fleets = DynamoFleets;
    type IdempotencyStore = DynamoIdempotencyStore;
    type ImportProgress = DynamoImportProgress;
    type IngestBus = EventBridgeIngestBus;
    type MessageDelay = SqsMessageDelay;
    type NoticeBus = EventBridgeIngestBus;
    type NoticeTopic = SnsNoticeTopic;
    type ProvisioningWorkflow = StepFunctionsProvisioning;
    type Quarantine = S3Archive;
    type Randomness = OsRandomness;
    type RateCounter = DynamoRateCounter;
    type RedriveTargets = AwsRedriveTargets;
    type Redrives = DynamoDeadLetters;
    type Schemas = DynamoSchemas;
    type Sealer = KmsSealer;
    type SecretSource = SecretsManagerSource;
    type SentNotices = DynamoSentNotices;
    type ShardEvaluations = DynamoAlertState;
    type StateStore = DynamoStateStore;
    type StreamClock = KinesisStreamClock;
    type StreamReader = KinesisStreamReader;
    type Subscriptions = DynamoSubscriptions;
    type TelemetryStream = KinesisTelemetryStream;
    type VehicleErasure = AwsVehicleErasure;
    type VehicleMappings = DynamoVehicleMappings;
    type VehicleNames = DynamoVehicles;
    type Vehicles = DynamoVehicles;
    type WaitingDeliveries = DynamoWaitingDeliveries;
    type WebhookSender = HttpSender<SystemClock, SystemNames>;
}

/// Returns the ports that every HTTP request uses, on the given reference table and with the secret of the stack.
pub fn request_ports(sdk: &Sdk, reference_table: &str, secrets: SecretsManagerSource) -> RequestPorts<AwsPorts> {
    RequestPorts {
        clients: DynamoClients::new(sdk.dynamodb(), reference_table),
        fleets: DynamoFleets::new(sdk.dynamodb(), reference_table),
        rate_counter: DynamoRateCounter::new(sdk.dynamodb(), reference_table),
        idempotency_store: DynamoIdempotencyStore::new(sdk.dynamodb(), reference_table),
        secrets,
        clock: SystemClock,
    }
}
