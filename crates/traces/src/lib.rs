//! Recordings of real vehicles, and simulated vehicles.
//!
//! A [`Recording`] reads a file row by row and returns for each row a sample, or the reason why the row cannot be
//! represented in VSS. A [`Batcher`] groups samples into [`TraceEvent`]s and those into [`Upload`]s, as a vehicle would send
//! them. A [`simulate::Simulator`] creates uploads from a seed.
//!
//! This crate does not validate readings: a bus at 410 km/h or a car on the equator is passed on, because validation is the
//! task of the service. The README lists the mappings of all formats.

mod batch;
mod capmetro;
mod cells;
mod detection;
mod envirocar;
mod error;
mod event;
mod fms;
mod format;
mod instant;
mod lines;
mod paths;
mod recording;
mod row;
pub mod simulate;
mod twizy;

pub use batch::{Batcher, Upload};
pub use error::TraceError;
pub use event::{Body, Diagnostic, Dtc, TraceEvent};
pub use format::Format;
pub use recording::{Progress, Recording};
pub use row::{RecordedSample, Row, RowRefusal, VehicleDetails, VehicleKey};
