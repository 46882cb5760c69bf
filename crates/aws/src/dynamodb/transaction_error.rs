//! Conversion of the errors of `TransactWriteItems`.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use roadcast_ports::{PortError, PortErrorKind};

use crate::sdk_error::{kind_of, kind_of_code};

/// How a failed transaction can be committed again at once.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Repetition {
    /// With another token: the transaction was cancelled because another one held an item.
    NewRequest,
    /// With the same token: an earlier attempt of the request is in progress, and may be committed.
    SameRequest,
}

/// Returns how the transaction can be committed again at once; `None` if it cannot.
pub(crate) fn repetition(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> Option<Repetition> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionInProgressException(_)) => Some(Repetition::SameRequest),
        _ => (cancellation_cause(error) == Some(CancellationCause::Conflict)).then_some(Repetition::NewRequest),
    }
}

/// The cause of a cancelled transaction.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum CancellationCause {
    /// A condition was not met.
    Condition,
    /// Another transaction held one of the items.
    Conflict,
    /// The request rate was too high.
    Throttled,
    /// An item was refused because of its data, such as its size.
    Refused,
    /// Any other cause.
    Other,
}

/// Returns the cause if the error is a cancelled transaction.
fn cancellation_cause(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> Option<CancellationCause> {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return None;
    };
    let reasons = cancelled.cancellation_reasons().iter();
    let reasons: Vec<(&str, &str)> =
        reasons.filter_map(|reason| Some((reason.code()?, reason.message().unwrap_or_default()))).collect();
    Some(decisive_cause(&reasons))
}

/// Returns the cause that decides about a retry, of the codes and messages of all reasons. A failed condition takes
/// precedence, because a retry cannot help then.
fn decisive_cause(reasons: &[(&str, &str)]) -> CancellationCause {
    let any = |kind: PortErrorKind| reasons.iter().any(|(code, message)| kind_of_code(code, message) == kind);
    if reasons.iter().any(|(code, _)| *code == "ConditionalCheckFailed") {
        CancellationCause::Condition
    } else if any(PortErrorKind::Conflict) {
        CancellationCause::Conflict
    } else if any(PortErrorKind::Throttled) {
        CancellationCause::Throttled
    } else if any(PortErrorKind::Rejected) {
        CancellationCause::Refused
    } else {
        CancellationCause::Other
    }
}

/// Converts the error of a failed transaction.
pub(crate) fn transaction_error(context: &'static str, error: SdkError<TransactWriteItemsError, HttpResponse>) -> PortError {
    let kind = match cancellation_cause(&error) {
        Some(CancellationCause::Condition | CancellationCause::Conflict) => PortErrorKind::Conflict,
        Some(CancellationCause::Throttled) => PortErrorKind::Throttled,
        Some(CancellationCause::Refused) => PortErrorKind::Rejected,
        Some(CancellationCause::Other) => PortErrorKind::Internal,
        None => kind_of(&error),
    };
    PortError::new(kind, context).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_condition_takes_precedence_as_cancellation_cause() {
        let cause = |codes: &[&str]| decisive_cause(&codes.iter().map(|code| (*code, "")).collect::<Vec<_>>());
        assert_eq!(cause(&["None", "TransactionConflict", "ConditionalCheckFailed"]), CancellationCause::Condition);
        assert_eq!(cause(&["None", "TransactionConflict", "ThrottlingError"]), CancellationCause::Conflict);
    }

    /// The codes of a cancellation, with their messages (`TransactionCanceledException`, `DynamoDB` API Reference).
    #[test]
    fn every_documented_cancellation_code_has_a_cause() {
        use CancellationCause::{Condition, Conflict, Other, Refused, Throttled};
        for (code, message, cause) in [
            ("ConditionalCheckFailed", "The conditional request failed", Condition),
            ("ItemCollectionSizeLimitExceeded", "Collection size exceeded.", Other),
            ("TransactionConflict", "Transaction is ongoing for the item.", Conflict),
            ("ProvisionedThroughputExceeded", "The level of configured provisioned throughput was exceeded.", Throttled),
            ("ThrottlingError", "Throughput exceeds the current capacity of your table or index.", Throttled),
            ("ValidationError", "One or more parameter values were invalid.", Other),
            (
                "ValidationError",
                "Number overflow. Attempting to store a number with magnitude larger than supported.",
                Other,
            ),
            ("ValidationError", "Item size has exceeded the maximum allowed size", Refused),
            ("ValidationError", "Item size to update has exceeded the maximum allowed size.", Refused),
        ] {
            assert_eq!(decisive_cause(&[("None", ""), (code, message)]), cause, "{code}: {message}");
        }
    }
}
