//! Secrets Manager adapter: the secret of the stack.

mod source;

pub use source::SecretsManagerSource;
