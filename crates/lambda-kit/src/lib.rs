//! What each Lambda function needs around its use case: configuration, logs, metrics, problem documents, HTTP, and event
//! envelopes.
//!
//! The `main.rs` of a function starts a [`run::Function`], creates its adapters and passes them to its use case. [`run`] is
//! the event loop, [`deadline`] states when an invocation ends, [`config`] reads the environment, [`logging`] and
//! [`metrics`] report, [`event_traces`] writes traces, [`http`], [`kinesis`], [`eventbridge`], [`sqs`] and [`s3`] read events, [`queue_batches`] processes the
//! messages of a queue, [`auth`] finds the caller, [`cursor`] and [`token`] encode opaque tokens, and [`problem`] describes
//! errors.

pub mod auth;
pub mod config;
pub mod cursor;
pub mod deadline;
pub mod event_traces;
pub mod eventbridge;
pub mod http;
pub mod kinesis;
pub mod logging;
pub mod metrics;
pub mod problem;
pub mod queue_batches;
pub mod run;
pub mod s3;
mod service_problem;
pub mod sqs;
pub mod token;
