//! Schemas of custom event types.

use std::future::Future;

use roadcast_domain::event::CustomType;
use roadcast_domain::schema::EventSchema;

use crate::PortError;

/// The schemas that were registered. Versions are never changed and never removed.
pub trait Schemas: Send + Sync {
    /// Keeps a version; a conflict unless it is the type's first, or follows its latest. The latest may be put again as it is, and
    /// whoever is not sure that it was kept does so.
    fn put(&self, schema: &EventSchema) -> impl Future<Output = Result<(), PortError>> + Send;

    /// The latest version of every type, by type.
    fn latest(&self) -> impl Future<Output = Result<Vec<EventSchema>, PortError>> + Send;

    /// Every version of a type, the first one first.
    fn versions(&self, event_type: &CustomType) -> impl Future<Output = Result<Vec<EventSchema>, PortError>> + Send;

    /// A number that is another after every [`put`](Self::put). Who remembers answers asks for it first.
    fn version(&self) -> impl Future<Output = Result<u64, PortError>> + Send;
}
