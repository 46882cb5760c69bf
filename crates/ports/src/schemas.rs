//! Schemas of custom event types.

use std::future::Future;

use roadcast_domain::event::CustomType;
use roadcast_domain::schema::EventSchema;

use crate::PortError;

/// Storage of registered schemas. Versions are never modified or removed.
pub trait Schemas: Send + Sync {
    /// Stores a version and changes [`version`](Self::version). Fails with `Conflict` unless the version is 1 for a new
    /// type, or follows the latest version. Storing the latest version again without a change succeeds, so that a caller
    /// can retry after a timeout.
    fn put(&self, schema: &EventSchema) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns the latest version of every type, ordered by type.
    fn latest(&self) -> impl Future<Output = Result<Vec<EventSchema>, PortError>> + Send;

    /// Returns every version of a type, in ascending order; empty for an unknown type.
    fn versions(&self, event_type: &CustomType) -> impl Future<Output = Result<Vec<EventSchema>, PortError>> + Send;

    /// Returns a number that differs after every [`put`](Self::put) of a new version. A cache compares it to detect
    /// changes.
    fn version(&self) -> impl Future<Output = Result<u64, PortError>> + Send;
}
