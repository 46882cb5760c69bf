//! Step Functions adapter: the workflows of provisioning, offboarding and erasure.

mod provisioning;

pub use provisioning::{StateMachines, StepFunctionsProvisioning};
