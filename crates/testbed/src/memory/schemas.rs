//! Schemas of custom event types.

use roadcast_domain::event::CustomType;
use roadcast_domain::schema::EventSchema;
use roadcast_ports::schemas::Schemas;
use roadcast_ports::{PortError, PortErrorKind};

use super::Memory;

impl Schemas for Memory {
    async fn put(&self, schema: &EventSchema) -> Result<(), PortError> {
        let mut state = self.state();
        if state.schemas.get(&schema.event_type).and_then(|versions| versions.last()) == Some(schema) {
            return Ok(());
        }
        let before = state.schemas.get(&schema.event_type).map_or(0, Vec::len);
        if usize::try_from(schema.version).ok() != before.checked_add(1) {
            return Err(PortError::new(PortErrorKind::Conflict, "storing a schema"));
        }
        state.schemas.entry(schema.event_type.clone()).or_default().push(schema.clone());
        Ok(())
    }

    async fn latest(&self) -> Result<Vec<EventSchema>, PortError> {
        Ok(self.state().schemas.values().filter_map(|versions| versions.last()).cloned().collect())
    }

    async fn versions(&self, event_type: &CustomType) -> Result<Vec<EventSchema>, PortError> {
        Ok(self.state().schemas.get(event_type).cloned().unwrap_or_default())
    }

    async fn version(&self) -> Result<u64, PortError> {
        Ok(self.state().schemas.values().map(|versions| versions.len() as u64).sum())
    }
}
