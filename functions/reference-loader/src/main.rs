//! The function that loads files of bulk data.

mod dispatch;
mod report;

use dispatch::Task;
use roadcast_aws::{
    DynamoBulkMap, DynamoFleets, DynamoSchemas, DynamoVehicles, OsRandomness, S3BulkFiles, Sdk, SystemClock,
};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::{Failure, Function};
use roadcast_lambda_kit::s3::S3Event;
use roadcast_ports::clock::Clock as _;
use roadcast_services::bulk::{SchemaImport, VehicleImport};
use roadcast_services::cache::CachedFleets;
use roadcast_services::catalogue::event_schemas::SchemaRegistration;

/// How long a run loads, in milliseconds: two minutes less than Lambda lets it run, for the window under way, the checkpoint
/// and the report.
const RUN_MS: i64 = 13 * 60 * 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let function = Function::start("reference-loader")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let files = S3BulkFiles::new(sdk.s3(), function.var(Variable::BulkDataBucket)?);
    let map = DynamoBulkMap::new(sdk.dynamodb(), &reference);

    let load = VehicleImport {
        files: files.clone(),
        map: map.clone(),
        loads: map,
        vehicles: DynamoVehicles::new(sdk.dynamodb(), function.var(Variable::VehiclesTable)?, &reference),
        fleets: CachedFleets::new(DynamoFleets::new(sdk.dynamodb(), &reference), SystemClock),
        clock: SystemClock,
        randomness: OsRandomness,
    };
    let schemas = SchemaImport {
        files: files.clone(),
        loads: load.loads.clone(),
        register: SchemaRegistration { schemas: DynamoSchemas::new(sdk.dynamodb(), &reference), clock: SystemClock },
    };
    let (load, schemas, files, metrics) = (&load, &schemas, &files, function.metrics.clone());
    function
        .handle_events(|event: S3Event| {
            let metrics = metrics.clone();
            async move {
                let until = load.clock.now().plus_ms(RUN_MS);
                for arrival in event.arrivals() {
                    let task = match Task::of(arrival) {
                        Task::Resume(key) => Task::of_file(files.resumed(&key).await?),
                        task => task,
                    };
                    match task {
                        Task::VinMap(file) => report::tell(&metrics, &load.vin_map(&file, until).await?),
                        Task::Schemas(file) => report::tell(&metrics, &schemas.file(&file, until).await?),
                        Task::Resume(_) | Task::Unknown => report::tell_unknown(),
                    }
                }
                Ok(())
            }
        })
        .await
}
