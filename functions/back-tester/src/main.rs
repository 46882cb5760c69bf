//! The Lambda function that evaluates back-tests of alert rules.

use roadcast_aws::{
    AwsPorts, DynamoBackTests, DynamoEntitlements, DynamoEventLog, DynamoVehicles, OsRandomness, Sdk, SecretsManagerSource,
    SqsBackTestQueue, SqsMessageDelay, SystemClock,
};
use roadcast_back_tester::BackTestMessages;
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::Function;
use roadcast_lambda_kit::sqs::SqsEvent;
use roadcast_services::alerts::back_tester::BackTester;
use roadcast_services::cache::CachedEntitlements;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("back-tester")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let queue_url = function.var(Variable::BackTestQueueUrl)?;
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), function.var(Variable::StackSecretId)?);

    let messages = BackTestMessages::<AwsPorts>::new(
        BackTester {
            back_tests: DynamoBackTests::new(sdk.dynamodb(), &reference),
            queue: SqsBackTestQueue::new(sdk.sqs(), &queue_url),
            log: DynamoEventLog::new(sdk.dynamodb(), function.var(Variable::VehicleEventsTable)?),
            vehicles: DynamoVehicles::new(sdk.dynamodb(), function.var(Variable::VehiclesTable)?, &reference, secrets),
            entitlements: CachedEntitlements::new(DynamoEntitlements::new(sdk.dynamodb(), &reference), SystemClock),
            clock: SystemClock,
            randomness: OsRandomness,
        },
        SqsMessageDelay::new(sdk.sqs(), [queue_url]),
        OsRandomness,
    );
    let messages = &messages;
    function.handle_batches(|event: SqsEvent, deadline| async move { Ok(messages.handle(event, deadline).await) }).await
}
