//! Custom event types: registering their schemas, and judging events by those in force.

use roadcast_domain::caller::Caller;
use roadcast_domain::event::CustomType;
use roadcast_domain::limits;
use roadcast_domain::schema::{EventSchema, SchemaFault, incompatibilities, read_strictly};
use roadcast_ports::clock::Clock;
use roadcast_ports::schemas::Schemas;
use roadcast_ports::{PortError, PortErrorKind};
use serde_json::Value;

use super::Validator;
use crate::{InvalidField, ServiceError};

/// Keeps the schemas of custom event types.
pub struct SchemaRegistration<P, K> {
    /// Where they are kept.
    pub schemas: P,
    /// The time.
    pub clock: K,
}

/// What became of a schema that was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisteredSchema {
    /// The version in force.
    pub schema: EventSchema,
    /// Whether it is a new one: a schema that says what the latest version says is that version.
    pub is_new: bool,
}

/// Why a schema is not kept.
#[derive(Debug)]
pub(crate) enum RegistrationError {
    /// It is not one that is taken. Pointers go into `{"type", "version", "schema"}`.
    InvalidField(RegistrationFault, Vec<InvalidField>),
    /// Others are registering versions of the same type.
    Busy,
    /// A port failed.
    Port(PortError),
}

/// What is wrong with a schema that is not kept.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum RegistrationFault {
    /// It is no schema of the vocabulary, or too costly.
    Schema,
    /// It does not allow all that the latest version allows.
    Incompatible,
    /// It would have another number.
    Version,
    /// There are as many types or versions as there may be.
    Full,
}

impl RegistrationError {
    fn wrong(fault: RegistrationFault, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::InvalidField(fault, vec![InvalidField::new(pointer, detail)])
    }
}

impl From<PortError> for RegistrationError {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

/// Tries where somebody else registers a version of the same type.
const TRIES: usize = 3;

impl<P: Schemas, K: Clock> SchemaRegistration<P, K> {
    /// Registers a schema, in JSON, for a custom event type: as its first version, or as the next one where it allows all that
    /// the latest version allows. Pointers in what is wrong go into `{"type", "schema"}`.
    pub async fn register(&self, caller: &Caller, event_type: &str, schema: &str) -> Result<RegisteredSchema, ServiceError> {
        admin(caller)?;
        let event_type: CustomType =
            event_type.parse().map_err(|error| ServiceError::invalid("/type", format!("{error}")))?;
        // A value takes two bytes at least, so this many are never too many.
        let schema = read_strictly(schema, limits::SCHEMA_BYTES)
            .map_err(|error| ServiceError::invalid("/schema", error.to_string()))?;
        self.keep(&event_type, &schema, None).await.map_err(|refused| match refused {
            RegistrationError::InvalidField(_, wrong) => ServiceError::Invalid(wrong),
            RegistrationError::Busy => ServiceError::Conflict("other versions of this type are being registered"),
            RegistrationError::Port(error) => error.into(),
        })
    }

    /// Keeps a schema as the next version of its type's, unless it is the latest one already; of that number, where one is given.
    pub(crate) async fn keep(
        &self,
        event_type: &CustomType,
        schema: &Value,
        number: Option<u32>,
    ) -> Result<RegisteredSchema, RegistrationError> {
        Validator::of(schema).map_err(|fault| {
            let SchemaFault { pointer, detail } = fault;
            RegistrationError::wrong(RegistrationFault::Schema, format!("/schema{pointer}"), detail)
        })?;
        let is_called = |version: u32| match number {
            Some(number) if number != version => Err(RegistrationError::wrong(
                RegistrationFault::Version,
                "/version",
                format!("it would be version {version}"),
            )),
            _ => Ok(()),
        };
        for _ in 0..TRIES {
            let latest = self.latest(event_type).await?;
            if let Some(latest) = latest.as_ref().filter(|latest| latest.schema == *schema) {
                is_called(latest.version)?;
                // Once more, since whoever kept it may not have got to the end.
                self.schemas.put(latest).await?;
                return Ok(RegisteredSchema { schema: latest.clone(), is_new: false });
            }
            let version = latest.as_ref().map_or(1, |latest| latest.version.saturating_add(1));
            is_called(version)?;
            if let Some(latest) = &latest {
                refuse_incompatible(latest, schema)?;
            }
            if version > limits::SCHEMA_VERSIONS {
                let detail = format!("there are {} versions, and no more may be", limits::SCHEMA_VERSIONS);
                return Err(RegistrationError::wrong(RegistrationFault::Full, "/schema", detail));
            }
            let (event_type, schema, registered_at) = (event_type.clone(), schema.clone(), self.clock.now());
            let next = EventSchema { event_type, version, schema, registered_at };
            match self.schemas.put(&next).await {
                Ok(()) => return Ok(RegisteredSchema { schema: next, is_new: true }),
                Err(error) if error.kind() == PortErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RegistrationError::Busy)
    }

    /// The schemas in force, by type. Everybody may know them: whoever sends such events must keep to them, and whoever gets them
    /// relies on them.
    pub async fn list(&self, _caller: &Caller) -> Result<Vec<EventSchema>, ServiceError> {
        Ok(self.schemas.latest().await?)
    }

    /// Every version of a type's schema, the first one first, for everybody.
    pub async fn versions(&self, _caller: &Caller, event_type: &CustomType) -> Result<Vec<EventSchema>, ServiceError> {
        let versions = self.schemas.versions(event_type).await?;
        if versions.is_empty() { Err(ServiceError::NotFound) } else { Ok(versions) }
    }

    /// The latest version of the type, unless it is new and there is no room for another type.
    async fn latest(&self, event_type: &CustomType) -> Result<Option<EventSchema>, RegistrationError> {
        let all = self.schemas.latest().await?;
        let is_full = all.len() >= limits::CUSTOM_TYPES;
        let latest = all.into_iter().find(|schema| schema.event_type == *event_type);
        if latest.is_none() && is_full {
            let detail = format!("there are {} custom event types, and no more may be", limits::CUSTOM_TYPES);
            return Err(RegistrationError::wrong(RegistrationFault::Full, "/type", detail));
        }
        Ok(latest)
    }
}

fn refuse_incompatible(latest: &EventSchema, schema: &Value) -> Result<(), RegistrationError> {
    let found = incompatibilities(&latest.schema, schema);
    if found.is_empty() {
        return Ok(());
    }
    let version = latest.version;
    let wrong = found.into_iter().map(|one| {
        let place = as_far_as_it_leads(schema, &one.pointer);
        let gone = if place.len() < one.pointer.len() { format!(" ({})", one.pointer) } else { String::new() };
        let detail = format!("incompatible with version {version}: {}{gone}; register another type for it", one.detail);
        InvalidField::new(format!("/schema{place}"), detail)
    });
    Err(RegistrationError::InvalidField(RegistrationFault::Incompatible, wrong.collect()))
}

/// The pointer up to the first member that is missing: what is gone may have gone with all that it was in.
fn as_far_as_it_leads<'p>(schema: &Value, pointer: &'p str) -> &'p str {
    let ends = pointer.match_indices('/').map(|(place, _)| place).skip(1).chain([pointer.len()]);
    let missing = ends.map(|end| &pointer[..end]).find(|part| schema.pointer(part).is_none());
    missing.unwrap_or(pointer)
}

fn admin(caller: &Caller) -> Result<(), ServiceError> {
    match caller {
        Caller::Admin(_) => Ok(()),
        Caller::Fleet(_) | Caller::Ingest(_) => Err(ServiceError::Forbidden("only admins keep event schemas")),
    }
}

#[cfg(test)]
mod tests;
