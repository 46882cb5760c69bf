//! [`ProvisioningWorkflow`] and [`FleetChannel`]

use roadcast_domain::ids::SubscriptionId;

use super::fixtures::Fixtures;
use crate::clock::Randomness;
use crate::provisioning::{ChannelParts, FleetChannel, ProvisioningWorkflow, WorkflowRun};

/// Checks every implementation of [`ProvisioningWorkflow`]. What the workflow achieves is for the pipe's own tests: here
/// it finds neither fleet nor subscription.
pub async fn provisioning_workflow(workflow: &impl ProvisioningWorkflow, random: &impl Randomness) {
    let fleet_id = Fixtures::new(random).fleet_id();
    let subscription_id = SubscriptionId::from_random_bits(random.bits());
    for attempt in 1..=2 {
        let (fleet_id, subscription_id) = (fleet_id.clone(), subscription_id.clone());
        let run = WorkflowRun::Provision { fleet_id, subscription_id, attempt };
        workflow.start(&run).await.expect("a run is started, even after an earlier attempt");
        workflow.start(&run).await.expect("starting a run again succeeds");
    }
    let run = WorkflowRun::Offboard { fleet_id, attempt: 1 };
    workflow.start(&run).await.expect("an offboarding run is started");
}

/// Checks every implementation of [`FleetChannel`], in addition to [`feed`](super::feed). The delivery bus `bus_name`
/// must exist.
pub async fn fleet_channel(channel: &impl FleetChannel, bus_name: &str, random: &impl Randomness) {
    let fleet = Fixtures::new(random).fleet(bus_name);
    let status = async || channel.status(&fleet).await.expect("the channel can be queried");
    assert_eq!(status().await, ChannelParts::NONE, "a new fleet has no channel");
    channel.remove_rule(&fleet).await.expect("removing a missing part succeeds");
    channel.remove_queue(&fleet).await.expect("removing a missing part succeeds");
    assert!(channel.is_drained(&fleet).await.expect("the channel can be queried"), "a missing queue is drained");
    for _ in 0..2 {
        channel.ensure_queue(&fleet).await.expect("creating a queue is idempotent");
        let expected = ChannelParts { rule: false, ..ChannelParts::ALL };
        assert_eq!(status().await, expected, "a queue is created with its dead-letter queue");
    }
    for _ in 0..2 {
        channel.ensure_rule(&fleet).await.expect("creating a rule is idempotent");
        assert_eq!(status().await, ChannelParts::ALL, "queue and rule exist");
    }
    assert!(channel.is_drained(&fleet).await.expect("the channel can be queried"), "a new queue is drained");
    for _ in 0..2 {
        channel.remove_rule(&fleet).await.expect("removing a rule is idempotent");
        assert_eq!(status().await, ChannelParts { rule: false, ..ChannelParts::ALL }, "the queue remains without its rule");
    }
    for _ in 0..2 {
        channel.remove_queue(&fleet).await.expect("removing a queue is idempotent");
        assert_eq!(status().await, ChannelParts::NONE, "no part remains");
    }
}
