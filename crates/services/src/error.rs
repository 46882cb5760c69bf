use roadcast_domain::Timestamp;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_ports::{PortError, PortErrorKind};

/// Why a use case failed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The resource does not exist, or the caller must not learn that it exists.
    #[error("not found")]
    NotFound,
    /// The caller's role never permits this operation.
    #[error("forbidden: {0}")]
    Forbidden(&'static str),
    /// The request contains invalid fields.
    #[error("invalid: {0:?}")]
    Invalid(Vec<InvalidField>),
    /// The request conflicts with the current state.
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// The resource changed after the caller read it.
    #[error("the resource was modified since it was read; read it again and retry")]
    Stale,
    /// The request starts at a time whose data is no longer retained.
    #[error("data before {available_from} is no longer retained")]
    Expired {
        /// The time from which on all data is available.
        available_from: Timestamp,
    },
    /// A single item of the response exceeds the size of a response.
    #[error("an item of the response exceeds the size limit; select fewer signals")]
    ResponseTooLarge,
    /// What the caller may see changed repeatedly while the request was processed.
    #[error("the entitlement changed while the request was processed; retry")]
    EntitlementChanged,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// An invalid field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidField {
    /// JSON pointer into the request's body.
    pub pointer: JsonPointer,
    /// Why the field is invalid.
    pub detail: String,
}

impl InvalidField {
    /// An invalid field at `pointer`.
    pub fn new(pointer: impl Into<JsonPointer>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

impl ServiceError {
    /// [`Invalid`](Self::Invalid) with a single field.
    pub fn invalid(pointer: impl Into<JsonPointer>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![InvalidField::new(pointer, detail)])
    }

    /// Converts a port's error; a conflict becomes [`Conflict`](Self::Conflict) with the text `conflict`.
    pub fn or_conflict(error: PortError, conflict: &'static str) -> Self {
        if error.kind() == PortErrorKind::Conflict { Self::Conflict(conflict) } else { Self::Port(error) }
    }
}
