//! The Lambda function for the operations of onboarding.

use roadcast_aws::{
    AwsPorts, CognitoAppClients, DynamoClients, DynamoEntitlements, DynamoErasures, DynamoFeedIndex, DynamoFleets,
    DynamoSubscriptions, DynamoVehicleMappings, DynamoVehicles, OsRandomness, Sdk, SecretsManagerSource, StateMachines,
    StepFunctionsProvisioning, SystemClock,
};
use roadcast_domain::ids::ClientId;
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::http::Middleware;
use roadcast_lambda_kit::run::Function;
use roadcast_onboarding::OnboardingApi;
use roadcast_services::erasure::ErasureRequests;
use roadcast_services::fleets::receipts::Receipts;
use roadcast_services::fleets::{DeliveryBuses, Onboarding};
use roadcast_services::vehicles::fleet_vehicles::FleetVehicles;

/// The default quota of rules on a bus in most Regions.
const RULES_PER_BUS: u32 = 300;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("onboarding")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), function.var(Variable::StackSecretId)?);
    let state_machines = StateMachines {
        provisioning: function.var(Variable::ProvisioningStateMachineArn)?,
        offboarding: function.var(Variable::OffboardingStateMachineArn)?,
        erasure: function.var(Variable::ErasureStateMachineArn)?,
    };
    let workflow = StepFunctionsProvisioning::new(sdk.step_functions(), state_machines);
    let vehicles = DynamoVehicles::new(sdk.dynamodb(), function.var(Variable::VehiclesTable)?, &reference, secrets.clone());

    let rules_per_bus = function.env.optional_parse(Variable::RulesPerBus, "a number of rules")?.unwrap_or(RULES_PER_BUS);

    let api = OnboardingApi::<AwsPorts> {
        onboarding: Onboarding {
            fleets: DynamoFleets::new(sdk.dynamodb(), &reference),
            clients: DynamoClients::new(sdk.dynamodb(), &reference),
            app_clients: CognitoAppClients::new(sdk.cognito(), function.var(Variable::UserPoolId)?),
            subscriptions: DynamoSubscriptions::new(sdk.dynamodb(), &reference),
            vehicles: vehicles.clone(),
            entitlements: DynamoEntitlements::new(sdk.dynamodb(), &reference),
            workflow: workflow.clone(),
            delivery_buses: DeliveryBuses { first: function.var(Variable::DeliveryBus)?, rules_per_bus },
            first_admin: function.env.optional(Variable::FirstAdminClientId).map(ClientId::new),
            clock: SystemClock,
            randomness: OsRandomness,
        },
        receipts: Receipts {
            fleets: DynamoFleets::new(sdk.dynamodb(), &reference),
            subscriptions: DynamoSubscriptions::new(sdk.dynamodb(), &reference),
            index: DynamoFeedIndex::new(sdk.dynamodb(), function.var(Variable::FeedIndexTable)?),
            entitlements: DynamoEntitlements::new(sdk.dynamodb(), &reference),
            clock: SystemClock,
        },
        erasures: ErasureRequests {
            erasures: DynamoErasures::new(sdk.dynamodb(), &reference),
            vehicles,
            workflow,
            clock: SystemClock,
            randomness: OsRandomness,
        },
        fleet_vehicles: FleetVehicles {
            mappings: DynamoVehicleMappings::new(sdk.dynamodb(), &reference),
            fleets: DynamoFleets::new(sdk.dynamodb(), &reference),
        },
    };
    function.serve_http(api, Middleware::new(roadcast_aws::request_ports(&sdk, &reference, secrets))).await
}
