//! The Lambda function for the operations on events.

use roadcast_aws::{
    AwsPorts, DynamoEntitlements, DynamoEventLog, DynamoFeedIndex, DynamoSchemas, DynamoVehicles, KinesisTelemetryStream,
    Sdk, SecretsManagerSource, SystemClock,
};
use roadcast_events_api::EventsApi;
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::http::Middleware;
use roadcast_lambda_kit::run::Function;
use roadcast_services::cache::{CachedEntitlements, CachedVehicles};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::ingest::Ingest;
use roadcast_services::query::VehicleQueries;
use roadcast_services::query::fleet_events::FleetEvents;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("events-api")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), function.var(Variable::StackSecretId)?);
    let vehicles = DynamoVehicles::new(sdk.dynamodb(), function.var(Variable::VehiclesTable)?, &reference, secrets.clone());
    let entitlements = || CachedEntitlements::new(DynamoEntitlements::new(sdk.dynamodb(), &reference), SystemClock);
    let log = DynamoEventLog::new(sdk.dynamodb(), function.var(Variable::VehicleEventsTable)?);

    let api = EventsApi::<AwsPorts> {
        ingest: Ingest {
            vehicles: CachedVehicles::new(vehicles.clone(), SystemClock),
            schemas: CachedSchemas::new(DynamoSchemas::new(sdk.dynamodb(), &reference), SystemClock),
            stream: KinesisTelemetryStream::new(sdk.kinesis(), function.var(Variable::TelemetryStream)?),
            clock: SystemClock,
        },
        queries: VehicleQueries { vehicles, entitlements: entitlements(), log: log.clone(), clock: SystemClock },
        fleet_events: FleetEvents {
            entitlements: entitlements(),
            log,
            index: DynamoFeedIndex::new(sdk.dynamodb(), function.var(Variable::FeedIndexTable)?),
            clock: SystemClock,
        },
    };
    function.serve_http(api, Middleware::new(roadcast_aws::request_ports(&sdk, &reference, secrets))).await
}
