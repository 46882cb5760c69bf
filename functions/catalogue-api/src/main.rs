//! The function behind the operations on the catalogue.

use roadcast_aws::{DynamoPackages, DynamoSchemas, Sdk, SystemClock};
use roadcast_catalogue_api::CatalogueApi;
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::http::Front;
use roadcast_lambda_kit::run::{Failure, Function};
use roadcast_services::packages::PackageRegister;
use roadcast_services::schemas::SchemaRegister;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let function = Function::start("catalogue-api")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let schemas = DynamoSchemas::new(sdk.dynamodb(), &reference);

    let api = CatalogueApi {
        packages: PackageRegister {
            packages: DynamoPackages::new(sdk.dynamodb(), &reference),
            schemas: schemas.clone(),
            clock: SystemClock,
        },
        schemas: SchemaRegister { schemas, clock: SystemClock },
    };
    function.serve_http(api, Front::of(roadcast_aws::front_ports(&sdk, &reference))).await
}
