//! HTTP through API Gateway: what comes in, what goes out, and which operation it is for.

mod asked;
mod front;
mod page;
mod request;
mod response;
mod router;

pub use front::{Front, FrontPorts};
pub use page::Page;
pub use request::{Claims, ProxyRequest, Request};
pub use response::Response;
pub use router::{Access, Api, Route, answer};
