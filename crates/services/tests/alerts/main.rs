//! The alert evaluator on ports in memory, in virtual time: instances that end and take turns, ports that fail, a stream processor
//! that is behind, and vehicles whose data arrives late, twice and out of order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bounds;
#[path = "../../../alerts/tests/real_vehicles/drives.rs"]
mod drives;
mod fixture;
mod grants;
mod property;
#[path = "../../../blocks/benches/blocks/recordings.rs"]
mod recordings;
mod replays;
mod scenarios;
