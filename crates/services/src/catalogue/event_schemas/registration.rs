//! Registers versions of the schemas of custom event types, and reads them.

use roadcast_domain::event::CustomType;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::limits;
use roadcast_domain::schema::{EventSchema, Incompatibility, SchemaFault, SchemaText, incompatibilities};
use roadcast_domain::strict_json::parse_strict_json;
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::schemas::Schemas;
use roadcast_ports::{PortError, PortErrorKind};
use serde_json::Value;

use super::Validator;
use crate::authz::Admin;
use crate::{InvalidField, ServiceError};

/// Registers the schemas of custom event types.
pub struct SchemaRegistration<Ports: PortSet> {
    /// The registered schemas.
    pub schemas: Ports::Schemas,
    /// The clock.
    pub clock: Ports::Clock,
}

/// The result of a registration.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisteredSchema {
    /// The version in force.
    pub schema: EventSchema,
    /// Whether the version is new: a schema equal to the latest version does not become a new version.
    pub is_new: bool,
}

/// Why a schema is not registered.
#[derive(Debug)]
pub(crate) enum RegistrationError {
    /// The schema is refused. Pointers refer to `{"type", "version", "schema"}`.
    Refused(RegistrationFault, Vec<InvalidField>),
    /// Lost too many concurrent registrations of versions of the same type.
    ConcurrentRegistrations,
    /// A port failed.
    Port(PortError),
}

/// Why a schema is refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum RegistrationFault {
    /// The schema is invalid, uses an unsupported keyword, or is too costly to validate against.
    Schema,
    /// The schema does not allow everything that the latest version allows.
    Incompatible,
    /// The schema would get a different version number.
    Version,
    /// The limit of types or versions is reached.
    LimitReached,
}

impl RegistrationError {
    fn refused(fault: RegistrationFault, pointer: impl Into<JsonPointer>, detail: impl Into<String>) -> Self {
        Self::Refused(fault, vec![InvalidField::new(pointer, detail)])
    }
}

impl From<PortError> for RegistrationError {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

/// Attempts of a registration that conflicts with a concurrent one.
const ATTEMPTS: usize = 3;

impl<Ports: PortSet> SchemaRegistration<Ports> {
    /// Registers a JSON Schema for a custom event type: as the first version, or as the next version if it allows
    /// everything that the latest version allows. Pointers of `Invalid` refer to `{"type", "schema"}`.
    pub async fn register(&self, _admin: &Admin, event_type: &str, schema: &str) -> Result<RegisteredSchema, ServiceError> {
        let event_type: CustomType =
            event_type.parse().map_err(|error| ServiceError::invalid(["type"], format!("{error}")))?;
        // A JSON value takes at least two bytes, so a schema within the size limit never exceeds this number of values.
        let schema = parse_strict_json(schema, limits::SCHEMA_BYTES)
            .map_err(|error| ServiceError::invalid(JsonPointer::from(["schema"]).join(&error.pointer), error.detail))?;
        self.register_version(&event_type, &schema, None).await.map_err(|error| match error {
            RegistrationError::Refused(_, fields) => ServiceError::Invalid(fields),
            RegistrationError::ConcurrentRegistrations => {
                ServiceError::Conflict("other versions of this type are being registered concurrently; retry")
            }
            RegistrationError::Port(error) => error.into(),
        })
    }

