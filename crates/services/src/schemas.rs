//! Custom event types: registering their schemas, and judging events by those in force.

use roadcast_domain::caller::Caller;
use roadcast_domain::event::CustomType;
use roadcast_domain::limits;
use roadcast_domain::schema::{EventSchema, SchemaFault, incompatibilities, read_strictly};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::Clock;
use roadcast_ports::schemas::Schemas;
use serde_json::Value;

use crate::{ServiceError, Wrong};

mod in_force;
mod validator;

pub use in_force::CachedSchemas;
pub use validator::Validator;

/// Keeps the schemas of custom event types.
pub struct SchemaRegister<P, K> {
    /// Where they are kept.
    pub schemas: P,
    /// The time.
    pub clock: K,
}

/// What became of a schema that was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    /// The version in force.
    pub schema: EventSchema,
    /// Whether it is a new one: a schema that says what the latest version says is that version.
    pub is_new: bool,
}

/// Tries where somebody else registers a version of the same type.
const TRIES: usize = 3;

impl<P: Schemas, K: Clock> SchemaRegister<P, K> {
    /// Registers a schema, in JSON, for a custom event type: as its first version, or as the next one where it allows all that
    /// the latest version allows. Pointers in what is wrong go into `{"type", "schema"}`.
    pub async fn register(&self, caller: &Caller, event_type: &str, schema: &str) -> Result<Registered, ServiceError> {
        admin(caller)?;
        let event_type: CustomType =
            event_type.parse().map_err(|error| ServiceError::invalid("/type", format!("{error}")))?;
        let schema = read(schema)?;
        for _ in 0..TRIES {
            let next = match self.latest(&event_type).await? {
                Some(latest) if latest.schema == schema => {
                    // Once more, since whoever kept it may not have got to the end.
                    self.schemas.put(&latest).await?;
                    return Ok(Registered { schema: latest, is_new: false });
                }
                Some(latest) => {
                    refuse_incompatible(&latest, &schema)?;
                    latest.version.saturating_add(1)
                }
                None => 1,
            };
            let next = EventSchema {
                event_type: event_type.clone(),
                version: next,
                schema: schema.clone(),
                registered_at: self.clock.now(),
            };
            match self.schemas.put(&next).await {
                Ok(()) => return Ok(Registered { schema: next, is_new: true }),
                Err(error) if error.kind() == PortErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ServiceError::Conflict("other versions of this type are being registered"))
    }

    /// The schemas in force, by type.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<EventSchema>, ServiceError> {
        admin(caller)?;
        Ok(self.schemas.latest().await?)
    }

    /// Every version of a type's schema, the first one first.
    pub async fn versions(&self, caller: &Caller, event_type: &CustomType) -> Result<Vec<EventSchema>, ServiceError> {
        admin(caller)?;
        let versions = self.schemas.versions(event_type).await?;
        if versions.is_empty() { Err(ServiceError::NotFound) } else { Ok(versions) }
    }

    /// The latest version of the type, unless it is new and there is no room for another type.
    async fn latest(&self, event_type: &CustomType) -> Result<Option<EventSchema>, ServiceError> {
        let all = self.schemas.latest().await?;
        let is_full = all.len() >= limits::CUSTOM_TYPES;
        let latest = all.into_iter().find(|schema| schema.event_type == *event_type);
        if latest.is_none() && is_full {
            let detail = format!("there are {} custom event types, and no more may be", limits::CUSTOM_TYPES);
            return Err(ServiceError::invalid("/type", detail));
        }
        Ok(latest)
    }
}

/// The schema of that text, if it is one that is taken.
fn read(schema: &str) -> Result<Value, ServiceError> {
    let wrong = |SchemaFault { pointer, detail }: SchemaFault| ServiceError::invalid(format!("/schema{pointer}"), detail);
    // A value takes two bytes at least, so this many are never too many.
    let value =
        read_strictly(schema, limits::SCHEMA_BYTES).map_err(|error| wrong(SchemaFault::new("", error.to_string())))?;
    Validator::of(&value).map_err(wrong)?;
    Ok(value)
}

fn refuse_incompatible(latest: &EventSchema, schema: &Value) -> Result<(), ServiceError> {
    let found = incompatibilities(&latest.schema, schema);
    if found.is_empty() {
        return Ok(());
    }
    let version = latest.version;
    let wrong = found.into_iter().map(|one| {
        let detail = format!("incompatible with version {version}: {}; register another type for it", one.detail);
        Wrong::new(format!("/schema{}", one.pointer), detail)
    });
    Err(ServiceError::Invalid(wrong.collect()))
}

fn admin(caller: &Caller) -> Result<(), ServiceError> {
    match caller {
        Caller::Admin(_) => Ok(()),
        Caller::Fleet(_) | Caller::Ingest(_) => Err(ServiceError::Forbidden("only admins keep event schemas")),
    }
}

#[cfg(test)]
mod tests;
