//! The provisioning and offboarding workflows.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use roadcast_ports::provisioning::{ProvisioningWorkflow, WorkflowRun};
use roadcast_ports::{PortError, PortErrorKind};

use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const START: &str = "starting a workflow";

/// The workflows in Step Functions, one state machine each. An execution is named after its run, and a name can run only
/// once in 90 days.
#[derive(Clone, Debug)]
pub struct StepFunctionsProvisioning {
    client: LazyClient<Client>,
    provisioning_arn: String,
    offboarding_arn: String,
}

impl StepFunctionsProvisioning {
    /// Creates the adapter for the given state machines.
    pub fn new(client: LazyClient<Client>, provisioning_arn: impl Into<String>, offboarding_arn: impl Into<String>) -> Self {
        Self { client, provisioning_arn: provisioning_arn.into(), offboarding_arn: offboarding_arn.into() }
    }
}

impl ProvisioningWorkflow for StepFunctionsProvisioning {
    async fn start(&self, run: &WorkflowRun) -> Result<(), PortError> {
        let input = serde_json::to_string(run);
        let input = input.map_err(|error| PortError::new(PortErrorKind::Internal, START).caused_by(error))?;
        let state_machine_arn = match run {
            WorkflowRun::Provision { .. } => &self.provisioning_arn,
            WorkflowRun::Offboard { .. } => &self.offboarding_arn,
        };
        let request = self.client.start_execution().state_machine_arn(state_machine_arn);
        match request.name(run.name()).input(input).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(StartExecutionError::is_execution_already_exists) => Ok(()),
            Err(error) => Err(port_error(START, error)),
        }
    }
}
