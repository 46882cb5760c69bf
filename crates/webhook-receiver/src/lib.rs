//! Receives webhooks on this machine: a small HTTP server for `cargo roadcast listen`, and one with faults for tests.
//!
//! It serves what a webhook needs and refuses the rest: HTTP/1.1, bodies with a length, several requests for each connection.
//! No function depends on it. The HTTP server of the library that the client uses is not compiled in, because every function
//! would then be built with it.
//!
//! # Module map
//!
//! - [`request`]: reads requests. [`response`]: writes responses.
//! - [`sink`]: a server that records requests, and fails as a test requires.

pub mod request;
pub mod response;
pub mod sink;

pub use request::{ReceivedRequest, RequestError, RequestReader};
pub use response::Response;
pub use sink::{Reaction, Sink};
