//! HTTP through API Gateway: what comes in, what goes out, and which operation it is for.

mod middleware;
mod page;
mod parameters;
mod proxy;
mod request;
mod response;
mod router;

pub use middleware::{Middleware, MiddlewarePorts};
pub use page::Page;
pub use proxy::ProxyRequest;
pub use request::{Claims, Request};
pub use response::Response;
pub use router::{Access, Api, Route, answer};
