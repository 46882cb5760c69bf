//! Step Functions adapter: the provisioning and offboarding workflows.

mod provisioning;

pub use provisioning::StepFunctionsProvisioning;
