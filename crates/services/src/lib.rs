//! The use cases of Roadcast, written on ports. No module depends on AWS or HTTP.
//!
//! In the order of the data flow: [`ingest`] validates uploads and puts them onto the stream; [`stream`] archives,
//! validates, publishes and stores batches of the stream; [`delivery`] redacts events for each fleet and serves the fleet's
//! feed; [`query`] reads from the stores. Administration: [`fleets`] manages fleets, clients and subscriptions,
//! [`vehicles`] the registry, [`catalogue`] packages and event schemas, [`bulk`] imports files, [`dead_letters`] keeps what
//! failed and sends it again, [`restore`] restores the tables of events from the archive, [`erasure`] erases vehicles.
//! [`webhooks`] delivers events to endpoints of fleets. [`requests`] limits request
//! rates and makes requests idempotent; [`authz`] proves what a caller may do.

pub mod alerts;
pub mod authz;
pub mod bulk;
pub mod cache;
pub mod catalogue;
pub mod dead_letters;
pub mod delivery;
mod entry_packing;
pub mod erasure;
mod error;
pub mod fleets;
pub mod ingest;
mod log_scan;
pub mod query;
pub mod requests;
pub mod response_budget;
pub mod restore;
mod stored_rules;
pub mod stream;
pub mod vehicles;
mod version_condition;
pub mod webhooks;

pub use error::{InvalidField, ServiceError};
pub use version_condition::{VersionCondition, Versions};

/// The number of vehicles, names or entitlements that a use case reads concurrently. The cost model counts on it.
pub(crate) const CONCURRENT_READS: usize = 16;
