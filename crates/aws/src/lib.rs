//! Implementations of the ports on AWS, grouped by AWS service.
//!
//! Each adapter takes an SDK client and the names of its resources. Nothing here reads the environment except
//! [`Sdk::load`], which reads region, credentials and endpoint. Every adapter passes the conformance suite of its port
//! against a local endpoint (`tests/local_endpoint`).
//!
//! [`keys`] holds the layout of the tables, `dynamodb/event_item.rs` the format of stored events, [`archive_lines`] the
//! lines of archived objects.

mod backoff;
mod batch_requests;
mod clock;
mod cognito;
mod dynamodb;
mod eventbridge;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod fake_aws;
mod fleet_channels;
mod kinesis;
mod kms;
mod lambda;
mod port_set;
mod s3;
mod sdk;
mod sdk_error;
mod secretsmanager;
mod sns;
mod sqs;
mod stepfunctions;
mod vehicle_erasure;

pub use clock::{OsRandomness, SystemClock};
pub use cognito::CognitoAppClients;
pub use dynamodb::{
    DynamoAlertRules, DynamoAlertState, DynamoAttempts, DynamoBackTests, DynamoClients, DynamoDeadLetters, DynamoDeliveries,
    DynamoEndpointHealths, DynamoEndpointRedrives, DynamoEndpoints, DynamoEntitlements, DynamoErasures, DynamoEventLog,
    DynamoFeedIndex, DynamoFeedProofs, DynamoFleets, DynamoIdempotencyStore, DynamoImportProgress, DynamoPackages,
    DynamoRateCounter, DynamoSchemas, DynamoSentNotices, DynamoStateStore, DynamoSubscriptions, DynamoVehicleMappings,
    DynamoVehicles, DynamoWaitingDeliveries, ErasedTables, keys,
};
pub use eventbridge::{
    BusEntry, EventBridgeDeliveryBus, EventBridgeIngestBus, FEED_INPUT_PATH, NotABusArn, WebhookRule, feed_pattern,
};
pub use fleet_channels::FleetChannels;
pub use kinesis::{KinesisStreamClock, KinesisStreamReader, KinesisTelemetryStream};
pub use kms::KmsSealer;
pub use lambda::{AwsRedriveTargets, RedriveTargetNames};
pub use port_set::{AwsPorts, request_ports};
pub use s3::{
    ArchiveSection, ArchivedObject, ObjectText, RESUME_PREFIX, S3Archive, S3ArchiveReader, S3ArchivedBatches,
    S3ArchivedRecords, S3Body, S3BulkFiles, S3DeadLetterContents, archive_lines, quarantine_objects, raw_object,
};
pub use sdk::{LazyClient, Sdk};
pub use secretsmanager::SecretsManagerSource;
pub use sns::SnsNoticeTopic;
pub use sqs::{SqsBackTestQueue, SqsDeliveryQueue, SqsFailedDeliveries, SqsFeedQueue, SqsMessageDelay};
pub use stepfunctions::{StateMachines, StepFunctionsProvisioning};
pub use vehicle_erasure::AwsVehicleErasure;
