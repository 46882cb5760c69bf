//! Attempts against a receiver that fails in each way that is known: each has the documented outcome.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod addresses;
mod certificates;
mod connections;
mod faults;
mod fixture;
mod forbidden;
mod memory;
mod requests;
