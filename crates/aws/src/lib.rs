//! The ports on AWS: one module per service or store.
//!
//! Each adapter is built from an SDK client and the names of what it works on; nothing here reads the environment, but
//! [`Sdk::load`], which lets the SDK find its region, credentials and endpoint. Every adapter passes its port's suite
//! against a local endpoint (`tests/local_endpoint.rs`).
//!
//! The tables' layout is in [`keys`], the events' form in `event_item`, the archive's lines in [`archive_lines`].

mod app_clients;
mod archive;
pub mod archive_lines;
mod archive_reader;
mod backoff;
mod batch_get;
mod batch_write;
mod bulk_files;
mod bulk_map;
mod buses;
mod clients;
mod clock;
mod entitlements;
mod event_item;
mod event_log;
mod feed_index;
mod feed_queue;
mod fleet_channels;
mod fleets;
mod grouped;
mod item;
pub mod keys;
mod packages;
mod packed_text;
mod per_entry;
mod provisioning;
mod requests;
mod schemas;
mod sdk;
mod sdk_error;
mod state_store;
mod stream;
mod subscriptions;
mod transaction;
mod vehicles;

/// What stands before every operation of the API, in this order: clients, fleets, counts of requests, answers to keyed
/// requests, and the time.
pub type MiddlewarePorts = (DynamoClients, DynamoFleets, DynamoRequests, DynamoRequests, SystemClock);

/// The same, in that table.
pub fn middleware_ports(sdk: &Sdk, reference_table: &str) -> MiddlewarePorts {
    let requests = DynamoRequests::new(sdk.dynamodb(), reference_table);
    (
        DynamoClients::new(sdk.dynamodb(), reference_table),
        DynamoFleets::new(sdk.dynamodb(), reference_table),
        requests.clone(),
        requests,
        SystemClock,
    )
}

pub use app_clients::CognitoAppClients;
pub use archive::{ObjectText, S3Archive, quarantine_objects, raw_object};
pub use archive_reader::{ArchivedObject, Part, S3ArchiveReader};
pub use bulk_files::{RESUME, S3Body, S3BulkFiles};
pub use bulk_map::DynamoBulkMap;
pub use buses::{BusEntry, EventBridgeDeliveryBus, EventBridgeIngestBus};
pub use clients::DynamoClients;
pub use clock::{OsRandomness, SystemClock};
pub use entitlements::DynamoEntitlements;
pub use event_log::DynamoEventLog;
pub use feed_index::DynamoFeedIndex;
pub use feed_queue::SqsFeedQueue;
pub use fleet_channels::{FEED_INPUT_PATH, FleetChannels, NotABusArn, feed_pattern};
pub use fleets::DynamoFleets;
pub use packages::DynamoPackages;
pub use provisioning::StepFunctionsProvisioning;
pub use requests::DynamoRequests;
pub use schemas::DynamoSchemas;
pub use sdk::Sdk;
pub use state_store::DynamoStateStore;
pub use stream::KinesisTelemetryStream;
pub use subscriptions::DynamoSubscriptions;
pub use vehicles::DynamoVehicles;
