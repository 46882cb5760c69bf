//! Probing: proves that events pass to the feed of a fleet before its subscription becomes active.
//!
//! A new rule may not match yet, and the policy of a new queue may not be in force; EventBridge discards what matches no rule.
//! A round of probes goes the whole path: ingest bus, enrichment, delivery bus, rule, queue. It counts only if all of its
//! probes arrive. See `docs/decisions/0035-probes.md`.

use std::collections::BTreeSet;
use std::time::Duration;

use roadcast_codec::bus_entry::Probe;
use roadcast_domain::Timestamp;
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::FleetId;
use roadcast_domain::lane::Lane;
use roadcast_ports::PortError;
use roadcast_ports::bus::{Batch, IngestBus};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::feed::{FeedQueue, Message, ReceiveOptions};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::provisioning::FeedProofs;

/// The probes of a round.
const PROBES: u32 = 5;
/// How long a round waits for its probes, in milliseconds. With the wait of the last request, a round takes less than the
/// 40 s after which its probes are stray, and than the timeout of the function.
const ROUND_MS: i64 = 20_000;
/// The wait of one request, in seconds, and the time for its response.
const WAIT_S: u8 = 5;
const RESPONSE_TIME: Duration = Duration::from_secs(5);
/// Maximum requests of a round. The queue may contain a thousand other messages.
const MAX_RECEIVES: usize = 100;
/// The delay after which a probe of another round is visible again, in seconds.
const OTHER_ROUND_DELAY_S: u16 = 1;

/// Sends probes to feeds.
pub struct FeedProber<Ports: PortSet> {
    /// The proofs.
    pub proofs: Ports::FeedProofs,
    /// The bus that the probes are published to.
    pub bus: Ports::IngestBus,
    /// The queues that the probes arrive in.
    pub queue: Ports::FeedQueue,
    /// The clock.
    pub clock: Ports::Clock,
    /// The source of the numbers of rounds.
    pub randomness: Ports::Randomness,
    /// How long the workflow waits after a channel was created or changed and before it is probed, in seconds.
    pub wait_seconds: u32,
}

/// A round whose probes are awaited.
struct Round<'r> {
    fleet_id: &'r FleetId,
    number: u128,
    started: Timestamp,
    /// The probes that did not arrive yet.
    missing: BTreeSet<u32>,
    /// The received messages that are no probes.
    others: Vec<String>,
}

impl<Ports: PortSet> FeedProber<Ports> {
    /// Sends a round of probes to the fleet's feed and stores the proof if all arrive. Returns the number of probes that did
    /// not arrive, 0 if the feed is proven. Fails with `Conflict` if the channel was changed in the meantime.
    pub(super) async fn probe(&self, fleet: &Fleet) -> Result<usize, PortError> {
        let proof = self.proofs.get(&fleet.fleet_id).await?;
        if proof.proven_at.is_some() {
            return Ok(0);
        }
        let mut round = Round {
            fleet_id: &fleet.fleet_id,
            number: self.randomness.bits(),
            started: self.clock.now(),
            missing: (1..=PROBES).collect(),
            others: Vec::new(),
        };
        self.publish(&round).await?;
        let received = self.receive(&mut round).await;
        if !round.others.is_empty() {
            // A message whose request fails becomes visible after the visibility timeout of the queue.
            self.queue.release(round.fleet_id, 0, &round.others).await;
        }
        received?;
        if round.missing.is_empty() {
            self.proofs.prove(&fleet.fleet_id, proof.generation, self.clock.now()).await?;
        }
        Ok(round.missing.len())
    }

    /// Publishes each probe as an entry of its own.
    async fn publish(&self, round: &Round<'_>) -> Result<(), PortError> {
        let mut entries = Vec::new();
        for number in 1..=PROBES {
            let fleet_id = round.fleet_id.clone();
            let probe = Probe { fleet_id, round: round.number, number, time: round.started };
            let json = probe.encode().map_err(|error| {
                PortError::new(roadcast_ports::PortErrorKind::Internal, "encoding a probe").caused_by(error)
            })?;
            entries.push(Batch { lane: Lane::Telemetry, for_notices: false, events: vec![json] });
        }
        self.bus.publish(&entries).await.into_iter().collect()
    }

    /// Receives messages until all probes of the round arrived or its time is over.
    async fn receive(&self, round: &mut Round<'_>) -> Result<(), PortError> {
        let timeout = RESPONSE_TIME + Duration::from_secs(WAIT_S.into());
        let options = ReceiveOptions { wait_s: WAIT_S, timeout, ..ReceiveOptions::default() };
        for _ in 0..MAX_RECEIVES {
            if round.missing.is_empty() || self.clock.now().ms_since(round.started) >= ROUND_MS {
                break;
            }
            let messages = self.queue.receive(round.fleet_id, options).await?;
            self.settle(round, messages).await?;
        }
        Ok(())
    }

    /// Sorts messages. Probes of this round and stray probes are deleted. Another run of the workflow may wait for those of
    /// another round.
    async fn settle(&self, round: &mut Round<'_>, messages: Vec<Message>) -> Result<(), PortError> {
        let (mut probes, mut of_another_round) = (Vec::new(), Vec::new());
        let mut arrived = Vec::new();
        for Message { ack_handle, body } in messages {
            match Probe::decode_message(&body) {
                Some(probe) if probe.round == round.number => {
                    arrived.push(probe.number);
                    probes.push(ack_handle);
                }
                Some(probe) if probe.is_stray(self.clock.now()) => probes.push(ack_handle),
                Some(_) => of_another_round.push(ack_handle),
                None => round.others.push(ack_handle),
            }
        }
        if !of_another_round.is_empty() {
            self.queue.release(round.fleet_id, OTHER_ROUND_DELAY_S, &of_another_round).await;
        }
        if !probes.is_empty() {
            // A probe that is not deleted must not count: the fleet's reader would have to delete it.
            self.queue.acknowledge(round.fleet_id, &probes).await.into_iter().collect::<Result<(), PortError>>()?;
        }
        for number in arrived {
            round.missing.remove(&number);
        }
        Ok(())
    }
}
