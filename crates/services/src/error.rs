use roadcast_ports::{PortError, PortErrorKind};

/// Why a use case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// It does not exist, or the caller may not know that it does.
    #[error("not found")]
    NotFound,
    /// The caller may never do this, whatever it is about.
    #[error("forbidden: {0}")]
    Forbidden(&'static str),
    /// What the caller sent cannot be taken.
    #[error("invalid: {0:?}")]
    Invalid(Vec<InvalidField>),
    /// It contradicts what there is.
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// It changed since the caller read it.
    #[error("it changed since it was read")]
    Stale,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// A part of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidField {
    /// JSON pointer into the request's body.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl InvalidField {
    /// A part that is wrong.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

impl ServiceError {
    /// One wrong part.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![InvalidField::new(pointer, detail)])
    }

    /// A port's error, where a conflict means what `conflict` says.
    pub fn or_conflict(error: PortError, conflict: &'static str) -> Self {
        if error.kind() == PortErrorKind::Conflict { Self::Conflict(conflict) } else { Self::Port(error) }
    }
}
