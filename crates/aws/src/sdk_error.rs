//! What an SDK error means to a caller of a port.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use roadcast_ports::{PortError, PortErrorKind};

/// The port's error for an SDK error of any service; `context` says what was being done.
pub(crate) fn port_error<E>(context: &'static str, error: SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    PortError::new(kind_of(&error), context).caused_by(error)
}

/// What the caller should do about an SDK error.
pub(crate) fn kind_of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> PortErrorKind {
    match error {
        SdkError::TimeoutError(_) => PortErrorKind::TimedOut,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => PortErrorKind::TimedOut,
        SdkError::ServiceError(answer) => kind_of_answer(answer.err().code(), answer.raw().status().as_u16()),
        // Never sent: what was asked for could not be put into a request.
        SdkError::ConstructionFailure(_) => PortErrorKind::Rejected,
        // Not reached, or answered by what is not the service.
        _ => PortErrorKind::Unavailable,
    }
}

/// What a service's error code and HTTP status mean.
fn kind_of_answer(code: Option<&str>, status: u16) -> PortErrorKind {
    match code.map_or(PortErrorKind::Rejected, kind_of_code) {
        PortErrorKind::Rejected if status == 429 => PortErrorKind::Throttled,
        PortErrorKind::Rejected if status >= 500 => PortErrorKind::Unavailable,
        kind => kind,
    }
}

/// What an error code means, as far as it tells by itself; also for the codes in the results of batches.
pub(crate) fn kind_of_code(code: &str) -> PortErrorKind {
    // Query-protocol services put a namespace before the name, JSON ones sometimes a shape id.
    let name = code.rsplit(['.', '#']).next().unwrap_or(code);
    match name {
        "ProvisionedThroughputExceededException"
        | "ProvisionedThroughputExceeded"
        | "ThrottlingException"
        | "ThrottlingError"
        | "Throttling"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "LimitExceededException"
        | "OverLimit"
        | "TooManyRequestsException"
        | "ExecutionLimitExceeded"
        | "KMSThrottlingException"
        | "KmsThrottlingException"
        | "KmsThrottled"
        | "SlowDown"
        | "QueueDeletedRecently"
        | "BandwidthLimitExceeded" => PortErrorKind::Throttled,
        "ConditionalCheckFailedException"
        | "ConditionalCheckFailed"
        | "TransactionCanceledException"
        | "TransactionConflictException"
        | "TransactionConflict"
        | "TransactionInProgressException"
        | "ConcurrentModificationException"
        | "OperationAborted"
        | "PreconditionFailed"
        // What it names is not there, or never was.
        | "ReceiptHandleIsInvalid" => PortErrorKind::Conflict,
        "RequestTimeout" | "RequestTimeoutException" => PortErrorKind::TimedOut,
        "InternalFailure"
        | "InternalException"
        | "InternalError"
        | "InternalErrorException"
        | "InternalServerError"
        | "InternalFailureException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => PortErrorKind::Unavailable,
        _ => PortErrorKind::Rejected,
    }
}

/// What cancelled a transaction.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// A condition did not hold.
    Condition,
    /// Another transaction was at one of the items at that moment.
    Busy,
    /// Too fast.
    Throttled,
    /// Something else.
    Other,
}

/// What cancelled a transaction, if cancelled it was.
pub(crate) fn cancellation(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> Option<Cancelled> {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return None;
    };
    let codes: Vec<&str> = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code()).collect();
    Some(strongest(&codes))
}

/// A condition that failed decides, whatever else went wrong: trying again cannot help.
fn strongest(codes: &[&str]) -> Cancelled {
    let any = |kind: PortErrorKind| codes.iter().any(|code| kind_of_code(code) == kind);
    if codes.contains(&"ConditionalCheckFailed") {
        Cancelled::Condition
    } else if any(PortErrorKind::Conflict) {
        Cancelled::Busy
    } else if any(PortErrorKind::Throttled) {
        Cancelled::Throttled
    } else {
        Cancelled::Other
    }
}

/// The port's error for a transaction that did not go through.
pub(crate) fn transaction_error(context: &'static str, error: SdkError<TransactWriteItemsError, HttpResponse>) -> PortError {
    let kind = match cancellation(&error) {
        Some(Cancelled::Condition | Cancelled::Busy) => PortErrorKind::Conflict,
        Some(Cancelled::Throttled) => PortErrorKind::Throttled,
        Some(Cancelled::Other) => PortErrorKind::Rejected,
        None => kind_of(&error),
    };
    PortError::new(kind, context).caused_by(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use aws_sdk_dynamodb::config::http::HttpResponse;
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_dynamodb::operation::put_item::PutItemError;

    fn service_error(code: &str, status: u16) -> SdkError<PutItemError, HttpResponse> {
        let error = PutItemError::generic(ErrorMetadata::builder().code(code).build());
        SdkError::service_error(error, HttpResponse::new(status.try_into().unwrap(), "".into()))
    }

    fn check(code: &str, status: u16, expect: PortErrorKind) {
        assert_eq!(port_error("test", service_error(code, status)).kind(), expect, "{code} {status}");
    }

    #[test]
    fn too_fast_is_throttled_whatever_its_status() {
        for code in [
            "ProvisionedThroughputExceededException",
            "ThrottlingException",
            "RequestLimitExceeded",
            "KMSThrottlingException",
        ] {
            check(code, 400, PortErrorKind::Throttled);
        }
        check("SlowDown", 503, PortErrorKind::Throttled);
        check("AWS.SimpleQueueService.RequestThrottled", 403, PortErrorKind::Throttled);
        check("Anything", 429, PortErrorKind::Throttled);
    }

    #[test]
    fn a_condition_that_did_not_hold_is_a_conflict() {
        check("ConditionalCheckFailedException", 400, PortErrorKind::Conflict);
        check("TransactionConflictException", 400, PortErrorKind::Conflict);
    }

    #[test]
    fn a_failing_service_is_unavailable_and_a_refusal_is_final() {
        check("InternalServerError", 500, PortErrorKind::Unavailable);
        check("Whatever", 502, PortErrorKind::Unavailable);
        check("InternalFailure", 400, PortErrorKind::Unavailable);
        check("ValidationException", 400, PortErrorKind::Rejected);
        check("AccessDeniedException", 400, PortErrorKind::Rejected);
    }

    #[test]
    fn no_answer_in_time_may_have_applied() {
        let late: SdkError<PutItemError, HttpResponse> = SdkError::timeout_error("slow");
        assert_eq!(port_error("test", late).kind(), PortErrorKind::TimedOut);
    }

    #[test]
    fn the_cause_is_kept_for_the_log() {
        let error = port_error("test", service_error("ValidationException", 400));
        assert!(error.source().unwrap().source().unwrap().to_string().contains("ValidationException"));
    }

    #[test]
    fn a_failed_condition_decides_over_whatever_else_cancelled_the_transaction() {
        assert_eq!(strongest(&["None", "TransactionConflict", "ConditionalCheckFailed"]), Cancelled::Condition);
        assert_eq!(strongest(&["None", "TransactionConflict"]), Cancelled::Busy);
        assert_eq!(strongest(&["ThrottlingError", "None"]), Cancelled::Throttled);
        assert_eq!(strongest(&["ValidationError"]), Cancelled::Other);
    }
}
