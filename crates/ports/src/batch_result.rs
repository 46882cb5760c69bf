//! Answers to many things at once.

use crate::{PortError, PortErrorKind};

/// What became of each of many things, in their order; or an error that is of all of them.
pub type BatchResult<T> = Result<Vec<Result<T, PortError>>, PortError>;

/// Tells an error of one thing, which another try does not mend and which says nothing of the others, from one of all.
pub fn per_item<T>(answer: Result<T, PortError>) -> Result<Result<T, PortError>, PortError> {
    match answer {
        Err(error) if !is_per_item(error.kind()) => Err(error),
        answer => Ok(answer),
    }
}

/// Whether an error of that kind is of one thing alone.
pub const fn is_per_item(kind: PortErrorKind) -> bool {
    matches!(kind, PortErrorKind::Conflict | PortErrorKind::Rejected)
}
