//! Schemas of custom event types: which schemas are supported, which new versions are compatible, and validation of data.
//!
//! A schema is JSON Schema 2020-12 in a closed vocabulary ([`check`]). Versions of one type are compatible
//! ([`incompatibilities`]): data that is valid under a version is valid under every later one. So data that an older
//! version accepts is valid. Only data that an older version refuses must be checked against the latest version.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;
use crate::event::CustomType;
use crate::json_pointer::JsonPointer;

mod compatibility;
mod keywords;
mod text;
mod vocabulary;

pub use compatibility::{Incompatibility, incompatibilities};
pub use keywords::FORMATS;
pub use text::SchemaText;
pub use vocabulary::{Pattern, check};

/// A version of the schema of a custom event type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSchema {
    /// The event type.
    pub event_type: CustomType,
    /// The version: 1, 2 and so on.
    pub version: u32,
    /// The JSON Schema of the data.
    pub schema: SchemaText,
    /// When the version was registered.
    pub registered_at: Timestamp,
}

/// An invalid or unsupported part of a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{:?}: {detail}", pointer.as_str())]
pub struct SchemaFault {
    /// JSON pointer to the part.
    pub pointer: JsonPointer,
    /// What is wrong and what is allowed.
    pub detail: String,
}

impl SchemaFault {
    /// Creates a fault.
    pub fn new(pointer: impl Into<JsonPointer>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// The schemas in force, for the validation of events.
pub trait SchemaRegistry {
    /// Validates data against the schema of its event type.
    fn check(&self, event_type: &CustomType, data: &Value) -> Result<(), SchemaViolation>;
}

/// Why data does not conform to its event type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaViolation {
    /// No schema is registered for the event type.
    UnknownType,
    /// The schema does not allow the data.
    Invalid {
        /// JSON pointer into the data: the first fault in the order of pointers.
        pointer: JsonPointer,
        /// What is wrong. Contains no values of the data.
        detail: String,
    },
}

/// A registry without schemas: every custom event type is unknown.
#[derive(Copy, Clone, Debug, Default)]
pub struct NoSchemas;

impl SchemaRegistry for NoSchemas {
    fn check(&self, _: &CustomType, _: &Value) -> Result<(), SchemaViolation> {
        Err(SchemaViolation::UnknownType)
    }
}

#[cfg(test)]
mod tests;
