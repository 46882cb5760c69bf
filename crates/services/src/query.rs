//! Queries: a vehicle's events, state and history, and the events of a fleet in the order of arrival.

pub mod arrivals;
mod history;
mod state;
mod vehicle_events;

pub use history::{History, HistoryRange, Resolution, SamplePlace, SampleRow, Series, Statistics, Window};
pub use vehicle_events::{Events, EventsRange, VehicleQueries};
