//! The schemas in force, remembered and compiled, and the judgement by them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use roadcast_domain::Timestamp;
use roadcast_domain::cloudevent::Envelope;
use roadcast_domain::event::CustomType;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::refusal::Refusal;
use roadcast_domain::schema::{EventSchema, NoSchemas, SchemaRegistry, SchemaViolation};
use roadcast_domain::validation::{ValidationOutcome, validate_event};
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::schemas::Schemas;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Validator;
use crate::cache::TTL_MS;

/// The schemas in force, remembered until their version is another, and asked for that every [`TTL_MS`]. A schema is compiled when
/// data is first held against it, and once.
pub struct CachedSchemas<P, K> {
    schemas: P,
    clock: K,
    known: Mutex<Option<CachedVersion>>,
}

/// What was read.
#[derive(Clone)]
struct CachedVersion {
    /// When it was last found to be in force.
    asked: Timestamp,
    version: u64,
    schemas_in_force: Arc<SchemasInForce>,
}

#[derive(Default)]
struct SchemasInForce(HashMap<CustomType, Arc<SchemaInForce>>);

struct SchemaInForce {
    schema: EventSchema,
    /// Nothing where the schema cannot be compiled.
    validator: OnceLock<Option<Validator>>,
}

impl<P: Schemas, K: Clock> CachedSchemas<P, K> {
    /// Remembers what `schemas` answers.
    pub fn new(schemas: P, clock: K) -> Self {
        Self { schemas, clock, known: Mutex::new(None) }
    }

    /// Judges an event, whatever its type, by the schemas in force.
    ///
    /// What an older version of a schema allows, every newer one allows, so a schema that is remembered never takes what it should
    /// not. But it may refuse what was registered since: so an event is refused only by what was in force when it was received,
    /// or later. Nobody is told that a type is unknown which he was told is registered, and what HTTP took, the stream takes.
    pub async fn validate(
        &self,
        envelope: &Envelope<'_>,
        data: &RawValue,
        vid: &VehicleId,
        received: Timestamp,
    ) -> Result<Result<ValidationOutcome, Refusal>, PortError> {
        if envelope.event_type.parse::<CustomType>().is_err() {
            return Ok(validate_event(envelope, data, vid, received, &NoSchemas));
        }
        let known = self.asked_since(self.clock.now().plus_ms(1 - TTL_MS)).await?;
        let validated = validate_event(envelope, data, vid, received, &*known.schemas_in_force);
        if validated.is_ok() || known.asked >= received {
            return Ok(validated);
        }
        let known = self.asked_since(received).await?;
        Ok(validate_event(envelope, data, vid, received, &*known.schemas_in_force))
    }

    /// What is in force, found to be so at that time or later.
    async fn asked_since(&self, time: Timestamp) -> Result<CachedVersion, PortError> {
        let now = self.clock.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = &known
            && known.asked >= time
            && known.asked <= now
        {
            return Ok(known.clone());
        }
        let version = self.schemas.version().await?;
        let schemas_in_force = match known {
            Some(known) if known.version == version => known.schemas_in_force,
            known => Arc::new(SchemasInForce::of(
                self.schemas.latest().await?,
                known.as_ref().map(|known| &*known.schemas_in_force),
            )),
        };
        let known = CachedVersion { asked: now, version, schemas_in_force };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known)
    }
}

impl SchemasInForce {
    /// Those schemas; what of them was compiled before stays so.
    fn of(schemas: Vec<EventSchema>, before: Option<&Self>) -> Self {
        let entry = |schema: EventSchema| {
            let same = before.and_then(|before| before.0.get(&schema.event_type));
            let entry = match same.filter(|entry| entry.schema.version == schema.version) {
                Some(entry) => Arc::clone(entry),
                None => Arc::new(SchemaInForce { schema, validator: OnceLock::new() }),
            };
            (entry.schema.event_type.clone(), entry)
        };
        Self(schemas.into_iter().map(entry).collect())
    }
}

impl SchemaRegistry for SchemasInForce {
    fn check(&self, event_type: &CustomType, data: &Value) -> Result<(), SchemaViolation> {
        let Some(entry) = self.0.get(event_type) else { return Err(SchemaViolation::UnknownType) };
        let validator = entry.validator.get_or_init(|| {
            let compiled = Validator::of(&entry.schema.schema);
            if let Err(fault) = &compiled {
                let version = entry.schema.version;
                tracing::error!(event_type = event_type.as_str(), version, "the schema in force cannot be used: {fault}");
            }
            compiled.ok()
        });
        let Some(validator) = validator else { return Err(SchemaViolation::UnknownType) };
        validator.check(data).map_err(|misfit| match misfit {
            SchemaViolation::Invalid { pointer, detail } => {
                let detail = format!("{detail}, by version {} of the type's schema", entry.schema.version);
                SchemaViolation::Invalid { pointer, detail }
            }
            SchemaViolation::UnknownType => misfit,
        })
    }
}
