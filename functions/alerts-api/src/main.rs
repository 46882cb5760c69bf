//! The Lambda function for the operations on alert rules and back-tests.

use roadcast_alerts_api::AlertsApi;
use roadcast_aws::{
    AwsPorts, DynamoAlertRules, DynamoBackTests, DynamoEntitlements, DynamoFleets, DynamoVehicles, OsRandomness, Sdk,
    SecretsManagerSource, SqsBackTestQueue, SystemClock,
};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::http::Middleware;
use roadcast_lambda_kit::run::Function;
use roadcast_services::alerts::back_tests::BackTestManagement;
use roadcast_services::alerts::rules::AlertRuleManagement;
use roadcast_services::cache::CachedEntitlements;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("alerts-api")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), function.var(Variable::StackSecretId)?);
    let vehicles_table = function.var(Variable::VehiclesTable)?;
    let vehicles = DynamoVehicles::new(sdk.dynamodb(), vehicles_table, &reference, secrets.clone());
    let rules = DynamoAlertRules::new(sdk.dynamodb(), &reference);
    let fleets = DynamoFleets::new(sdk.dynamodb(), &reference);

    let api = AlertsApi::<AwsPorts> {
        rules: AlertRuleManagement {
            rules: rules.clone(),
            fleets: fleets.clone(),
            clock: SystemClock,
            randomness: OsRandomness,
        },
        back_tests: BackTestManagement {
            back_tests: DynamoBackTests::new(sdk.dynamodb(), &reference),
            queue: SqsBackTestQueue::new(sdk.sqs(), function.var(Variable::BackTestQueueUrl)?),
            rules,
            fleets,
            vehicles,
            entitlements: CachedEntitlements::new(DynamoEntitlements::new(sdk.dynamodb(), &reference), SystemClock),
            clock: SystemClock,
            randomness: OsRandomness,
        },
    };
    function.serve_http(api, Middleware::new(roadcast_aws::request_ports(&sdk, &reference, secrets))).await
}
