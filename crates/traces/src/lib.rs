//! Recordings of real vehicles, and vehicles that are made up.
//!
//! A [`Recording`] reads a file row by row and says of each row either which sample it is or why it
//! cannot be said in VSS. A [`Batcher`] groups samples into [`TraceEvent`]s and those into [`Upload`]s,
//! the way a vehicle would send them. A [`simulate::Simulator`] makes the same uploads from a seed.
//!
//! Nothing here judges a reading: a bus at 410 km/h or a car on the equator is passed on, because telling
//! such readings from good ones is what the service is for. The README has the tables of what maps to what.

mod batch;
mod capmetro;
mod cells;
mod envirocar;
mod error;
mod event;
mod fms;
mod format;
mod instant;
mod lines;
#[cfg(test)]
mod mapping;
mod recording;
mod row;
pub mod simulate;
mod twizy;

pub use batch::{Batcher, Upload};
pub use error::TraceError;
pub use event::{Body, Diagnostic, Dtc, TraceEvent};
pub use format::Format;
pub use recording::{Progress, Recording};
pub use row::{Details, Inexpressible, RecordedSample, Row, VehicleKey};
