//! Conversion of SDK errors to port errors.

use std::error::Error;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use roadcast_ports::{PortError, PortErrorKind};

/// Converts an SDK error of any service; `context` names the operation.
pub(crate) fn port_error<E>(context: &'static str, error: SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    PortError::new(kind_of(&error), context).caused_by(error)
}

/// Classifies an SDK error by what the caller should do about it.
pub(crate) fn kind_of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> PortErrorKind {
    match error {
        SdkError::TimeoutError(_) => PortErrorKind::TimedOut,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => PortErrorKind::TimedOut,
        SdkError::ServiceError(error) => kind_of_response(error.err().code(), error.raw().status().as_u16()),
        // Never sent: the request could not be built.
        SdkError::ConstructionFailure(_) => PortErrorKind::Rejected,
        // The service was not reached, or something else responded.
        _ => PortErrorKind::Unavailable,
    }
}

/// Classifies a service's error code and HTTP status.
fn kind_of_response(code: Option<&str>, status: u16) -> PortErrorKind {
    match code.map_or(PortErrorKind::Rejected, kind_of_code) {
        PortErrorKind::Rejected if status == 429 => PortErrorKind::Throttled,
        PortErrorKind::Rejected if status >= 500 => PortErrorKind::Unavailable,
        kind => kind,
    }
}

/// Classifies an error code alone; also used for the codes of entries in batch results.
pub(crate) fn kind_of_code(code: &str) -> PortErrorKind {
    // Services with the query protocol prefix the name with a namespace, JSON services sometimes with a shape id.
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
        // The receipt handle does not exist (any more).
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
    fn throttling_codes_are_throttled_with_any_status() {
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
    fn failed_condition_is_a_conflict() {
        check("ConditionalCheckFailedException", 400, PortErrorKind::Conflict);
        check("TransactionConflictException", 400, PortErrorKind::Conflict);
    }

    #[test]
    fn service_failure_is_unavailable_and_rejection_is_final() {
        check("InternalServerError", 500, PortErrorKind::Unavailable);
        check("Whatever", 502, PortErrorKind::Unavailable);
        check("InternalFailure", 400, PortErrorKind::Unavailable);
        check("ValidationException", 400, PortErrorKind::Rejected);
        check("AccessDeniedException", 400, PortErrorKind::Rejected);
    }

    #[test]
    fn timeout_may_have_applied() {
        let timeout: SdkError<PutItemError, HttpResponse> = SdkError::timeout_error("slow");
        assert_eq!(port_error("test", timeout).kind(), PortErrorKind::TimedOut);
    }

    #[test]
    fn cause_is_available_to_the_log() {
        let error = port_error("test", service_error("ValidationException", 400));
        assert!(error.source().unwrap().source().unwrap().to_string().contains("ValidationException"));
    }
}
