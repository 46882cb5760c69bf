//! What applies to every HTTP request: rate limits and idempotency keys.

pub mod idempotency;
pub mod rate_limit;
