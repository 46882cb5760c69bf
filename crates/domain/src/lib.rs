//! Domain types of Roadcast and the rules that apply to them.
//!
//! Nothing in this crate does I/O, reads a clock or depends on AWS: the result of every function depends only on its
//! arguments.
//!
//! # Module map
//!
//! Data flow of an event, in this order:
//! - [`cloudevent`]: parses the CloudEvents envelope.
//! - [`validation`]: validates an event and its samples, quarantines what is invalid and produces the stored event.
//! - [`schema`]: schemas of custom event types, used by the validation.
//! - [`event`]: the event as it is stored, published and delivered. [`lane`]: its way to enrichment.
//! - [`alert`]: the data of alerts. [`alert_notice`]: messages to people about those of the operator.
//! - [`state`]: the last-known value of each signal of a vehicle.
//! - [`entitlement`]: redacts an event to what a fleet may see.
//! - [`selection`]: filters an event by what a caller requested.
//!
//! Reference data:
//! - [`vehicle`], [`vin`], [`external_id`], [`subject`]: vehicles and how events refer to them. [`name_history`]: which
//!   vehicle had a name when.
//! - [`vehicle_mapping`]: which fleet has which vehicle, imported from bulk files.
//! - [`fleet`], [`plan`], [`subscription`], [`package`]: fleets, their request quota and what they subscribe to.
//! - [`audit`]: the audit trail of a fleet.
//! - [`dead_letter`]: what could not be processed or delivered, and redrives of it.
//! - [`erasure`]: requests to erase what is stored about vehicles.
//! - [`webhook`]: endpoints of fleets, deliveries to them, and their signatures.
//! - [`trace`]: the trace of an event, and the trace context of requests.
//!
//! Shared building blocks:
//! - [`ids`]: identifiers. [`caller`]: the authenticated caller of an operation.
//! - [`secret`]: the secret of a stack and the keys that are derived from it.
//! - [`refusal`]: reasons why an event or a sample is refused.
//! - [`sent_samples`]: samples in JSON, read into columns. [`json_cursor`]: reads JSON of the usual form. [`limits`]: size limits. [`byte_budget`]: a memory limit for decoding. [`strict_json`]: JSON without duplicate members.
//! - [`diagnostic`]: diagnostic trouble codes.

pub mod alert_notice;
pub mod alert_rule;
pub mod audit;
pub mod back_test;
pub mod byte_budget;
pub mod caller;
pub mod cloudevent;
pub mod dead_letter;
pub mod diagnostic;
pub mod entitlement;
pub mod erasure;
pub mod event;
pub mod external_id;
pub mod fleet;
pub mod ids;
pub mod json_cursor;
pub mod json_pointer;
pub mod lane;
mod limited_list;
pub mod limits;
pub mod name_history;
pub mod package;
pub mod plan;
pub mod refusal;
pub mod schema;
pub mod secret;
pub mod selection;
pub mod sent_samples;
pub mod state;
pub mod strict_json;
pub mod subject;
pub mod subscription;
pub mod trace;
pub mod validation;
pub mod vehicle;
pub mod vehicle_mapping;
pub mod vin;
pub mod webhook;

pub use event::alert;
pub use roadcast_signals::Timestamp;

/// Deserializes an optional member that is present. Rejects `null`: a caller omits the member if it has no value.
pub fn deserialize_non_null<'de, D: serde::Deserializer<'de>, T: serde::Deserialize<'de>>(
    member: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(member).map(Some)
}
