//! Conversion of the errors of `TransactWriteItems`.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use roadcast_ports::{PortError, PortErrorKind};

use crate::sdk_error::{kind_of, kind_of_code};

/// The cause of a cancelled transaction.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum CancellationCause {
    /// A condition was not met.
    Condition,
    /// Another transaction held one of the items.
    Conflict,
    /// The request rate was too high.
    Throttled,
    /// Any other cause.
    Other,
}

/// Returns the cause if the error is a cancelled transaction.
pub(crate) fn cancellation_cause(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> Option<CancellationCause> {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return None;
    };
    let codes: Vec<&str> = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code()).collect();
    Some(decisive_cause(&codes))
}

/// Returns the cause that decides about a retry. A failed condition takes precedence, because a retry cannot help then.
fn decisive_cause(codes: &[&str]) -> CancellationCause {
    let any = |kind: PortErrorKind| codes.iter().any(|code| kind_of_code(code) == kind);
    if codes.contains(&"ConditionalCheckFailed") {
        CancellationCause::Condition
    } else if any(PortErrorKind::Conflict) {
        CancellationCause::Conflict
    } else if any(PortErrorKind::Throttled) {
        CancellationCause::Throttled
    } else {
        CancellationCause::Other
    }
}

/// Converts the error of a failed transaction.
pub(crate) fn transaction_error(context: &'static str, error: SdkError<TransactWriteItemsError, HttpResponse>) -> PortError {
    let kind = match cancellation_cause(&error) {
        Some(CancellationCause::Condition | CancellationCause::Conflict) => PortErrorKind::Conflict,
        Some(CancellationCause::Throttled) => PortErrorKind::Throttled,
        Some(CancellationCause::Other) => PortErrorKind::Rejected,
        None => kind_of(&error),
    };
    PortError::new(kind, context).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_condition_takes_precedence_as_cancellation_cause() {
        assert_eq!(decisive_cause(&["None", "TransactionConflict", "ConditionalCheckFailed"]), CancellationCause::Condition);
        assert_eq!(decisive_cause(&["None", "TransactionConflict"]), CancellationCause::Conflict);
        assert_eq!(decisive_cause(&["ThrottlingError", "None"]), CancellationCause::Throttled);
        assert_eq!(decisive_cause(&["ValidationError"]), CancellationCause::Other);
    }
}
