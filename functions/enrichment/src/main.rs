//! The Lambda function that redacts events for each entitled fleet and delivers them.

use roadcast_aws::{AwsPorts, DynamoEntitlements, DynamoFeedIndex, DynamoFleets, EventBridgeDeliveryBus, Sdk, SystemClock};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::eventbridge::BusEvent;
use roadcast_lambda_kit::metrics::Metric;
use roadcast_lambda_kit::run::Function;
use roadcast_services::cache::{CachedEntitlements, CachedFleets};
use roadcast_services::delivery::enrichment::Enrichment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("enrichment")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;

    let enrichment = Enrichment::<AwsPorts> {
        entitlements: CachedEntitlements::new(DynamoEntitlements::new(sdk.dynamodb(), &reference), SystemClock),
        fleets: CachedFleets::new(DynamoFleets::new(sdk.dynamodb(), &reference), SystemClock),
        bus: EventBridgeDeliveryBus::new(sdk.eventbridge()),
        index: DynamoFeedIndex::new(sdk.dynamodb(), function.var(Variable::FeedIndexTable)?),
        clock: SystemClock,
    };
    let (enrichment, metrics) = (&enrichment, function.metrics.clone());
    function
        .handle_events(|entry: BusEvent| {
            let metrics = metrics.clone();
            async move {
                let events: Vec<&str> = entry.events().collect();
                let counts = enrichment.deliver(&events).await?;
                metrics.record(Metric::EventsDelivered, counts.events_delivered);
                metrics.record(Metric::EntriesPublished, counts.entries_published);
                Ok(())
            }
        })
        .await
}
