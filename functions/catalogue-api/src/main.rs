//! The Lambda function for the operations on the catalogue.

use roadcast_aws::{AwsPorts, DynamoPackages, DynamoSchemas, Sdk, SecretsManagerSource, SystemClock};
use roadcast_catalogue_api::CatalogueApi;
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::http::Middleware;
use roadcast_lambda_kit::run::Function;
use roadcast_services::catalogue::event_schemas::SchemaRegistration;
use roadcast_services::catalogue::packages::PackageCatalogue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("catalogue-api")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), function.var(Variable::StackSecretId)?);
    let schemas = DynamoSchemas::new(sdk.dynamodb(), &reference);

    let api = CatalogueApi::<AwsPorts> {
        packages: PackageCatalogue {
            packages: DynamoPackages::new(sdk.dynamodb(), &reference),
            schemas: schemas.clone(),
            clock: SystemClock,
        },
        schemas: SchemaRegistration { schemas, clock: SystemClock },
    };
    function.serve_http(api, Middleware::new(roadcast_aws::request_ports(&sdk, &reference, secrets))).await
}
