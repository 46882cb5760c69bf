//! [`ProvisioningWorkflow`] and [`FleetChannel`]

use roadcast_domain::ids::SubscriptionId;

use super::fresh::Fresh;
use crate::clock::Randomness;
use crate::provisioning::{ChannelParts, FleetChannel, ProvisioningWorkflow, WorkflowRun};

/// What every [`ProvisioningWorkflow`] does. What the workflow achieves is for the pipe's own tests: here it finds neither
/// fleet nor subscription.
pub async fn provisioning_workflow(workflow: &impl ProvisioningWorkflow, random: &impl Randomness) {
    let fleet_id = Fresh::new(random).fleet_id();
    let subscription_id = SubscriptionId::from_random(random.bits());
    for attempt in 1..=2 {
        let (fleet_id, subscription_id) = (fleet_id.clone(), subscription_id.clone());
        let run = WorkflowRun::Provision { fleet_id, subscription_id, attempt };
        workflow.start(&run).await.expect("a run is started, also after an earlier one");
        workflow.start(&run).await.expect("starting it again changes nothing");
    }
    let run = WorkflowRun::Offboard { fleet_id, attempt: 1 };
    workflow.start(&run).await.expect("a fleet's leave is a run, too");
}

/// What every [`FleetChannel`] does beside what [`feed`](super::feed) asks of it; `bus_name` is a delivery bus that exists.
pub async fn fleet_channel(channel: &impl FleetChannel, bus_name: &str, random: &impl Randomness) {
    let fleet = Fresh::new(random).fleet(bus_name);
    let there = async || channel.status(&fleet).await.expect("it can be looked at");
    assert_eq!(there().await, ChannelParts::NONE, "a new fleet has nothing");
    channel.remove_rule(&fleet).await.expect("removing what is not there is fine");
    channel.remove_queue(&fleet).await.expect("removing what is not there is fine");
    assert!(channel.is_drained(&fleet).await.expect("it can be looked at"), "no queue holds nothing");
    for _ in 0..2 {
        channel.ensure_queue(&fleet).await.expect("a queue is made, or found made");
        let expected = ChannelParts { rule: false, ..ChannelParts::ALL };
        assert_eq!(there().await, expected, "a queue comes with its dead-letter queue");
    }
    for _ in 0..2 {
        channel.ensure_rule(&fleet).await.expect("a rule is made, or found made");
        assert_eq!(there().await, ChannelParts::ALL, "queue and rule are there");
    }
    assert!(channel.is_drained(&fleet).await.expect("it can be looked at"), "a new queue holds nothing");
    for _ in 0..2 {
        channel.remove_rule(&fleet).await.expect("a rule is removed, or found removed");
        assert_eq!(there().await, ChannelParts { rule: false, ..ChannelParts::ALL }, "the queue stays without its rule");
    }
    for _ in 0..2 {
        channel.remove_queue(&fleet).await.expect("a queue is removed, or found removed");
        assert_eq!(there().await, ChannelParts::NONE, "nothing is left");
    }
}
