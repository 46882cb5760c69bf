//! [`ProvisioningWorkflow`]

use roadcast_domain::ids::SubscriptionId;

use super::fresh::Fresh;
use crate::clock::Randomness;
use crate::provisioning::ProvisioningWorkflow;

/// What every [`ProvisioningWorkflow`] does. What the workflow achieves is for the pipe's own tests: here it finds neither
/// fleet nor subscription.
pub async fn provisioning_workflow(workflow: &impl ProvisioningWorkflow, random: &impl Randomness) {
    let fleet_id = Fresh::new(random).fleet_id();
    let subscription_id = SubscriptionId::from_random(random.bits());
    workflow.start(&fleet_id, &subscription_id).await.expect("a workflow is started");
    workflow.start(&fleet_id, &subscription_id).await.expect("starting it again changes nothing");
}
