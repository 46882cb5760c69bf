//! The Lambda function that makes the attempts of webhook deliveries.

use roadcast_aws::{
    AwsPorts, DynamoAttempts, DynamoDeliveries, DynamoEndpointHealths, DynamoEndpoints, DynamoEntitlements,
    DynamoWaitingDeliveries, KmsSealer, OsRandomness, Sdk, SqsDeliveryQueue, SqsFailedDeliveries, SqsMessageDelay,
    SystemClock,
};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::Function;
use roadcast_lambda_kit::sqs::SqsEvent;
use roadcast_services::cache::{CachedEndpoints, CachedEntitlements, OpenedTexts};
use roadcast_services::webhooks::dispatcher::Dispatcher;
use roadcast_webhook_client::{HttpSender, SenderSettings};
use roadcast_webhook_dispatcher::TaskMessages;

/// The number of receives of a message of the ordered queue if the configuration states none.
const MAX_RECEIVES: u32 = 400;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("webhook-dispatcher")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let deliveries = function.var(Variable::DeliveriesTable)?;
    let (url, ordered_url) = (function.var(Variable::WebhookQueueUrl)?, function.var(Variable::WebhookOrderedQueueUrl)?);
    let rules = function.env.target_rules()?;
    let sealer = KmsSealer::new(sdk.kms(), function.var(Variable::WebhookKeyArn)?);
    let failed = SqsFailedDeliveries::new(sdk.sqs(), function.var(Variable::DeadLetterQueueUrl)?);
    let endpoints = DynamoEndpoints::new(sdk.dynamodb(), &reference);

    let messages = TaskMessages::<AwsPorts>::new(
        Dispatcher {
            endpoints: CachedEndpoints::new(endpoints.clone(), SystemClock),
            stored_endpoints: endpoints,
            opened: OpenedTexts::new(sealer, SystemClock),
            entitlements: CachedEntitlements::new(DynamoEntitlements::new(sdk.dynamodb(), &reference), SystemClock),
            deliveries: DynamoDeliveries::new(sdk.dynamodb(), &deliveries),
            attempts: DynamoAttempts::new(sdk.dynamodb(), &deliveries),
            health: DynamoEndpointHealths::new(sdk.dynamodb(), &deliveries),
            waiting: DynamoWaitingDeliveries::new(sdk.dynamodb(), &deliveries),
            queue: SqsDeliveryQueue::new(sdk.sqs(), &url, &ordered_url),
            failed: failed.clone(),
            sender: HttpSender::new(SenderSettings::of_this_machine(rules)?, SystemClock)?,
            clock: SystemClock,
            randomness: OsRandomness,
            sampling: function.traces.sampling(),
        },
        (SqsMessageDelay::new(sdk.sqs(), [url, ordered_url]), OsRandomness),
        failed,
        function.env.optional_parse(Variable::MaxReceives, "a number of receives")?.unwrap_or(MAX_RECEIVES),
        function.metrics.clone(),
        function.traces.clone(),
    );
    let messages = &messages;
    function.handle_batches(|event: SqsEvent, deadline| async move { Ok(messages.handle(event, deadline).await) }).await
}
