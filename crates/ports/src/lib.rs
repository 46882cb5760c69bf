//! The ports of the use cases: small traits for storage, messaging, time and randomness.
//!
//! No SDK type appears here. Each trait has an implementation on AWS (`roadcast-aws`) and one in memory
//! (`roadcast-testbed`), and both pass the same suite ([`conformance`]).
//!
//! # Conventions
//!
//! - **Errors.** Every method may fail with [`Throttled`](PortErrorKind::Throttled), [`TimedOut`](PortErrorKind::TimedOut),
//!   [`Unavailable`](PortErrorKind::Unavailable), [`Rejected`](PortErrorKind::Rejected) or
//!   [`Internal`](PortErrorKind::Internal). A method fails with [`Conflict`](PortErrorKind::Conflict) only in the cases that its
//!   documentation names.
//! - **Consistency.** A read returns everything that was stored before it, unless its documentation says otherwise.
//! - **Lists.** A method with `after` and `limit` returns at most `limit` items, ordered by id, that follow the item
//!   `after`. The
//!   list ends with an empty page.

pub mod alert_notices;
pub mod alert_state;
pub mod alerts;
pub mod archive;
pub mod batch_result;
pub mod bulk;
pub mod bus;
pub mod clients;
pub mod clock;
pub mod conformance;
pub mod dead_letters;
pub mod entitlements;
pub mod erasure;
mod error;
pub mod event_log;
pub mod feed;
pub mod fleets;
pub mod message_delay;
pub mod packages;
pub mod port_set;
pub mod provisioning;
pub mod redrive;
pub mod requests;
pub mod schemas;
pub mod secrets;
pub mod state;
pub mod stream;
pub mod subscriptions;
pub mod table;
pub mod vehicles;
pub mod webhooks;

pub use error::{PortError, PortErrorKind, error_chain};
