//! Sends webhooks: the port [`WebhookSender`](roadcast_ports::webhooks::WebhookSender) over HTTP/1.1 and TLS.
//!
//! - **One request.** A POST, without redirects, proxies and cookies. Everything ends within the time of an attempt, and every
//!   failure is an outcome ([decision 0041](../../../docs/decisions/0041-requests-of-webhooks.md)).
//! - **Public addresses only.** A name is resolved before each connection, and the address that was checked is the one that is
//!   connected to ([`TargetRules`](roadcast_domain::webhook::TargetRules)).
//! - **Connections** are reused for a short time: at most [`MAX_IDLE_PER_HOST`] wait for each host, [`MAX_IDLE`] for all.
//!
//! # Module map
//!
//! `sender` makes an attempt: it takes a connection from `pool` or opens one with `connect`, which resolves with `names` and
//! encrypts with `tls`. `exchange` sends the request and reads the response, `excerpt` and `retry_after` read what it states.

mod connect;
mod excerpt;
mod exchange;
mod failure;
mod names;
mod pool;
mod retry_after;
mod sender;
mod tls;

pub use names::{Names, SystemNames};
pub use pool::{MAX_IDLE, MAX_IDLE_PER_HOST};
pub use retry_after::MAX_RETRY_AFTER_S;
pub use sender::{HttpSender, SenderSettings};
pub use tls::{NoRootCertificates, system_roots};
