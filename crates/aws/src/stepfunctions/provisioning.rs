//! The workflows of provisioning, offboarding and erasure.

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
    state_machines: StateMachines,
}

/// The ARNs of the state machines.
#[derive(Clone, Debug)]
pub struct StateMachines {
    /// Provisions subscriptions.
    pub provisioning: String,
    /// Offboards fleets.
    pub offboarding: String,
    /// Erases vehicles.
    pub erasure: String,
}

impl StepFunctionsProvisioning {
    /// Creates the adapter for the given state machines.
    pub const fn new(client: LazyClient<Client>, state_machines: StateMachines) -> Self {
        Self { client, state_machines }
    }
}

impl ProvisioningWorkflow for StepFunctionsProvisioning {
    async fn start(&self, run: &WorkflowRun) -> Result<(), PortError> {
        let input = serde_json::to_string(run);
        let input = input.map_err(|error| PortError::new(PortErrorKind::Internal, START).caused_by(error))?;
        let state_machine_arn = match run {
            WorkflowRun::Provision { .. } => &self.state_machines.provisioning,
            WorkflowRun::Offboard { .. } => &self.state_machines.offboarding,
            WorkflowRun::Erase { .. } => &self.state_machines.erasure,
        };
        let request = self.client.start_execution().state_machine_arn(state_machine_arn);
        match request.name(run.name()).input(input).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(StartExecutionError::is_execution_already_exists) => Ok(()),
            Err(error) => Err(port_error(START, error)),
        }
    }
}
