//! HTTP through API Gateway, on the types of `lambda_http`.
//!
//! API Gateway has matched the path when it invokes a function, so there is no router: [`respond()`] finds the [`Operation`] by
//! the path template, applies the middleware and calls the handler. Requests that match no operation reach one function, whose
//! [`Api::CONTRACT`] lists all paths. [`ApiRequest`] and [`ApiResponse`] extend the types of `lambda_http`.

mod conditional;
mod content_coding;
mod dispatch;
mod headers;
mod invocation;
mod middleware;
mod operation;
mod page;
pub mod query;
mod request;
pub mod response;
#[cfg(test)]
mod testing;
mod unmatched;

pub use dispatch::respond;
pub use invocation::{ConversionError, Invocation, ProxyResponse};
pub use lambda_http::{Body, Request};
pub use middleware::Middleware;
pub use operation::{Api, Call, Operation, ResponseFuture, Serve, With, prove};
pub use page::Page;
pub use query::Parameters;
pub use request::{ApiRequest, Claims};
pub use response::{ApiResponse, Response};
pub use unmatched::ContractPath;

pub use crate::{parameters, restore, serve};
