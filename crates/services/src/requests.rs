//! What applies to HTTP requests: rate limits, idempotency keys and checks of lists.

pub mod idempotency;
pub(crate) mod named_ids;
pub mod rate_limit;
