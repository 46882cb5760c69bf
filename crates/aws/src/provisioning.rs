//! The provisioning workflow: Step Functions.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use roadcast_ports::provisioning::{ProvisioningWorkflow, WorkflowRun};
use roadcast_ports::{PortError, PortErrorKind};

use crate::sdk_error::port_error;

const START: &str = "starting the provisioning workflow";

/// The workflow in Step Functions. An execution is named after its run, and a name runs once in 90 days.
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
    async fn start(&self, run: &WorkflowRun) -> Result<(), PortError> {
        let input = serde_json::to_string(run);
        let input = input.map_err(|error| PortError::new(PortErrorKind::Rejected, START).caused_by(error))?;
        let request = self.client.start_execution().state_machine_arn(&self.state_machine_arn);
        match request.name(run.name()).input(input).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(StartExecutionError::is_execution_already_exists) => Ok(()),
            Err(error) => Err(port_error(START, error)),
        }
    }
}
