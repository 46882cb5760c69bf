//! The signal catalogue: the name, the permitted values and the resolution of each vehicle signal.
//!
//! [`accept`] validates one reading against the [`Catalogue`] and rounds it once to its [`Resolution`]. The result is
//! stable: accepting it again gives the same bits. The README of the crate describes the table.

mod accept;
mod accept_column;
mod catalogue;
mod columns;
mod literal;
mod nearest;
mod path;
mod path_hash;
mod presence;
mod rejection;
mod resolution;
mod sample;
mod samples;
mod text;
mod timestamp;
mod value;
mod values;

pub use accept::{MAX_LIST_BYTES, MAX_LIST_LEN, MAX_TEXT_BYTES, accept, accept_value};
pub use accept_column::{RejectedValue, accept_samples, are_accepted};
pub use catalogue::{Catalogue, SignalDef};
pub use columns::{Datatype, Origin};
pub use path::{MAX_PATH_BYTES, SignalPath};
pub use presence::{Presence, ValueIndex};
pub use rejection::SignalRejection;
pub use resolution::Resolution;
pub use sample::{POSITION, Sample, Signals, reject_null_position};
pub use samples::{Column, Samples, SamplesBuilder};
pub use text::{has_forbidden_character, is_noncharacter};
pub use timestamp::{Timestamp, TimestampError};
pub use value::Value;
pub use values::Values;
