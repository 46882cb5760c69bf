//! Bulk files: importing the mapping of vehicles to fleets, and event schemas.

mod progress;
mod reader;
mod row_outcome;
mod run;
mod schema_import;
mod vehicle_import;
mod writer;

pub use progress::Summary;
pub use run::ImportOutcome;
pub use schema_import::SchemaImport;
pub use vehicle_import::VehicleImport;
