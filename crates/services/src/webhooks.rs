//! Webhooks: endpoints of fleets, and the delivery of events to them.
//!
//! [`endpoints`] manages endpoints. [`fan_out`] makes a delivery for each event and endpoint. [`dispatcher`] attempts deliveries,
//! whose tasks come from the queues, and [`scheduler`] sends the tasks of those that wait in the store. [`attempts`] shows what
//! happened, and [`redrive`] makes failed deliveries pending again. See `docs/decisions/0040-webhook-deliveries.md`.

pub mod attempts;
pub mod dispatcher;
pub mod endpoints;
pub mod fan_out;
mod notices;
pub mod redrive;
pub(crate) mod removal;
pub mod scheduler;
mod tasks;
mod visibility;

pub(crate) use redrive::redrive_delivery;
pub use tasks::QueueKind;
pub(crate) use tasks::send_all;
