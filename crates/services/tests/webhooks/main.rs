//! Webhooks on ports in memory, in virtual time: functions that run concurrently, fail, are interrupted, and get messages twice
//! and out of order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod executor;
mod fleets;
mod ports;
mod property;
mod receivers;
mod scenarios;
mod simulation;
