//! Records of invocations that failed: asynchronous ones, and those with a batch of the stream.

use roadcast_domain::Timestamp;
use roadcast_domain::dead_letter::{Hop, Pointers};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::text::{code, detail, name_in_arn, pointer};
use super::{Failure, QueueMessage};

/// The name of the function that imports bulk files, without the stage.
const BULK_IMPORT: &str = "-reference-loader";
const ENRICHMENT: &str = "-enrichment";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Invocation {
    timestamp: Option<String>,
    request_context: RequestContext,
    response_context: Option<ResponseContext>,
    response_payload: Option<ResponsePayload>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestContext {
    request_id: Option<String>,
    function_arn: Option<String>,
    condition: Option<String>,
    approximate_invoke_count: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ResponseContext {
    function_error: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ResponsePayload {
    Error {
        #[serde(rename = "errorMessage")]
        message: String,
    },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asynchronous {
    request_payload: Payload,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Payload {
    #[serde(rename = "Records")]
    records: Vec<IgnoredAny>,
}

/// Returns the failure of an asynchronous invocation; `None` if `body` is not its record.
pub(super) fn asynchronous(message: &QueueMessage, body: &[u8]) -> Option<Failure> {
    let invocation: Invocation = serde_json::from_slice(body).ok()?;
    let records =
        serde_json::from_slice::<Asynchronous>(body).map_or(1, |record| record.request_payload.records.len().max(1));
    let function = invocation.function()?.to_owned();
    let hop = match function.as_str() {
        name if name.ends_with(BULK_IMPORT) => Hop::BulkImport,
        name if name.ends_with(ENRICHMENT) => Hop::Enrichment,
        _ => Hop::Unknown,
    };
    let failure = Failure::unknown(message, "invocation_failed");
    let failed_at = invocation.failed_at().unwrap_or(failure.failed_at);
    Some(Failure {
        hop,
        reason: invocation.reason().unwrap_or(failure.reason),
        detail: invocation.detail(),
        source: invocation.request_context.request_id.clone().unwrap_or(failure.source),
        pointers: invocation.pointers(Pointers { target: Some(pointer(&function)), ..failure.pointers }),
        items: records as u64,
        failed_at,
        first_at: failed_at,
        last_at: failed_at,
        bytes: body.to_vec(),
        ..failure
    })
}

impl Invocation {
    /// Returns the name of the function, from an ARN that ends with a version or an alias.
    fn function(&self) -> Option<&str> {
        let arn = self.request_context.function_arn.as_deref()?;
        arn.split_once(":function:").map(|(_, name)| name.split(':').next().unwrap_or(name))
    }

    fn failed_at(&self) -> Option<Timestamp> {
        Timestamp::parse_rfc3339(self.timestamp.as_deref()?).ok()
    }

    fn reason(&self) -> Option<String> {
        self.request_context.condition.as_deref().and_then(code)
    }

    fn detail(&self) -> Option<String> {
        match (&self.response_payload, &self.response_context) {
            (Some(ResponsePayload::Error { message }), _) => detail(message),
            (_, Some(ResponseContext { function_error: Some(error) })) => {
                detail(&format!("the function failed ({error}); its log has the request id"))
            }
            _ => None,
        }
    }

    fn pointers(&self, pointers: Pointers) -> Pointers {
        Pointers {
            request_id: self.request_context.request_id.as_deref().map(pointer),
            attempts: self.request_context.approximate_invoke_count,
            ..pointers
        }
    }
}

/// An object that is not the record of a failed batch.
#[derive(Debug, thiserror::Error)]
pub enum InvalidFailureRecord {
    /// Not JSON, cut off, or without a member that every record has.
    #[error("the object is not the record of a failed batch of the stream")]
    Malformed(#[from] serde_json::Error),
    /// The record has no payload.
    #[error("the record has no payload: it was not written to S3")]
    WithoutPayload,
}

/// The record of a batch that the stream processor could not process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFailure {
    /// Why, as a code.
    pub reason: String,
    /// Why, in words.
    pub detail: Option<String>,
    /// Stream, function, shard and sequence numbers.
    pub pointers: Pointers,
    /// The number of records.
    pub items: u64,
    /// When Lambda gave the batch up; `None` if the record does not state it.
    pub failed_at: Option<Timestamp>,
    /// When the stream accepted the first record.
    pub first_at: Option<Timestamp>,
    /// When the stream accepted the last record.
    pub last_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct BatchRecord {
    #[serde(rename = "KinesisBatchInfo")]
    batch: BatchInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo {
    shard_id: String,
    start_sequence_number: String,
    end_sequence_number: String,
    #[serde(default)]
    approximate_arrival_of_first_record: Option<String>,
    #[serde(default)]
    approximate_arrival_of_last_record: Option<String>,
    #[serde(default)]
    batch_size: u64,
    #[serde(default)]
    stream_arn: String,
}

#[derive(Deserialize)]
struct PayloadRecord<'a> {
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

impl StreamFailure {
    /// Parses a record, without its payload.
    pub fn parse(record: &[u8]) -> Result<Self, InvalidFailureRecord> {
        let invocation: Invocation = serde_json::from_slice(record)?;
        let BatchRecord { batch } = serde_json::from_slice(record)?;
        let time = |text: &Option<String>| Timestamp::parse_rfc3339(text.as_deref()?).ok();
        Ok(Self {
            reason: invocation.reason().unwrap_or_else(|| "batch_failed".to_owned()),
            detail: invocation.detail(),
            items: batch.batch_size,
            failed_at: invocation.failed_at(),
            first_at: time(&batch.approximate_arrival_of_first_record),
            last_at: time(&batch.approximate_arrival_of_last_record),
            pointers: invocation.pointers(Pointers {
                source: Some(pointer(name_in_arn(&batch.stream_arn, '/'))),
                target: invocation.function().map(pointer),
                shard: Some(pointer(&batch.shard_id)),
                first_sequence_number: Some(pointer(&batch.start_sequence_number)),
                last_sequence_number: Some(pointer(&batch.end_sequence_number)),
                ..Pointers::default()
            }),
        })
    }

    /// Returns the event that the function was invoked with, as JSON. Lambda stores it as a string.
    pub fn payload(record: &[u8]) -> Result<String, InvalidFailureRecord> {
        let PayloadRecord { payload } = serde_json::from_slice(record)?;
        let payload = payload.ok_or(InvalidFailureRecord::WithoutPayload)?.get();
        if payload.starts_with('"') { Ok(serde_json::from_str(payload)?) } else { Ok(payload.to_owned()) }
    }
}
