//! The monthly AWS bill of Roadcast, and of other designs.
//!
//! Usage is measured wherever it can be run: [`day`] runs the real use cases under a meter, and [`Bill`] prices the counted
//! usage with the dated price sheet `infra/prices.csv`. The designs to compare with are in [`reference`].

// Quantities are counts and bytes far below 2^53 and are multiplied as `f64`.
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_precision_loss, clippy::cast_sign_loss)]

pub mod alerts;
mod bill;
mod cpu_time;
pub mod day;
mod deployment;
mod fixed;
pub mod meter;
mod prices;
pub mod reference;
pub mod webhooks;
mod workload;

pub use bill::{Bill, FleetShare, Kind, Line};
pub use fixed::fixed;
pub use meter::Usage;
pub use prices::{Price, PriceError, Prices};
pub use workload::{IngestPath, Knobs, Payload, Workload};

/// Bytes per gigabyte, as AWS bills them.
pub(crate) const GIB: f64 = 1_073_741_824.0;
