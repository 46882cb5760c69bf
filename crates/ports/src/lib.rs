//! What the use cases need of the world, as small traits named by need.
//!
//! No SDK type appears here. Each trait has an implementation on AWS (`roadcast-aws`) and one in memory
//! (`roadcast-testbed`), and both pass the same suite ([`conformance`]).

pub mod archive;
pub mod batch_result;
pub mod bulk;
pub mod bus;
pub mod clients;
pub mod clock;
pub mod conformance;
pub mod entitlements;
mod error;
pub mod event_log;
pub mod feed;
pub mod fleets;
pub mod packages;
pub mod provisioning;
pub mod requests;
pub mod schemas;
pub mod state;
pub mod stream;
pub mod subscriptions;
pub mod vehicles;

pub use error::{PortError, PortErrorKind, chain};
