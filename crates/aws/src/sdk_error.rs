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
        SdkError::ServiceError(error) => {
            let (code, message) = (error.err().code(), error.err().message());
            kind_of_response(code, message.unwrap_or_default(), error.raw().status().as_u16())
        }
        // Never sent: the request could not be built.
        SdkError::ConstructionFailure(_) => PortErrorKind::Internal,
        // The service was not reached, or something else responded.
        _ => PortErrorKind::Unavailable,
    }
}

/// Classifies a service's error code, message and HTTP status.
fn kind_of_response(code: Option<&str>, message: &str, status: u16) -> PortErrorKind {
    match code.map_or(PortErrorKind::Internal, |code| kind_of_code(code, message)) {
        PortErrorKind::Internal if status == 429 => PortErrorKind::Throttled,
        // EventBridge refuses a request of too many bytes with this status alone.
        PortErrorKind::Internal if status == 413 => PortErrorKind::Rejected,
        PortErrorKind::Internal if status >= 500 => PortErrorKind::Unavailable,
        kind => kind,
    }
}

/// Classifies an error code and its message; also used for the entries in batch results.
///
/// `Rejected` is an allow-list: its data is quarantined. A code that is not listed is `Internal`, which refuses no data.
pub(crate) fn kind_of_code(code: &str, message: &str) -> PortErrorKind {
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
        | "BandwidthLimitExceeded"
        // A transaction holds the item of a single write. No condition failed: the same request succeeds after it.
        | "TransactionConflictException" => PortErrorKind::Throttled,
        "ConditionalCheckFailedException"
        | "ConditionalCheckFailed"
        | "TransactionCanceledException"
        | "TransactionConflict"
        | "ConcurrentModificationException"
        | "OperationAborted"
        | "PreconditionFailed"
        // The receipt handle does not exist (any more).
        | "ReceiptHandleIsInvalid" => PortErrorKind::Conflict,
        // The same, for a message that is visible again.
        "InvalidParameterValue" if message.contains("receipt handle has expired") => PortErrorKind::Conflict,
        // An earlier attempt of the transaction is in progress, and may be committed.
        "RequestTimeout" | "RequestTimeoutException" | "TransactionInProgressException" => PortErrorKind::TimedOut,
        "InternalFailure"
        | "InternalException"
        | "InternalError"
        | "InternalErrorException"
        | "InternalServerError"
        | "InternalFailureException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => PortErrorKind::Unavailable,
        // EventBridge: the detail of an entry is not JSON that it accepts, such as an integer beyond 64 bits.
        "MalformedDetail"
        // SQS: a character that no message may have; messages that are too large together.
        | "InvalidMessageContents"
        | "BatchRequestTooLong"
        // S3: an object or a key that is too large.
        | "EntityTooLarge"
        | "KeyTooLongError" => PortErrorKind::Rejected,
        // These codes also report mistakes of Roadcast, such as an unknown attribute. Only the message distinguishes them.
        "ValidationException" | "ValidationError" | "InvalidParameterValue"
            if SIZE_REFUSALS.iter().any(|text| message.contains(text)) =>
        {
            PortErrorKind::Rejected
        }
        _ => PortErrorKind::Internal,
    }
}

