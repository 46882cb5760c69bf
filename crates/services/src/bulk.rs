//! Bulk import: files that assign vehicles to fleets, and files of event schemas.
//!
//! The entry files are `vehicle_import.rs`, for files of vehicle mappings, and `schema_import.rs`, for files of schemas.
//!
//! A file is read line by line, in several runs if necessary. A run stores a checkpoint and a report of the invalid lines.

mod progress;
mod reader;
mod row_outcome;
mod row_plan;
mod run;
mod schema_import;
mod vehicle_import;
mod writer;

pub use progress::Summary;
pub use run::ImportOutcome;
pub use schema_import::SchemaImport;
pub use vehicle_import::{DEFAULT_WINDOW_ROWS, VehicleImport};
