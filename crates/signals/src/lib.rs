//! The signal catalogue: the name, the permitted values and the resolution of each vehicle signal.
//!
//! [`accept`] validates one reading against the [`Catalogue`] and rounds it once to its [`Resolution`]. The result is
//! stable: accepting it again gives the same bits. The README of the crate describes the table.

mod accept;
mod catalogue;
mod columns;
mod literal;
mod nearest;
mod path;
mod rejection;
mod resolution;
mod sample;
mod text;
mod timestamp;
mod value;

pub use accept::{MAX_LIST_LEN, MAX_TEXT_BYTES, accept};
pub use catalogue::{Catalogue, SignalDef};
pub use columns::{Datatype, Origin};
pub use path::{MAX_PATH_BYTES, SignalPath};
pub use rejection::SignalRejection;
pub use resolution::Resolution;
pub use sample::{Sample, Signals, reject_null_position};
pub use text::{has_forbidden_character, is_noncharacter};
pub use timestamp::{Timestamp, TimestampError};
pub use value::Value;
