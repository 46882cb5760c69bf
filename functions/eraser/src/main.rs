//! The Lambda function that executes the steps of the state machine which erases vehicles.

use roadcast_aws::{
    AwsPorts, AwsVehicleErasure, DynamoErasures, DynamoFleets, DynamoSubscriptions, DynamoVehicles, ErasedTables, Sdk,
    SecretsManagerSource, SystemClock,
};
use roadcast_domain::erasure::SECOND_PASS_AFTER_MS;
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::Function;
use roadcast_services::erasure::{ErasureRun, Task};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("eraser")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), function.var(Variable::StackSecretId)?);
    let vehicles = DynamoVehicles::new(sdk.dynamodb(), function.var(Variable::VehiclesTable)?, &reference, secrets);
    let tables = ErasedTables {
        reference: reference.clone(),
        vehicle_events: function.var(Variable::VehicleEventsTable)?,
        vehicle_state: function.var(Variable::VehicleStateTable)?,
        alert_state: function.var(Variable::AlertStateTable)?,
        feed_index: function.var(Variable::FeedIndexTable)?,
        deliveries: function.var(Variable::DeliveriesTable)?,
        dead_letters: function.var(Variable::DeadLettersTable)?,
    };
    let erasure = AwsVehicleErasure::new(
        vehicles.clone(),
        (sdk.dynamodb(), tables),
        sdk.s3(),
        &function.var(Variable::ArchiveBucket)?,
        &function.var(Variable::DeadLetterBucket)?,
    );
    let wait_seconds: Option<i64> = function.env.optional_parse(Variable::ErasureWaitSeconds, "a number of seconds")?;
    let run = &ErasureRun::<AwsPorts> {
        erasures: DynamoErasures::new(sdk.dynamodb(), &reference),
        vehicles,
        erasure,
        fleets: DynamoFleets::new(sdk.dynamodb(), &reference),
        subscriptions: DynamoSubscriptions::new(sdk.dynamodb(), &reference),
        clock: SystemClock,
        second_pass_after_ms: wait_seconds.map_or(SECOND_PASS_AFTER_MS, |seconds| seconds * 1000),
    };
    function.handle_events(|task: Task| async move { Ok(json!(run.step(&task).await?)) }).await
}
