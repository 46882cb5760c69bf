//! The Lambda function that redacts events for each entitled fleet and delivers them.

use roadcast_aws::{
    AwsPorts, DynamoEntitlements, DynamoFeedIndex, DynamoFleets, EventBridgeDeliveryBus, OsRandomness, Sdk, SqsMessageDelay,
    SystemClock,
};
use roadcast_enrichment::EntryMessages;
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::Function;
use roadcast_lambda_kit::sqs::SqsEvent;
use roadcast_services::cache::{CachedEntitlements, CachedFleets};
use roadcast_services::delivery::enrichment::Enrichment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("enrichment")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let queue_urls = [function.var(Variable::TelemetryQueueUrl)?, function.var(Variable::AlertsQueueUrl)?];

    let messages = EntryMessages::<AwsPorts>::new(
        Enrichment {
            entitlements: CachedEntitlements::new(DynamoEntitlements::new(sdk.dynamodb(), &reference), SystemClock),
            fleets: CachedFleets::new(DynamoFleets::new(sdk.dynamodb(), &reference), SystemClock),
            bus: EventBridgeDeliveryBus::new(sdk.eventbridge()),
            index: DynamoFeedIndex::new(sdk.dynamodb(), function.var(Variable::FeedIndexTable)?),
            clock: SystemClock,
        },
        SqsMessageDelay::new(sdk.sqs(), queue_urls),
        OsRandomness,
        function.metrics.clone(),
        function.traces.clone(),
    );
    let messages = &messages;
    function.handle_batches(|event: SqsEvent, deadline| async move { Ok(messages.handle(event, deadline).await) }).await
}
