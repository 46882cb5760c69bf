//! What every function of Roadcast shares: configuration, logs, metrics, problem documents, HTTP, and event envelopes.
//!
//! A function's `main.rs` reads its configuration, makes its adapters and hands them to [`run`]; everything that a Lambda
//! needs around its use case is here. In the order of an invocation: [`run`] starts the runtime, [`config`] reads the
//! environment, [`observe`] and [`metrics`] tell what happens, [`http`], [`kinesis`] and [`eventbridge`] read what comes in,
//! [`auth`] says who is calling, [`cursor`] pages, and [`problem`] says what went wrong.

pub mod auth;
pub mod config;
pub mod cursor;
pub mod eventbridge;
pub mod http;
pub mod kinesis;
pub mod metrics;
pub mod observe;
pub mod problem;
pub mod run;
