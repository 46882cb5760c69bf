//! Telemetry of one vehicle as a columnar block of bytes.
//!
//! A [`Block`] contains events and their samples by column, one column per signal. Blocks are stored in `vehicleEvents`,
//! delivered to fleets that chose the format `blocks`, and sent by devices. `docs/blocks.md` specifies the bytes.
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
//! let bytes = Block::from_events(std::slice::from_ref(&event))?.encode();
//! let block = Block::decode(&bytes)?;
//!
//! // By row …
//! assert_eq!(block.events(), [event]);
//! // … or by column, without creating rows.
//! let column = &block.columns()[0];
//! assert_eq!(column.path.as_str(), "Vehicle.Speed");
//! for (index, row) in column.presence.rows(block.times().len()).enumerate() {
//!     println!("{}: {:?}", block.times()[row], column.values.get(index));
//! }
//! # Ok(())
//! # }
//! ```

// Every narrowing conversion in this crate is of a count or a bit field whose bound is checked before.
#![allow(clippy::cast_possible_truncation)]

mod bits;
mod block;
mod error;
mod estimate;
mod first_value;
mod format;
pub mod limits;
mod presence;
mod rice;
mod sequence;
mod signal_list;
mod table;
mod text;
mod values;
mod version;
mod version_1;
mod zigzag;

pub use block::{Block, BlockEvent};
pub use error::{DecodeError, EncodeError};
pub use estimate::estimated_bits;
pub use format::BlockHead;
pub use table::EventRow;
