//! Schemas of custom event types: which are taken, when a version may follow another, and how data is held against them.
//!
//! A schema is JSON Schema 2020-12 in a closed vocabulary ([`check`]). Versions of one type are compatible
//! ([`incompatibilities`]): whatever a version allows, every later one allows too. So it never matters that somebody who judges
//! data knows an older version only, unless it refuses.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;
use crate::event::CustomType;

mod compatibility;
mod strict;
mod vocabulary;

pub use compatibility::{Incompatibility, incompatibilities};
pub use strict::{NotStrict, read_strictly};
pub use vocabulary::{FORMATS, Pattern, check};

/// A version of the schema of a custom event type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSchema {
    /// The type.
    pub event_type: CustomType,
    /// 1, 2 and so on.
    pub version: u32,
    /// What data of the type is.
    pub schema: Value,
    /// When the version was registered.
    pub registered_at: Timestamp,
}

/// A part of a schema that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer:?}: {detail}")]
pub struct SchemaFault {
    /// JSON pointer into the schema.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
}

impl SchemaFault {
    /// A fault.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// The schemas in force, as the judgement of an event asks for them.
pub trait SchemaRegistry {
    /// Holds data against the schema of its type.
    fn check(&self, event_type: &CustomType, data: &Value) -> Result<(), SchemaViolation>;
}

/// Why data was not found to be of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaViolation {
    /// Nobody registered a schema for the type.
    UnknownType,
    /// The data is not what the schema says.
    Invalid {
        /// JSON pointer into the data, to the first fault in the order of pointers.
        pointer: String,
        /// What is wrong, without values of the data.
        detail: String,
    },
}

/// No schema at all.
#[derive(Copy, Clone, Debug, Default)]
pub struct NoSchemas;

impl SchemaRegistry for NoSchemas {
    fn check(&self, _: &CustomType, _: &Value) -> Result<(), SchemaViolation> {
        Err(SchemaViolation::UnknownType)
    }
}

/// The pointer to a member or an element of what a pointer names.
pub fn pointer_to(parent: &str, token: &str) -> String {
    format!("{parent}/{}", token.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests;
