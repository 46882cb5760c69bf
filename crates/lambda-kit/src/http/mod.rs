//! HTTP through API Gateway: what comes in, what goes out, and which operation it is for.

mod asked;
mod front;
mod page;
mod proxy;
mod request;
mod response;
mod router;

pub use front::{Front, FrontPorts};
pub use page::Page;
pub use proxy::ProxyRequest;
pub use request::{Claims, Request};
pub use response::Response;
pub use router::{Access, Api, Route, answer};
