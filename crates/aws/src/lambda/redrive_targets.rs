//! The targets of redrives.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;
use roadcast_ports::redrive::{ProcessedBatch, RedriveTargets, RedrivenBatch};
use roadcast_ports::{PortError, PortErrorKind};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const PROCESS: &str = "invoking the stream processor";
const ENRICH: &str = "sending to a lane of enrichment";
const NOTIFY: &str = "sending to the queue of notices";
const IMPORT: &str = "invoking the reference loader";
/// The time that an invocation of the stream processor may take. The request that waits for it ends after 29 s.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(22);

/// The names of the targets.
#[derive(Clone, Debug)]
pub struct RedriveTargetNames {
    /// The function that processes the stream.
    pub stream_processor: String,
    /// The function that imports bulk files.
    pub reference_loader: String,
    /// The prefix of the names of the queues of enrichment; the name of the lane follows.
    pub enrichment_queue_prefix: String,
    /// The URL of the queue of notices of the operator's alerts.
    pub notice_queue_url: String,
}

/// The stream processor and the reference loader in Lambda, and the queues of enrichment in SQS.
#[derive(Clone, Debug)]
pub struct AwsRedriveTargets {
    lambda: LazyClient<aws_sdk_lambda::Client>,
    sqs: LazyClient<aws_sdk_sqs::Client>,
    names: RedriveTargetNames,
}

/// The response of the stream processor to a redrive.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProcessorResponse {
    batch_item_failures: Vec<IgnoredAny>,
    #[serde(default)]
    quarantined: BTreeMap<String, usize>,
}

/// A function failed: it returned an error, or Lambda ended it.
#[derive(Debug, thiserror::Error)]
#[error("the function failed ({0}); its log says why")]
struct FunctionFailed(String);

impl AwsRedriveTargets {
    /// Creates the adapter.
    pub const fn new(
        lambda: LazyClient<aws_sdk_lambda::Client>,
        sqs: LazyClient<aws_sdk_sqs::Client>,
        names: RedriveTargetNames,
    ) -> Self {
        Self { lambda, sqs, names }
    }
}

impl RedriveTargets for AwsRedriveTargets {
    async fn process(&self, batch: &RedrivenBatch) -> Result<ProcessedBatch, PortError> {
        // A second attempt would exceed the deadline, and would process the records twice.
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(INVOCATION_TIMEOUT).build();
        let config = aws_sdk_lambda::config::Builder::new().timeout_config(timeouts).retry_config(RetryConfig::disabled());
        let request = self.lambda.invoke().function_name(&self.names.stream_processor);
        let request = request.invocation_type(InvocationType::RequestResponse).payload(Blob::new(payload(batch)));
        let output = request.customize().config_override(config).send().await;
        let output = output.map_err(|error| port_error(PROCESS, error))?;
        if let Some(error) = output.function_error {
            return Err(PortError::new(PortErrorKind::Unavailable, PROCESS).caused_by(FunctionFailed(error)));
        }
        let response = output.payload.map(Blob::into_inner).unwrap_or_default();
        let response: ProcessorResponse = serde_json::from_slice(&response)
            .map_err(|error| PortError::new(PortErrorKind::Internal, PROCESS).caused_by(error))?;
        let ProcessorResponse { batch_item_failures, quarantined } = response;
        Ok(ProcessedBatch { is_partial: !batch_item_failures.is_empty(), quarantined })
    }

    async fn enrich(&self, lane: &str, message: &str) -> Result<(), PortError> {
        let name = format!("{}{lane}", self.names.enrichment_queue_prefix);
        let url = match self.sqs.get_queue_url().queue_name(name).send().await {
            Ok(output) => output.queue_url.unwrap_or_default(),
            Err(error) if error.as_service_error().is_some_and(GetQueueUrlError::is_queue_does_not_exist) => {
                return Err(PortError::new(PortErrorKind::Rejected, ENRICH).caused_by(error));
            }
            Err(error) => return Err(port_error(ENRICH, error)),
        };
        let sent = self.sqs.send_message().queue_url(url).message_body(message).send().await;
        sent.map(|_| ()).map_err(|error| port_error(ENRICH, error))
    }

