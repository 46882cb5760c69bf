//! What a month of Roadcast costs, and what other designs would.
//!
//! Nothing here is estimated that can be run: the [`day`] drives the real use cases under a meter and bills what it counted
//! with the dated price sheet `infra/prices.csv`. The designs to compare with are in [`reference`].

// Quantities are counts and bytes far below 2^53; they are multiplied as doubles.
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_precision_loss, clippy::cast_sign_loss)]

mod bill;
pub mod day;
mod fixed;
pub mod meter;
mod prices;
pub mod reference;
mod workload;
mod world;

pub use bill::{Bill, Kind, Line, Share};
pub use fixed::fixed;
pub use meter::Usage;
pub use prices::{Price, PriceError, Prices};
pub use workload::{Payload, Way, Workload};

/// Bytes of a gigabyte as AWS bills it.
pub(crate) const GIB: f64 = 1_073_741_824.0;
