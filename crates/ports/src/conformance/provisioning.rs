//! [`ProvisioningWorkflow`], [`FleetChannel`] and [`FeedProofs`]

use roadcast_domain::ids::{ErasureId, SubscriptionId};

use super::fixtures::{Fixtures, NOON};
use crate::PortErrorKind;
use crate::clock::Randomness;
use crate::provisioning::{ChannelParts, FeedProof, FeedProofs, FleetChannel, ProvisioningWorkflow, WorkflowRun};

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
    let run = WorkflowRun::Erase { erasure_id: ErasureId::from_random_bits(random.bits()), attempt: 1 };
    workflow.start(&run).await.expect("an erasure is started");
}

/// Checks every implementation of [`FleetChannel`], in addition to [`feed`](super::feed). The delivery bus `bus_name`
/// is created if it does not exist.
pub async fn fleet_channel(channel: &impl FleetChannel, bus_name: &str, random: &impl Randomness) {
    let fleet = Fixtures::new(random).fleet(bus_name);
    let status = async || channel.status(&fleet).await.expect("the channel can be queried");
    assert_eq!(status().await, ChannelParts::NONE, "a new fleet has no channel");
    let is_current = async || channel.is_current(&fleet).await.expect("the channel can be queried");
    assert!(!is_current().await, "a missing channel is not current");
    channel.remove_rule(&fleet).await.expect("removing a missing part succeeds");
    channel.remove_queue(&fleet).await.expect("removing a missing part succeeds");
    assert!(channel.is_drained(&fleet).await.expect("the channel can be queried"), "a missing queue is drained");
    for _ in 0..2 {
        channel.ensure_queue(&fleet).await.expect("creating a queue is idempotent");
        let expected = ChannelParts { rule: false, ..ChannelParts::ALL };
        assert_eq!(status().await, expected, "a queue is created without its rule");
        assert!(!is_current().await, "a queue without its rule is not current");
    }
    for _ in 0..2 {
        channel.ensure_rule(&fleet).await.expect("creating a rule is idempotent");
        assert_eq!(status().await, ChannelParts::ALL, "queue and rule exist");
        assert!(is_current().await, "a channel that was just created is current");
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

/// Checks every implementation of [`FeedProofs`].
pub async fn feed_proofs(proofs: &impl FeedProofs, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let (fleet_id, other) = (fixtures.fleet_id(), fixtures.fleet_id());
    let proof = async || proofs.get(&fleet_id).await.expect("a proof is read");
    assert_eq!(proof().await, FeedProof::default(), "a new fleet has no proof");
    for generation in 1..=2 {
        proofs.invalidate(&fleet_id).await.expect("a proof is removed");
        assert_eq!(proof().await, FeedProof { generation, proven_at: None }, "each removal starts a generation");
    }
    for generation in [0, 1, 3] {
        let late = proofs.prove(&fleet_id, generation, NOON).await.map_err(|error| error.kind());
        assert_eq!(late, Err(PortErrorKind::Conflict), "a proof of another generation is refused");
    }
    for _ in 0..2 {
        proofs.prove(&fleet_id, 2, NOON).await.expect("storing a proof is idempotent");
        assert_eq!(proof().await, FeedProof { generation: 2, proven_at: Some(NOON) }, "the proof is stored");
    }
    assert_eq!(proofs.get(&other).await.expect("a proof is read"), FeedProof::default(), "another fleet has no proof");
    proofs.invalidate(&fleet_id).await.expect("a proof is removed");
    assert_eq!(proof().await, FeedProof { generation: 3, proven_at: None }, "the proof is removed");
}
