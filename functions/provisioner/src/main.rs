//! The Lambda function that executes the steps of the state machines for provisioning and offboarding.

use roadcast_aws::{
    AwsPorts, CognitoAppClients, DynamoAlertRules, DynamoClients, DynamoEndpoints, DynamoFeedProofs, DynamoFleets,
    DynamoSubscriptions, EventBridgeIngestBus, FleetChannels, OsRandomness, Sdk, SqsFeedQueue, SystemClock, WebhookRule,
};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::{Function, NamedError};
use roadcast_services::fleets::FeedProber;
use roadcast_services::fleets::offboarding::{self, Offboarding};
use roadcast_services::fleets::provisioning::{self, Provisioning};
use serde::Deserialize;
use serde_json::json;

/// The time within which a change of a queue takes effect: `SetQueueAttributes` documents 60 seconds.
const PROVISIONING_WAIT_S: u32 = 60;

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
    let dead_letters = function.var(Variable::FeedDeadLetterQueueArn)?;
    let webhooks = WebhookRule {
        name: function.var(Variable::WebhookRule)?,
        queue_arn: function.var(Variable::WebhookEventsQueueArn)?,
    };
    let channel = FleetChannels::new(sdk.sqs(), sdk.eventbridge(), &prefix, &bus_arn, dead_letters, webhooks)?;
    let prober = FeedProber {
        proofs: DynamoFeedProofs::new(sdk.dynamodb(), &reference),
        bus: EventBridgeIngestBus::new(sdk.eventbridge(), function.var(Variable::IngestBus)?),
        queue: SqsFeedQueue::new(sdk.sqs(), prefix),
        clock: SystemClock,
        randomness: OsRandomness,
        wait_seconds: function
            .env
            .optional_parse(Variable::ProvisioningWaitSeconds, "a number of seconds")?
            .unwrap_or(PROVISIONING_WAIT_S),
    };

    let provisioning = &Provisioning::<AwsPorts> {
        fleets: fleets.clone(),
        clients: clients.clone(),
        app_clients: app_clients.clone(),
        subscriptions: subscriptions.clone(),
        channel: channel.clone(),
        prober,
        clock: SystemClock,
    };
    let endpoints = DynamoEndpoints::new(sdk.dynamodb(), &reference);
    let alert_rules = DynamoAlertRules::new(sdk.dynamodb(), &reference);
    let offboarding = &Offboarding::<AwsPorts> {
        fleets,
        clients,
        app_clients,
        subscriptions,
        endpoints,
        alert_rules,
        channel,
        clock: SystemClock,
    };
    function
        .handle_events(|task: Task| async move {
            match task {
                Task::Provisioning(task) => match provisioning.step(&task).await {
                    Ok(check) => Ok(json!(check)),
                    Err(error) => Err(NamedError::new(error.name(), error).into()),
                },
                Task::Offboarding(task) => Ok(json!(offboarding.step(&task).await?)),
            }
        })
        .await
}
