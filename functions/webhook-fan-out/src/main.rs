//! The Lambda function that makes a delivery of each event for each webhook endpoint that wants it.

use roadcast_aws::{
    AwsPorts, DynamoDeliveries, DynamoEndpoints, DynamoEntitlements, OsRandomness, Sdk, SqsDeliveryQueue,
    SqsFailedDeliveries, SqsMessageDelay, SystemClock,
};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::Function;
use roadcast_lambda_kit::sqs::SqsEvent;
use roadcast_services::cache::{CachedEndpoints, CachedEntitlements};
use roadcast_services::webhooks::fan_out::WebhookFanOut;
use roadcast_webhook_fan_out::EntryMessages;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("webhook-fan-out")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let queue_urls = (function.var(Variable::WebhookQueueUrl)?, function.var(Variable::WebhookOrderedQueueUrl)?);

    let messages = EntryMessages::<AwsPorts>::new(
        WebhookFanOut {
            endpoints: CachedEndpoints::new(DynamoEndpoints::new(sdk.dynamodb(), &reference), SystemClock),
            entitlements: CachedEntitlements::new(DynamoEntitlements::new(sdk.dynamodb(), &reference), SystemClock),
            deliveries: DynamoDeliveries::new(sdk.dynamodb(), function.var(Variable::DeliveriesTable)?),
            queue: SqsDeliveryQueue::new(sdk.sqs(), queue_urls.0, queue_urls.1),
            failed: SqsFailedDeliveries::new(sdk.sqs(), function.var(Variable::DeadLetterQueueUrl)?),
            clock: SystemClock,
        },
        SqsMessageDelay::new(sdk.sqs(), [function.var(Variable::WebhookEventsQueueUrl)?]),
        OsRandomness,
        function.metrics.clone(),
    );
    let messages = &messages;
    function.handle_batches(|event: SqsEvent, deadline| async move { Ok(messages.handle(event, deadline).await) }).await
}
