//! The signal catalogue: what a vehicle signal is called, what values it may take, and to which grid it is rounded.
//!
//! [`accept`] checks one reading against the [`Catalogue`] and rounds it once to its [`Resolution`]. Whatever comes
//! out of it is stable: accepting it again gives the same bits. See the crate's README for the table itself.

mod accept;
mod catalogue;
mod path;
mod rejection;
mod resolution;
mod sample;
mod timestamp;
mod value;

pub use accept::{MAX_LIST_LEN, MAX_TEXT_BYTES, accept};
pub use catalogue::{Catalogue, Datatype, Origin, SignalDef};
pub use path::{MAX_PATH_BYTES, SignalPath};
pub use rejection::SignalRejection;
pub use resolution::Resolution;
pub use sample::{Sample, Signals, reject_null_position};
pub use timestamp::{Timestamp, TimestampError};
pub use value::Value;