    /// Registers a schema as the next version of its type, unless it equals the latest version. If `number` is given, the
    /// version must have that number.
    pub(crate) async fn register_version(
        &self,
        event_type: &CustomType,
        schema: &Value,
        number: Option<u32>,
    ) -> Result<RegisteredSchema, RegistrationError> {
        Validator::compile(schema).map_err(|fault| {
            let SchemaFault { pointer, detail } = fault;
            RegistrationError::refused(RegistrationFault::Schema, JsonPointer::from(["schema"]).join(&pointer), detail)
        })?;
        let check_number = |version: u32| match number {
            Some(number) if number != version => Err(RegistrationError::refused(
                RegistrationFault::Version,
                ["version"],
                format!("the version of this schema would be {version}; omit the version or set it to {version}"),
            )),
            _ => Ok(()),
        };
        for _ in 0..ATTEMPTS {
            let latest = self.latest(event_type).await?;
            let latest_schema = latest.as_ref().map(|latest| latest.schema.parse()).transpose().map_err(unreadable)?;
            if let Some(latest) = latest.as_ref().filter(|_| latest_schema.as_ref() == Some(schema)) {
                check_number(latest.version)?;
                // Stored again, because the earlier registration may have been interrupted.
                self.schemas.put(latest).await?;
                return Ok(RegisteredSchema { schema: latest.clone(), is_new: false });
            }
            let version = latest.as_ref().map_or(1, |latest| latest.version.saturating_add(1));
            check_number(version)?;
            if let Some(latest_schema) = &latest_schema {
                check_compatible(version.saturating_sub(1), latest_schema, schema)?;
            }
            if version > limits::SCHEMA_VERSIONS {
                let detail = format!("the limit of {} versions is reached", limits::SCHEMA_VERSIONS);
                return Err(RegistrationError::refused(RegistrationFault::LimitReached, ["schema"], detail));
            }
            let (event_type, schema, registered_at) = (event_type.clone(), SchemaText::new(schema), self.clock.now());
            let next = EventSchema { event_type, version, schema, registered_at };
            match self.schemas.put(&next).await {
                Ok(()) => return Ok(RegisteredSchema { schema: next, is_new: true }),
                Err(error) if error.kind() == PortErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RegistrationError::ConcurrentRegistrations)
    }

    /// Returns the schemas in force, by type. Every caller may read them: senders must comply with them, and receivers rely
    /// on them.
    pub async fn list(&self) -> Result<Vec<EventSchema>, ServiceError> {
        Ok(self.schemas.latest().await?)
    }

    /// Returns every version of a type's schema, oldest first. Every caller may read them. Fails with `NotFound` if there
    /// is none.
    pub async fn versions(&self, event_type: &CustomType) -> Result<Vec<EventSchema>, ServiceError> {
        let versions = self.schemas.versions(event_type).await?;
        if versions.is_empty() { Err(ServiceError::NotFound) } else { Ok(versions) }
    }

    /// Returns the latest version of the type; `None` if the type is new. Fails with `LimitReached` if a new type would
    /// exceed the limit.
    async fn latest(&self, event_type: &CustomType) -> Result<Option<EventSchema>, RegistrationError> {
        let all = self.schemas.latest().await?;
        let limit_reached = all.len() >= limits::CUSTOM_TYPES;
        let latest = all.into_iter().find(|schema| schema.event_type == *event_type);
        if latest.is_none() && limit_reached {
            let detail = format!("the limit of {} custom event types is reached", limits::CUSTOM_TYPES);
            return Err(RegistrationError::refused(RegistrationFault::LimitReached, ["type"], detail));
        }
        Ok(latest)
    }
}

/// Returns the error of a stored schema that cannot be parsed.
fn unreadable(fault: SchemaFault) -> PortError {
    PortError::new(PortErrorKind::Internal, "parsing a stored schema").caused_by(fault)
}

/// Fails with `Incompatible` if `schema` does not allow everything that `latest`, the schema of `version`, allows.
fn check_compatible(version: u32, latest: &Value, schema: &Value) -> Result<(), RegistrationError> {
    let found = incompatibilities(latest, schema);
    if found.is_empty() {
        return Ok(());
    }
    let fields = found.into_iter().map(|incompatibility| {
        let Incompatibility { pointer, detail } = incompatibility;
        // A property may have been removed together with its parents: the pointer ends at the first missing member.
        let existing = pointer.ancestors().find(|part| schema.pointer(part.as_str()).is_none()).unwrap_or(pointer.clone());
        let missing = if existing == pointer { String::new() } else { format!(" ({pointer})") };
        let detail = format!("incompatible with version {version}: {detail}{missing}; register another type for it");
        InvalidField::new(JsonPointer::from(["schema"]).join(&existing), detail)
    });
    Err(RegistrationError::Refused(RegistrationFault::Incompatible, fields.collect()))
}

#[cfg(test)]
mod tests;
