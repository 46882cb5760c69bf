//! What every function of Roadcast shares: configuration, logs, metrics, problem documents, HTTP, and event envelopes.
//!
//! A function's `main.rs` starts a [`run::Function`], makes its adapters and hands its use case over. In the order of an
//! invocation: [`run`] is the loop, [`config`] reads the environment, [`logging`] and [`metrics`] tell what happens,
//! [`http`], [`kinesis`], [`eventbridge`] and [`s3`] read what comes in, [`auth`] says who is calling, [`cursor`] pages, and
//! [`problem`] says what went wrong.

pub mod auth;
pub mod config;
pub mod cursor;
pub mod eventbridge;
pub mod http;
pub mod kinesis;
pub mod logging;
pub mod metrics;
pub mod problem;
pub mod run;
pub mod s3;
mod service_problem;
pub mod token;
