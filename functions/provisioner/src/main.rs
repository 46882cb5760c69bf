//! The Lambda function that executes the steps of the state machines for provisioning and offboarding.

use roadcast_aws::{
    AwsPorts, CognitoAppClients, DynamoClients, DynamoFleets, DynamoSubscriptions, FleetChannels, Sdk, SystemClock,
};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::Function;
use roadcast_services::fleets::offboarding::{self, Offboarding};
use roadcast_services::fleets::provisioning::{self, Provisioning};
use serde::Deserialize;
use serde_json::{Value, json};

/// A task of a state machine.
#[derive(Debug, Deserialize)]
#[serde(tag = "workflow", rename_all = "lowercase")]
enum Task {
    Provisioning(provisioning::Task),
    Offboarding(offboarding::Task),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("provisioner")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let (prefix, bus_arn) = (function.var(Variable::FeedQueuePrefix)?, function.var(Variable::DeliveryBusArn)?);
    let fleets = DynamoFleets::new(sdk.dynamodb(), &reference);
    let clients = DynamoClients::new(sdk.dynamodb(), &reference);
    let app_clients = CognitoAppClients::new(sdk.cognito(), function.var(Variable::UserPoolId)?);
    let subscriptions = DynamoSubscriptions::new(sdk.dynamodb(), &reference);
    let channel = FleetChannels::new(sdk.sqs(), sdk.eventbridge(), prefix, &bus_arn)?;

    let provisioning = &Provisioning::<AwsPorts> {
        fleets: fleets.clone(),
        clients: clients.clone(),
        app_clients: app_clients.clone(),
        subscriptions: subscriptions.clone(),
        channel: channel.clone(),
        clock: SystemClock,
    };
    let offboarding = &Offboarding::<AwsPorts> { fleets, clients, app_clients, subscriptions, channel, clock: SystemClock };
    function
        .handle_events(|task: Task| async move {
            match task {
                Task::Provisioning(task) => provisioning.step(&task).await.map(|()| Value::Null),
                Task::Offboarding(task) => offboarding.step(&task).await.map(|draining| json!(draining)),
            }
            .map_err(Into::into)
        })
        .await
}
