//! The schemas of custom event types: registers versions, and validates events against the versions in force.

mod compiled;
mod in_force;
mod registration;
mod validator;

pub use in_force::{CachedSchemas, ValidationError};
pub use registration::{RegisteredSchema, SchemaRegistration};
pub(crate) use registration::{RegistrationError, RegistrationFault};
pub use validator::Validator;
