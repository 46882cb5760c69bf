//! Results of batch operations.

use crate::{PortError, PortErrorKind};

/// The result of each item of a batch, in the order of the items; or an error of the entire batch.
pub type BatchResult<T> = Result<Vec<Result<T, PortError>>, PortError>;

/// Appends the result of one item to the results of its batch. Fails if the error affects the entire batch: an error of
/// one item is not resolved by a retry, and it says nothing about the other items.
pub fn push_item_result<T>(results: &mut Vec<Result<T, PortError>>, result: Result<T, PortError>) -> Result<(), PortError> {
    match result {
        Err(error) if !is_item_error(error.kind()) => Err(error),
        result => {
            results.push(result);
            Ok(())
        }
    }
}

/// Whether an error of this kind affects only one item.
pub const fn is_item_error(kind: PortErrorKind) -> bool {
    matches!(kind, PortErrorKind::Conflict | PortErrorKind::Rejected)
}
