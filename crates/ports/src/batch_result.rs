//! Results of batch operations.

use crate::{PortError, PortErrorKind};

/// The result of each item of a batch, in the order of the items; or an error of the entire batch.
pub type BatchResult<T> = Result<Vec<Result<T, PortError>>, PortError>;

/// Separates an error of one item (`Ok(Err(_))`) from an error that affects the entire batch (`Err(_)`). A retry does not
/// resolve the error of one item, and it says nothing about the other items.
pub fn separate_item_error<T>(result: Result<T, PortError>) -> Result<Result<T, PortError>, PortError> {
    match result {
        Err(error) if !is_item_error(error.kind()) => Err(error),
        result => Ok(result),
    }
}

/// Whether an error of this kind affects only one item.
pub const fn is_item_error(kind: PortErrorKind) -> bool {
    matches!(kind, PortErrorKind::Conflict | PortErrorKind::Rejected)
}
