//! The words of Roadcast, and the rules about them.
//!
//! Nothing here does I/O, reads a clock or knows AWS: every function's answer follows from its arguments. The road of a
//! sample through this crate: [`cloudevent`] reads the envelope, [`intake`] judges the event and its samples (those of registered types by their [`schema`]), [`event`] is
//! what is stored and published, [`entitlement`] cuts it to what a fleet may see, [`state`] keeps the newest of each signal.

pub mod audit;
pub mod byte_budget;
pub mod caller;
pub mod cloudevent;
pub mod diagnostic;
pub mod entitlement;
pub mod event;
pub mod fleet;
pub mod ids;
pub mod limits;
pub mod package;
pub mod plan;
pub mod refusal;
pub mod schema;
pub mod selection;
pub mod state;
pub mod subject;
pub mod subscription;
pub mod validation;
pub mod vehicle;
pub mod vehicle_mapping;
pub mod vin;

pub use roadcast_signals::Timestamp;

/// Reads an optional member that is there: null is no value of it. Who means that there is none leaves it out.
pub fn present<'de, D: serde::Deserializer<'de>, T: serde::Deserialize<'de>>(member: D) -> Result<Option<T>, D::Error> {
    T::deserialize(member).map(Some)
}
