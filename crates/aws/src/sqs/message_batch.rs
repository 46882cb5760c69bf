//! Requests about several received messages, of which some may fail.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::operation::change_message_visibility_batch::ChangeMessageVisibilityBatchError;
use aws_sdk_sqs::types::{BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry};
use roadcast_ports::{PortError, PortErrorKind};

use crate::batch_requests::{EntryError, RequestError};
use crate::sdk_error::kind_of_code;

/// Makes received messages visible again, each after its number of seconds. Returns the result of each, in their order. Fails if
/// the request fails.
pub(super) async fn change_visibility(
    client: &Client,
    url: &str,
    messages: impl ExactSizeIterator<Item = (&str, i32)>,
    context: &'static str,
) -> Result<Vec<Result<(), PortError>>, SdkError<ChangeMessageVisibilityBatchError>> {
    let count = messages.len();
    let entries = messages.enumerate().map(|(index, (handle, delay_s))| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string()).receipt_handle(handle);
        entry.visibility_timeout(delay_s).build()
    });
    let entries = match entries.collect::<Result<Vec<_>, _>>() {
        Ok(entries) => entries,
        Err(error) => return Ok(fail_all(&RequestError::new(PortErrorKind::Internal, context, error), count)),
    };
    let output = client.change_message_visibility_batch().queue_url(url).set_entries(Some(entries)).send().await?;
    Ok(entry_results(count, output.failed, context))
}

/// Returns the result of a failed entry. A handle that is invalid belongs to no message that could be deleted or delayed: the
/// local endpoint says so for a message that is deleted or was received again, where SQS reports success.
fn entry_result(entry: BatchResultErrorEntry, context: &'static str) -> Result<(), PortError> {
    let message = entry.message.unwrap_or_default();
    let kind = match kind_of_code(&entry.code, &message) {
        PortErrorKind::Conflict => return Ok(()),
        // The message was deleted, or is visible already.
        _ if entry.code.ends_with("MessageNotInflight") => return Ok(()),
        PortErrorKind::Internal if !entry.sender_fault => PortErrorKind::Unavailable,
        kind => kind,
    };
    Err(EntryError { code: entry.code, message }.into_port_error(kind, context))
}

/// Returns the results of the entries of a request of which some failed.
pub(super) fn entry_results(
    count: usize,
    failed: Vec<BatchResultErrorEntry>,
    context: &'static str,
) -> Vec<Result<(), PortError>> {
    let mut failed: HashMap<String, BatchResultErrorEntry> =
        failed.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
    let result = |index: usize| failed.remove(&index.to_string()).map_or(Ok(()), |entry| entry_result(entry, context));
    (0..count).map(result).collect()
}

pub(super) fn fail_all(error: &RequestError, count: usize) -> Vec<Result<(), PortError>> {
    (0..count).map(|_| Err(error.to_port_error())).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn invalid_handle_is_deleted_and_service_failure_is_retryable() {
        let kind = |code: &str, sender_fault| {
            let entry = BatchResultErrorEntry::builder().id("0").code(code).sender_fault(sender_fault).build().unwrap();
            entry_result(entry, "acknowledging").err().map(|error| error.kind())
        };
        assert_eq!(kind("ReceiptHandleIsInvalid", true), None);
        assert_eq!(kind("SomethingBroke", false), Some(PortErrorKind::Unavailable));
        assert_eq!(kind("RequestThrottled", true), Some(PortErrorKind::Throttled));
    }
}
