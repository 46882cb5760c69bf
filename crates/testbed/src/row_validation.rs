//! Validation of telemetry row by row: the reference model of the validation in columns.
//!
//! It reads each sample into a map of signals and validates each value by itself. It is slow, and simple enough to be compared
//! with the documentation line by line. Property tests compare the validation of `roadcast_domain` with it.

mod signals;
mod telemetry;
mod window;

pub use telemetry::{ValidatedRows, validate_rows};
