//! The Lambda function for the operations of onboarding.

use roadcast_aws::{
    AwsPorts, CognitoAppClients, DynamoClients, DynamoEntitlements, DynamoFeedIndex, DynamoFleets, DynamoSubscriptions,
    DynamoVehicleMappings, DynamoVehicles, OsRandomness, Sdk, StepFunctionsProvisioning, SystemClock,
};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::http::Middleware;
use roadcast_lambda_kit::run::Function;
use roadcast_onboarding::OnboardingApi;
use roadcast_services::fleets::Onboarding;
use roadcast_services::fleets::receipts::Receipts;
use roadcast_services::vehicles::fleet_vehicles::FleetVehicles;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("onboarding")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let provisioning = function.var(Variable::ProvisioningStateMachineArn)?;
    let offboarding = function.var(Variable::OffboardingStateMachineArn)?;

    let api = OnboardingApi::<AwsPorts> {
        onboarding: Onboarding {
            fleets: DynamoFleets::new(sdk.dynamodb(), &reference),
            clients: DynamoClients::new(sdk.dynamodb(), &reference),
            app_clients: CognitoAppClients::new(sdk.cognito(), function.var(Variable::UserPoolId)?),
            subscriptions: DynamoSubscriptions::new(sdk.dynamodb(), &reference),
            vehicles: DynamoVehicles::new(sdk.dynamodb(), function.var(Variable::VehiclesTable)?, &reference),
            entitlements: DynamoEntitlements::new(sdk.dynamodb(), &reference),
            workflow: StepFunctionsProvisioning::new(sdk.step_functions(), provisioning, offboarding),
            delivery_bus: function.var(Variable::DeliveryBus)?,
            clock: SystemClock,
            randomness: OsRandomness,
        },
        receipts: Receipts {
            fleets: DynamoFleets::new(sdk.dynamodb(), &reference),
            subscriptions: DynamoSubscriptions::new(sdk.dynamodb(), &reference),
            index: DynamoFeedIndex::new(sdk.dynamodb(), function.var(Variable::FeedIndexTable)?),
            clock: SystemClock,
        },
        fleet_vehicles: FleetVehicles {
            mappings: DynamoVehicleMappings::new(sdk.dynamodb(), &reference),
            fleets: DynamoFleets::new(sdk.dynamodb(), &reference),
        },
    };
    function.serve_http(api, Middleware::new(roadcast_aws::request_ports(&sdk, &reference))).await
}
