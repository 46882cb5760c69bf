//! The alert evaluator on ports in memory, in virtual time: instances that end and take turns, ports that fail, a stream processor
//! that is behind, and vehicles whose data arrives late, twice and out of order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;
mod property;
mod scenarios;
