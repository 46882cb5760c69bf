//! Schemas of custom event types: registering versions, and validating events against the versions in force.

mod in_force;
mod registration;
mod validator;

pub use in_force::CachedSchemas;
pub use registration::{RegisteredSchema, SchemaRegistration};
pub(crate) use registration::{RegistrationError, RegistrationFault};
pub use validator::Validator;
