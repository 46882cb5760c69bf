//! Queries: a vehicle's events, state and history, and a fleet's events in the order of arrival.
//!
//! | file | request |
//! |---|---|
//! | fleet_events | `GET /events` |
//! | vehicle_events | `GET /vehicles/{vid}/events` |
//! | state | `GET /vehicles/{vid}/state` |
//! | history | `GET /vehicles/{vid}/history` |

pub mod fleet_events;
mod history;
mod state;
mod vehicle_events;
mod vehicle_queries;
mod visibility;

pub use history::{HistoryPage, HistoryRange, Resolution, SamplePosition, SampleRow, Series, Statistics, Window};
pub use state::StateQueries;
pub use vehicle_events::{EventsPage, EventsRange};
pub use vehicle_queries::VehicleQueries;
