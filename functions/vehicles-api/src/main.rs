//! The Lambda function for the operations on vehicles.

use roadcast_aws::{
    AwsPorts, DynamoEntitlements, DynamoEventLog, DynamoStateStore, DynamoVehicles, OsRandomness, Sdk, SecretsManagerSource,
    SystemClock,
};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::http::Middleware;
use roadcast_lambda_kit::run::Function;
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::query::{StateQueries, VehicleQueries};
use roadcast_services::vehicles::registry::VehicleRegistry;
use roadcast_vehicles_api::VehiclesApi;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("vehicles-api")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), function.var(Variable::StackSecretId)?);
    let vehicles = DynamoVehicles::new(sdk.dynamodb(), function.var(Variable::VehiclesTable)?, &reference, secrets.clone());
    let entitlements = DynamoEntitlements::new(sdk.dynamodb(), &reference);

    let api = VehiclesApi::<AwsPorts> {
        registry: VehicleRegistry {
            vehicles: vehicles.clone(),
            entitlements: entitlements.clone(),
            clock: SystemClock,
            randomness: OsRandomness,
        },
        states: StateQueries {
            queries: VehicleQueries {
                vehicles,
                entitlements: CachedEntitlements::new(entitlements, SystemClock),
                log: DynamoEventLog::new(sdk.dynamodb(), function.var(Variable::VehicleEventsTable)?),
                clock: SystemClock,
            },
            state: DynamoStateStore::new(sdk.dynamodb(), function.var(Variable::VehicleStateTable)?),
        },
    };
    function.serve_http(api, Middleware::new(roadcast_aws::request_ports(&sdk, &reference, secrets))).await
}
