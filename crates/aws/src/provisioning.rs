//! The provisioning workflow: Step Functions.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use roadcast_domain::ids::{FleetId, SubscriptionId};
use roadcast_ports::PortError;
use roadcast_ports::provisioning::ProvisioningWorkflow;
use serde_json::json;

use crate::sdk_error::port_error;

const START: &str = "starting the provisioning workflow";

/// The workflow in Step Functions. An execution is named after its subscription, and a name runs once in 90 days.
#[derive(Clone, Debug)]
pub struct StepFunctionsProvisioning {
    client: Client,
    state_machine_arn: String,
}

impl StepFunctionsProvisioning {
    /// The workflow of that state machine.
    pub fn new(client: Client, state_machine_arn: impl Into<String>) -> Self {
        Self { client, state_machine_arn: state_machine_arn.into() }
    }
}

impl ProvisioningWorkflow for StepFunctionsProvisioning {
    async fn start(&self, fleet_id: &FleetId, subscription_id: &SubscriptionId) -> Result<(), PortError> {
        let input = json!({ "fleetId": fleet_id, "subscriptionId": subscription_id });
        let request = self.client.start_execution().state_machine_arn(&self.state_machine_arn);
        match request.name(subscription_id.as_str()).input(input.to_string()).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(StartExecutionError::is_execution_already_exists) => Ok(()),
            Err(error) => Err(port_error(START, error)),
        }
    }
}