/// Parts of the messages with which services refuse data because of its size.
const SIZE_REFUSALS: [&str; 6] = [
    // DynamoDB: an item of more than 400 KB, when it is put and when it is updated.
    "Item size has exceeded the maximum allowed size",
    "Item size to update has exceeded the maximum allowed size",
    // DynamoDB: a key, as in "Size of hashkey has exceeded the maximum size limit of2048 bytes".
    "key has exceeded the maximum size limit",
    // EventBridge: the entries of one PutEvents request together.
    "Total size of the entries in the request is over the limit",
    // Kinesis: a record of PutRecords.
    "member.data' failed to satisfy constraint: Member must have length less than or equal to",
    // SQS: a message of more than 1 MiB.
    "Message must be shorter than",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use aws_sdk_dynamodb::config::http::HttpResponse;
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_dynamodb::operation::put_item::PutItemError;

    fn service_error(code: &str, message: &str, status: u16) -> SdkError<PutItemError, HttpResponse> {
        let error = PutItemError::generic(ErrorMetadata::builder().code(code).message(message).build());
        SdkError::service_error(error, HttpResponse::new(status.try_into().unwrap(), "".into()))
    }

    fn check(code: &str, status: u16, expect: PortErrorKind) {
        assert_eq!(port_error("test", service_error(code, "", status)).kind(), expect, "{code} {status}");
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
    }

    /// The errors of `TransactWriteItems`, and that of a single write to an item of a transaction.
    #[test]
    fn every_error_of_a_transaction_has_a_kind() {
        for (code, kind) in [
            ("TransactionCanceledException", PortErrorKind::Conflict),
            ("TransactionInProgressException", PortErrorKind::TimedOut),
            ("TransactionConflictException", PortErrorKind::Throttled),
            // A token that was used for another request is a fault of Roadcast.
            ("IdempotentParameterMismatchException", PortErrorKind::Internal),
            ("ResourceNotFoundException", PortErrorKind::Internal),
            ("ProvisionedThroughputExceededException", PortErrorKind::Throttled),
            ("RequestLimitExceeded", PortErrorKind::Throttled),
            ("ThrottlingException", PortErrorKind::Throttled),
            ("InternalServerError", PortErrorKind::Unavailable),
        ] {
            check(code, 400, kind);
        }
    }

    #[test]
    fn service_failure_is_unavailable() {
        check("InternalServerError", 500, PortErrorKind::Unavailable);
        check("Whatever", 502, PortErrorKind::Unavailable);
        check("InternalFailure", 400, PortErrorKind::Unavailable);
    }

    /// Refusals that the data causes, as each service words them.
    const REFUSALS: [(&str, &str, &str); 12] = [
        ("DynamoDB", "ValidationException", "Item size has exceeded the maximum allowed size"),
        ("DynamoDB", "ValidationException", "Item size to update has exceeded the maximum allowed size"),
        (
            "DynamoDB",
            "com.amazon.coral.validate#ValidationException",
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
        ),
        ("DynamoDB transaction", "ValidationError", "Item size has exceeded the maximum allowed size"),
        ("EventBridge entry", "MalformedDetail", "Detail is malformed."),
        ("EventBridge", "ValidationException", "Total size of the entries in the request is over the limit."),
        (
            "Kinesis",
            "ValidationException",
            "1 validation error detected: Value at 'records.1.member.data' failed to satisfy constraint: Member must have \
             length less than or equal to 1048576",
        ),
        ("SQS", "InvalidMessageContents", "Invalid characters found."),
        ("SQS", "AWS.SimpleQueueService.BatchRequestTooLong", "Batch requests cannot be longer than 1048576 bytes."),
        (
            "SQS",
            "InvalidParameterValue",
            "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
        ),
        ("S3", "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"),
        ("S3", "KeyTooLongError", "Your key is too long"),
    ];

    /// Faults of the deployment or of Roadcast, and codes that no table lists.
    const FAULTS: [(&str, &str, &str); 25] = [
        ("DynamoDB", "AccessDeniedException", "User is not authorized to perform: dynamodb:PutItem"),
        ("DynamoDB", "ResourceNotFoundException", "Requested resource not found"),
        ("DynamoDB", "ValidationException", "One or more parameter values were invalid: Missing the key vid in the item"),
        ("DynamoDB", "ValidationException", "The provided key element does not match the schema"),
        ("DynamoDB", "ItemCollectionSizeLimitExceededException", "Collection size exceeded."),
        ("DynamoDB", "UnrecognizedClientException", "The security token included in the request is invalid."),
        ("DynamoDB transaction", "ItemCollectionSizeLimitExceeded", ""),
        ("EventBridge entry", "AccessDeniedException", "You do not have sufficient access."),
        ("EventBridge entry", "InvalidArgument", "Parameter EventBusName is not valid."),
        ("EventBridge entry", "InvalidAccountIdException", ""),
        ("EventBridge entry", "NotAuthorizedForSourceException", ""),
        ("EventBridge entry", "NotAuthorizedForDetailTypeException", ""),
        ("EventBridge entry", "RedactionFailure", ""),
        (
            "EventBridge",
            "ValidationException",
            "1 validation error detected: Value at 'entries' failed to satisfy constraint",
        ),
        ("Kinesis", "ResourceNotFoundException", "Stream telemetry not found."),
        ("Kinesis", "KMSDisabledException", ""),
        ("Kinesis", "KMSAccessDeniedException", ""),
        ("Kinesis", "InvalidArgumentException", ""),
        ("SQS", "AWS.SimpleQueueService.NonExistentQueue", ""),
        ("SQS", "InvalidParameterValue", "The specified receipt handle is not valid."),
        ("S3", "AccessDenied", "Access Denied"),
        ("S3", "NoSuchBucket", ""),
        ("Cognito", "InvalidParameterException", ""),
        ("Step Functions", "InvalidExecutionInput", ""),
        ("any", "SomethingNew", "Item size has exceeded the maximum allowed size"),
    ];

    #[test]
    fn only_refusals_of_data_are_rejected() {
        for (service, code, message) in REFUSALS {
            assert_eq!(kind_of_code(code, message), PortErrorKind::Rejected, "{service}: {code}: {message}");
        }
        check("", 413, PortErrorKind::Rejected);
    }

    #[test]
    fn lost_rights_and_unknown_codes_refuse_no_data() {
        for (service, code, message) in FAULTS {
            assert_eq!(kind_of_code(code, message), PortErrorKind::Internal, "{service}: {code}: {message}");
            let error = port_error("test", service_error(code, message, 400));
            assert_eq!(error.kind(), PortErrorKind::Internal, "{service}: {code}");
        }
        check("", 403, PortErrorKind::Internal);
    }

    #[test]
    fn expired_receipt_handle_is_a_conflict() {
        let message = "Value is invalid. Reason: The receipt handle has expired.";
        assert_eq!(kind_of_code("InvalidParameterValue", message), PortErrorKind::Conflict);
    }

    #[test]
    fn timeout_may_have_applied() {
        let timeout: SdkError<PutItemError, HttpResponse> = SdkError::timeout_error("slow");
        assert_eq!(port_error("test", timeout).kind(), PortErrorKind::TimedOut);
    }

    #[test]
    fn cause_is_available_to_the_log() {
        let error = port_error("test", service_error("ValidationException", "", 400));
        assert!(error.source().unwrap().source().unwrap().to_string().contains("ValidationException"));
    }
}
