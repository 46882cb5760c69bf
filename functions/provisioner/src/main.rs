//! The function that does the steps of the workflows that provision subscriptions and offboard fleets.

use roadcast_aws::{CognitoAppClients, DynamoClients, DynamoFleets, DynamoSubscriptions, FleetChannels, Sdk, SystemClock};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::{Failure, Function};
use roadcast_services::offboard::{self, Offboard};
use roadcast_services::provision::{self, Provision};
use serde::Deserialize;
use serde_json::{Value, json};

/// A task of a workflow.
#[derive(Debug, Deserialize)]
#[serde(tag = "workflow", rename_all = "lowercase")]
enum Task {
    Provisioning(provision::Task),
    Offboarding(offboard::Task),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let function = Function::start("provisioner")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let (prefix, bus_arn) = (function.var(Variable::FeedQueuePrefix)?, function.var(Variable::DeliveryBusArn)?);
    let fleets = DynamoFleets::new(sdk.dynamodb(), &reference);
    let clients = DynamoClients::new(sdk.dynamodb(), &reference);
    let app_clients = CognitoAppClients::new(sdk.cognito(), function.var(Variable::UserPoolId)?);
    let subscriptions = DynamoSubscriptions::new(sdk.dynamodb(), &reference);
    let channel = FleetChannels::new(sdk.sqs(), sdk.eventbridge(), prefix, &bus_arn)?;

    let provision = &Provision {
        fleets: fleets.clone(),
        clients: clients.clone(),
        app_clients: app_clients.clone(),
        subscriptions: subscriptions.clone(),
        channel: channel.clone(),
        clock: SystemClock,
    };
    let offboard = &Offboard { fleets, clients, app_clients, subscriptions, channel, clock: SystemClock };
    function
        .handle_events(|task: Task| async move {
            match task {
                Task::Provisioning(task) => provision.step(&task).await.map(|()| Value::Null),
                Task::Offboarding(task) => offboard.step(&task).await.map(|draining| json!(draining)),
            }
            .map_err(Into::into)
        })
        .await
}
