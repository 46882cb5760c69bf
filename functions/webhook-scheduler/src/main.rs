//! The Lambda function that wakes the webhook deliveries which wait in the store. It runs every minute.

use std::time::Duration;

use roadcast_aws::{AwsPorts, DynamoWaitingDeliveries, Sdk, SqsDeliveryQueue, SystemClock};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::Function;
use roadcast_services::webhooks::scheduler::LineScheduler;
use serde::de::IgnoredAny;
use serde_json::json;

/// The time that is reserved for the page of lines that is in progress.
const LAST_PAGE_TIME: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("webhook-scheduler")?;
    let sdk = Sdk::load().await;
    let (url, ordered_url) = (function.var(Variable::WebhookQueueUrl)?, function.var(Variable::WebhookOrderedQueueUrl)?);
    let scheduler = &LineScheduler::<AwsPorts> {
        waiting: DynamoWaitingDeliveries::new(sdk.dynamodb(), function.var(Variable::DeliveriesTable)?),
        queue: SqsDeliveryQueue::new(sdk.sqs(), url, ordered_url),
        clock: SystemClock,
    };
    function
        .handle_batches(|_: IgnoredAny, deadline| async move {
            let time = deadline.remaining().saturating_sub(LAST_PAGE_TIME);
            let lines = scheduler.run(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)).await?;
            tracing::debug!(lines, "{lines} lines of waiting deliveries are due");
            Ok(json!({ "lines": lines }))
        })
        .await
}
