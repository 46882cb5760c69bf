//! The schemas in force, cached and compiled, and the validation of events against them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use roadcast_domain::Timestamp;
use roadcast_domain::cloudevent::Envelope;
use roadcast_domain::event::{CustomType, EventType};
use roadcast_domain::ids::VehicleId;
use roadcast_domain::refusal::Refusal;
use roadcast_domain::schema::{EventSchema, NoSchemas, SchemaRegistry, SchemaViolation};
use roadcast_domain::validation::{EventData, ValidationOutcome, validate_event};
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::schemas::Schemas;
use serde_json::Value;

use super::compiled::CompiledSchemas;
use crate::cache::TTL_MS;

/// Caches the schemas in force until their version changes; the version is read every [`TTL_MS`]. A schema is
/// compiled when data is first validated against it.
pub struct CachedSchemas<Ports: PortSet> {
    schemas: Ports::Schemas,
    clock: Ports::Clock,
    cached: Mutex<Option<CachedVersion>>,
    compiled: Arc<CompiledSchemas>,
}

/// Why an event was not validated, or is invalid.
#[derive(Debug, thiserror::Error)]
pub enum ValidationError {
    /// The event is invalid. A retry does not resolve this.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The schemas cannot be read.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// The schemas of one version.
#[derive(Clone)]
struct CachedVersion {
    /// When the version was last confirmed.
    confirmed_at: Timestamp,
    version: u64,
    schemas_in_force: Arc<SchemasInForce>,
}

struct SchemasInForce {
    schemas: HashMap<CustomType, EventSchema>,
    compiled: Arc<CompiledSchemas>,
}

impl<Ports: PortSet> CachedSchemas<Ports> {
    /// An empty cache over `schemas`.
    pub fn new(schemas: Ports::Schemas, clock: Ports::Clock) -> Self {
        Self { schemas, clock, cached: Mutex::new(None), compiled: Arc::default() }
    }

    /// Validates an event of any type. Custom events are validated against the schemas in force.
    ///
    /// Every version of a schema allows what older versions allow, so a cached schema never accepts an invalid event. It
    /// may refuse an event that a newer version allows; therefore an event is refused only by schemas that were in force
    /// when it was received, or later. So a type is never unknown after its registration was confirmed, and the stream
    /// accepts every event that HTTP accepted.
    ///
    /// Fails with `Refused` if the event is invalid, and with `Port` if the schemas cannot be read.
    pub async fn validate(
        &self,
        envelope: &Envelope<'_>,
        data: EventData<'_>,
        vid: &VehicleId,
        received: Timestamp,
    ) -> Result<ValidationOutcome, ValidationError> {
        if !matches!(EventType::from_name(&envelope.event_type), Some(EventType::Custom(_))) {
            return Ok(validate_event(envelope, data, vid, received, &NoSchemas)?);
        }
        let cached = self.confirmed_since(self.clock.now().plus_ms(1 - TTL_MS)).await?;
        let validated = validate_event(envelope, data.clone(), vid, received, &*cached.schemas_in_force);
        if validated.is_ok() || cached.confirmed_at >= received {
            return Ok(validated?);
        }
        let cached = self.confirmed_since(received).await?;
        Ok(validate_event(envelope, data, vid, received, &*cached.schemas_in_force)?)
    }

    /// Returns the schemas in force, confirmed at `time` or later.
    async fn confirmed_since(&self, time: Timestamp) -> Result<CachedVersion, PortError> {
        let now = self.clock.now();
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(cached) = &cached
            && cached.confirmed_at >= time
            && cached.confirmed_at <= now
        {
            return Ok(cached.clone());
        }
        let version = self.schemas.version().await?;
        let schemas_in_force = match cached {
            Some(cached) if cached.version == version => cached.schemas_in_force,
            _ => {
                let latest = self.schemas.latest().await?;
                let schemas = latest.into_iter().map(|schema| (schema.event_type.clone(), schema)).collect();
                Arc::new(SchemasInForce { schemas, compiled: Arc::clone(&self.compiled) })
            }
        };
        let cached = CachedVersion { confirmed_at: now, version, schemas_in_force };
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = Some(cached.clone());
        Ok(cached)
    }
}

impl SchemaRegistry for SchemasInForce {
    fn check(&self, event_type: &CustomType, data: &Value) -> Result<(), SchemaViolation> {
        let Some(schema) = self.schemas.get(event_type) else { return Err(SchemaViolation::UnknownType) };
        let Some(validator) = self.compiled.get(schema) else { return Err(SchemaViolation::UnknownType) };
        validator.check(data).map_err(|violation| match violation {
            SchemaViolation::Invalid { pointer, detail } => {
                let detail = format!("{detail} (version {} of the schema)", schema.version);
                SchemaViolation::Invalid { pointer, detail }
            }
            SchemaViolation::UnknownType => violation,
        })
    }
}

#[cfg(test)]
mod tests;
