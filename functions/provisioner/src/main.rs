//! The function that does the steps of the provisioning workflow.

use roadcast_aws::{DynamoFleets, DynamoSubscriptions, FleetChannels, Sdk, SystemClock};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::{Failure, Function};
use roadcast_services::provision::{Provision, Task};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let function = Function::start("provisioner")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let (prefix, bus_arn) = (function.var(Variable::FeedQueuePrefix)?, function.var(Variable::DeliveryBusArn)?);

    let provision = Provision {
        fleets: DynamoFleets::new(sdk.dynamodb(), &reference),
        subscriptions: DynamoSubscriptions::new(sdk.dynamodb(), &reference),
        channel: FleetChannels::new(sdk.sqs(), sdk.eventbridge(), prefix, &bus_arn)?,
        clock: SystemClock,
    };
    let provision = &provision;
    function
        .handle_events(|task: Task| async move {
            provision.step(&task).await?;
            Ok(())
        })
        .await
}