    async fn import(&self, notification: &str) -> Result<(), PortError> {
        let request = self.lambda.invoke().function_name(&self.names.reference_loader);
        let request = request.invocation_type(InvocationType::Event).payload(Blob::new(notification));
        request.send().await.map(|_| ()).map_err(|error| port_error(IMPORT, error))
    }

    async fn notify(&self, message: &str) -> Result<(), PortError> {
        let sent = self.sqs.send_message().queue_url(&self.names.notice_queue_url).message_body(message).send().await;
        sent.map(|_| ()).map_err(|error| port_error(NOTIFY, error))
    }
}

/// Returns the event of an invocation. The records are JSON already.
fn payload(batch: &RedrivenBatch) -> String {
    // Letters, digits, - and _ need no escape.
    let (redrive_id, records) = (&batch.redrive_id, batch.records.join(","));
    format!(r#"{{"redriveId":"{redrive_id}","Records":[{records}]}}"#)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fake_aws::{FakeAws, Response};

    fn targets(fake: &FakeAws) -> AwsRedriveTargets {
        let sdk = fake.sdk();
        let names = RedriveTargetNames {
            stream_processor: "processor".to_owned(),
            reference_loader: "loader".to_owned(),
            enrichment_queue_prefix: "enrichment-".to_owned(),
            notice_queue_url: "https://sqs/notices".to_owned(),
        };
        AwsRedriveTargets::new(sdk.lambda(), sdk.sqs(), names)
    }

    fn batch() -> RedrivenBatch {
        let records = [r#"{"eventID":"s:1"}"#, r#"{"eventID":"s:2"}"#].map(str::to_owned).into();
        RedrivenBatch { redrive_id: "r-1".parse().unwrap(), records }
    }

    #[tokio::test]
    async fn records_are_sent_with_the_id_of_the_redrive() {
        let response = json!({"batchItemFailures": [{"itemIdentifier": "1"}], "quarantined": {"time_ahead": 2}});
        let fake = FakeAws::with_responses([Response::ok(response), Response::ok(json!({"batchItemFailures": []}))]);
        let targets = targets(&fake);
        let processed = targets.process(&batch()).await.unwrap();
        assert_eq!((processed.is_partial, processed.quarantined["time_ahead"]), (true, 2));
        assert_eq!(targets.process(&batch()).await.unwrap(), ProcessedBatch::default());
        let sent = json!({"redriveId": "r-1", "Records": [{"eventID": "s:1"}, {"eventID": "s:2"}]});
        assert_eq!(fake.bodies(), [sent.clone(), sent]);
        assert!(fake.operations()[0].contains("/functions/processor/invocations"), "{:?}", fake.operations());
    }

    #[tokio::test]
    async fn failed_invocation_is_not_repeated() {
        let fake = FakeAws::with_responses([Response::error(500, json!({"message": "x"}))]);
        let error = targets(&fake).process(&batch()).await.unwrap_err();
        assert_eq!((error.kind(), fake.requests().len()), (PortErrorKind::Unavailable, 1));
    }

    #[tokio::test]
    async fn response_of_another_form_is_an_internal_error() {
        let fake = FakeAws::with_responses([Response::ok(json!({"x": 1}))]);
        let error = targets(&fake).process(&batch()).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Internal);
    }

    #[tokio::test]
    async fn message_is_sent_to_the_queue_of_its_lane() {
        let url = json!({"QueueUrl": "https://sqs.example/1/enrichment-alerts"});
        let fake = FakeAws::with_responses([Response::ok(url), Response::ok(json!({"MessageId": "1"}))]);
        targets(&fake).enrich("alerts", "{}").await.unwrap();
        assert_eq!(fake.operations(), ["GetQueueUrl", "SendMessage"]);
        assert_eq!(fake.bodies()[0]["QueueName"], "enrichment-alerts");
        assert_eq!(fake.bodies()[1]["MessageBody"], "{}");
    }
}
