//! The Lambda function that imports bulk files.

mod report;
mod task;

use roadcast_aws::{
    AwsPorts, DynamoFleets, DynamoImportProgress, DynamoSchemas, DynamoVehicleMappings, DynamoVehicles, OsRandomness,
    S3BulkFiles, Sdk, SecretsManagerSource, SystemClock,
};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::Function;
use roadcast_lambda_kit::s3::S3Event;
use roadcast_ports::clock::Clock as _;
use roadcast_services::bulk::{DEFAULT_WINDOW_ROWS, SchemaImport, VehicleImport};
use roadcast_services::cache::CachedFleets;
use roadcast_services::catalogue::event_schemas::SchemaRegistration;
use task::Task;

/// The time after which a run stops, in milliseconds: two minutes less than the timeout of the function, which leaves time
/// for the current window, the checkpoint and the report.
const RUN_MS: i64 = 13 * 60 * 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("reference-loader")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), function.var(Variable::StackSecretId)?);
    let files = S3BulkFiles::new(sdk.s3(), function.var(Variable::BulkDataBucket)?);
    let progress = DynamoImportProgress::new(sdk.dynamodb(), &reference);

    let vehicles = DynamoVehicles::new(sdk.dynamodb(), function.var(Variable::VehiclesTable)?, &reference, secrets);

    let vehicle_import = VehicleImport::<AwsPorts> {
        files: files.clone(),
        mappings: DynamoVehicleMappings::new(sdk.dynamodb(), &reference),
        progress: progress.clone(),
        vehicles: vehicles.clone(),
        vehicle_names: vehicles,
        fleets: CachedFleets::new(DynamoFleets::new(sdk.dynamodb(), &reference), SystemClock),
        clock: SystemClock,
        randomness: OsRandomness,
        window_rows: DEFAULT_WINDOW_ROWS,
    };
    let schema_import = SchemaImport::<AwsPorts> {
        files: files.clone(),
        progress,
        registration: SchemaRegistration { schemas: DynamoSchemas::new(sdk.dynamodb(), &reference), clock: SystemClock },
    };
    let (vehicle_import, schema_import, files) = (&vehicle_import, &schema_import, &files);
    let metrics = function.metrics.clone();
    function
        .handle_events(|event: S3Event| {
            let metrics = metrics.clone();
            async move {
                let deadline = vehicle_import.clock.now().plus_ms(RUN_MS);
                for object in event.created_objects() {
                    let task = match Task::for_object(object) {
                        Task::Resume(key) => Task::for_file(files.read_resume_marker(&key).await?),
                        task => task,
                    };
                    match task {
                        Task::VinMap(file) => {
                            report::record_outcome(&metrics, &vehicle_import.import(&file, deadline).await?);
                        }
                        Task::Schemas(file) => {
                            report::record_outcome(&metrics, &schema_import.import(&file, deadline).await?);
                        }
                        Task::Resume(_) | Task::Unknown => report::log_unknown_object(),
                    }
                }
                Ok(())
            }
        })
        .await
}
