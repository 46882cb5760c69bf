//! HTTP through API Gateway. [`dispatch()`] routes a request, applies the middleware and calls the handler.

mod dispatch;
mod middleware;
mod page;
mod parameters;
mod proxy;
mod request;
mod response;
mod router;

pub use dispatch::dispatch;
pub use middleware::{Middleware, MiddlewarePorts};
pub use page::Page;
pub use proxy::ProxyRequest;
pub use request::{Claims, Request};
pub use response::Response;
pub use router::{Access, Api, Route};
