//! The Lambda function for the operations on feeds.

use roadcast_aws::{AwsPorts, DynamoEntitlements, Sdk, SecretsManagerSource, SqsFeedQueue, SystemClock};
use roadcast_fleet_delivery::FleetDelivery;
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::http::Middleware;
use roadcast_lambda_kit::run::Function;
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::delivery::feed::{FeedReader, PollInterval};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("fleet-delivery")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), function.var(Variable::StackSecretId)?);
    let poll_interval = function.env.optional_parse(Variable::FeedPollSeconds, "a number of seconds")?;

    let api = FleetDelivery::<AwsPorts> {
        feed_reader: FeedReader {
            queue: SqsFeedQueue::new(sdk.sqs(), function.var(Variable::FeedQueuePrefix)?),
            entitlements: CachedEntitlements::new(DynamoEntitlements::new(sdk.dynamodb(), &reference), SystemClock),
            clock: SystemClock,
        },
        poll_interval: poll_interval.map_or_else(PollInterval::default, PollInterval::new),
    };
    function.serve_http(api, Middleware::new(roadcast_aws::request_ports(&sdk, &reference, secrets))).await
}
