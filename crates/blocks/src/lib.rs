//! Telemetry of one vehicle as a columnar block of bytes.
//!
//! A [`Block`] holds events and their samples by column: one column a signal. It is what `vehicleEvents` keeps, what a
//! fleet that chose `blocks` gets, and what a device may send. The bytes are described in `docs/blocks.md`.
//!
//! ```
//! use roadcast_blocks::{Block, BlockEvent};
//! use roadcast_signals::{Sample, SignalPath, Timestamp, Value};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let at = Timestamp::from_ms(1_793_000_000_000);
//! let signals = [(SignalPath::parse("Vehicle.Speed")?, Value::Number(50.1))].into();
//! let event = BlockEvent { eid: 7, received: at.plus_ms(950), samples: vec![Sample { at, signals }] };
//!
//! let bytes = Block::of_events(std::slice::from_ref(&event))?.encode();
//! let block = Block::decode(&bytes)?;
//!
//! // By row, as it was put in …
//! assert_eq!(block.events(), [event]);
//! // … or by column, without making rows.
//! let column = &block.columns()[0];
//! assert_eq!(column.path.as_str(), "Vehicle.Speed");
//! for (place, row) in column.presence.rows(block.times().len()).enumerate() {
//!     println!("{}: {:?}", block.times()[row], column.values.get(place));
//! }
//! # Ok(())
//! # }
//! ```

// Every narrowing below is of a count or a bit field whose bound was checked just before.
#![allow(clippy::cast_possible_truncation)]

mod bits;
mod block;
mod error;
mod format;
mod ints;
pub mod limits;
mod presence;
mod rice;
mod table;
mod values;

pub use block::{Block, BlockEvent, Column};
pub use error::{DecodeError, EncodeError};
pub use presence::Presence;
pub use table::EventRow;
pub use values::Values;

#[cfg(test)]
mod tests;
