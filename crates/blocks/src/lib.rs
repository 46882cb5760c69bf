//! Telemetry of one vehicle as a columnar block of bytes.
//!
//! A [`Block`] holds events and their samples by column: one column a signal. It is what `vehicleEvents` keeps, what a
//! fleet that chose `blocks` gets, and what a device may send. The bytes are described in `docs/blocks.md`.

// Every narrowing below is of a count or a bit field whose bound was checked just before.
#![allow(clippy::cast_possible_truncation)]

mod bits;
mod block;
mod error;
mod format;
mod ints;
pub mod limits;
mod presence;
mod table;
mod values;

pub use block::{Block, BlockEvent, Column};
pub use error::{DecodeError, EncodeError};
pub use presence::Presence;
pub use table::EventRow;
pub use values::Values;

#[cfg(test)]
mod tests;
