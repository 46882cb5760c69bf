//! The Lambda function for the operations on webhook endpoints.

use roadcast_aws::{
    AwsPorts, DynamoAttempts, DynamoDeliveries, DynamoEndpointHealths, DynamoEndpointRedrives, DynamoEndpoints,
    DynamoEntitlements, DynamoFleets, KmsSealer, OsRandomness, Sdk, SecretsManagerSource, SqsDeliveryQueue, SystemClock,
};
use roadcast_endpoints_api::EndpointsApi;
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::http::Middleware;
use roadcast_lambda_kit::run::Function;
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::webhooks::attempts::AttemptQueries;
use roadcast_services::webhooks::endpoints::EndpointManagement;
use roadcast_services::webhooks::redrive::EndpointRedriver;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("endpoints-api")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let table = function.var(Variable::DeliveriesTable)?;
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), function.var(Variable::StackSecretId)?);
    let (url, ordered_url) = (function.var(Variable::WebhookQueueUrl)?, function.var(Variable::WebhookOrderedQueueUrl)?);
    let queue = SqsDeliveryQueue::new(sdk.sqs(), url, ordered_url);
    let endpoints = DynamoEndpoints::new(sdk.dynamodb(), &reference);
    let deliveries = DynamoDeliveries::new(sdk.dynamodb(), &table);
    let entitlements = || CachedEntitlements::new(DynamoEntitlements::new(sdk.dynamodb(), &reference), SystemClock);

    let api = EndpointsApi::<AwsPorts> {
        endpoints: EndpointManagement {
            endpoints: endpoints.clone(),
            fleets: DynamoFleets::new(sdk.dynamodb(), &reference),
            entitlements: entitlements(),
            health: DynamoEndpointHealths::new(sdk.dynamodb(), &table),
            deliveries: deliveries.clone(),
            queue: queue.clone(),
            sealer: KmsSealer::new(sdk.kms(), function.var(Variable::WebhookKeyArn)?),
            rules: function.env.target_rules()?,
            clock: SystemClock,
            randomness: OsRandomness,
        },
        attempts: AttemptQueries {
            endpoints: endpoints.clone(),
            attempts: DynamoAttempts::new(sdk.dynamodb(), &table),
            deliveries: deliveries.clone(),
            entitlements: entitlements(),
            clock: SystemClock,
        },
        redriver: EndpointRedriver {
            endpoints,
            deliveries,
            queue,
            redrives: DynamoEndpointRedrives::new(sdk.dynamodb(), &table),
            clock: SystemClock,
        },
        clock: SystemClock,
    };
    function.serve_http(api, Middleware::new(roadcast_aws::request_ports(&sdk, &reference, secrets))).await
}
