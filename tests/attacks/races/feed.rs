//! Consumers of one feed that read and acknowledge concurrently, late, repeatedly or not at all.

use std::collections::BTreeSet;

use futures::future::join_all;
use roadcast_testbed::SeededRandomness;
use serde_json::{Value, json};

use super::services::Services;
use super::{ALL, SEEDS};
use crate::deployment::{Deployment, FleetIds, acknowledge_feed, read_feed};

const CONSUMERS: usize = 4;
/// The number of messages, of one event each.
const MESSAGES: usize = 24;
const ROUNDS: usize = 12;
/// How long a message that was read is hidden.
const VISIBILITY_MS: i64 = 1_000;

/// What a consumer read: the events, and the token that acknowledges them.
struct FeedRead {
    events: BTreeSet<String>,
    ack: Option<Value>,
}

async fn read(services: &Services, fleet: &FleetIds) -> FeedRead {
    let answer = services.send(&read_feed(&fleet.fleet_id, &fleet.token)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let ids = body["events"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned());
    FeedRead { events: ids.collect(), ack: body.get("ack").cloned() }
}

async fn acknowledge(services: &Services, fleet: &FleetIds, ack: &Value) {
    let answer = services.send(&acknowledge_feed(&fleet.fleet_id, &fleet.token, ack)).await;
    assert_eq!(answer.status, 204, "{answer:?}");
}

/// What a consumer does with what it read.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Act {
    Acknowledge,
    AcknowledgeTwice,
    /// In a later round: the message may be hidden no longer, and read by another consumer.
    AcknowledgeLater,
    Lose,
}

/// What happened to the events of a feed.
#[derive(Default)]
struct FeedHistory {
    seen: BTreeSet<String>,
    /// Acknowledged while hidden from others.
    done: BTreeSet<String>,
    /// Acknowledged in a later round.
    maybe_done: BTreeSet<String>,
    pending: Vec<FeedRead>,
}

pub(crate) async fn feed_loses_nothing_and_repeats_nothing() {
    let (mut reads, mut stale) = (0, 0);
    for seed in 0..SEEDS {
        let deployment = Deployment::start().await;
        deployment.memory.set_visibility_ms(VISIBILITY_MS);
        let fleet = deployment.first_fleet(&ALL).await;
        let mut sent = BTreeSet::from([fleet.eid.clone()]);
        for number in 1..MESSAGES {
            sent.insert(deployment.upload(&fleet.vid, &number.to_string(), &json!({"Vehicle.Speed": number})).await);
            deployment.process().await;
        }
        assert_eq!(deployment.memory.queued(&fleet.fleet_id.parse().unwrap()).len(), MESSAGES);
        let random = SeededRandomness::new(seed);
        let consumers: Vec<Services> =
            (0..CONSUMERS as u64).map(|number| Services::new(&deployment, seed * 10 + number)).collect();
        let mut history = FeedHistory::default();
        for _ in 0..ROUNDS {
            // Tokens of earlier rounds, some of which are stale.
            let late = std::mem::take(&mut history.pending);
            let late_acks = late.iter().zip(consumers.iter().cycle()).map(|(read, services)| async {
                if let Some(ack) = &read.ack {
                    acknowledge(services, &fleet, ack).await;
                }
            });
            stale += late.len();
            let act = |services| {
                let acts = [Act::Acknowledge, Act::AcknowledgeTwice, Act::AcknowledgeLater, Act::Lose];
                let act = acts[usize::try_from(random.bits64() % 4).unwrap()];
                let fleet = &fleet;
                async move {
                    let found = read(services, fleet).await;
                    let repeats = match act {
                        Act::Acknowledge => 1,
                        Act::AcknowledgeTwice => 2,
                        Act::AcknowledgeLater | Act::Lose => 0,
                    };
                    for ack in std::iter::repeat_n(&found.ack, repeats).flatten() {
                        acknowledge(services, fleet, ack).await;
                    }
                    (act, found)
                }
            };
            let done_before = history.done.clone();
            let (found, _) = futures::join!(join_all(consumers.iter().map(act)), join_all(late_acks));
            reads += found.len();
            let mut of_round = BTreeSet::new();
            for (act, read) in found {
                assert!(done_before.is_disjoint(&read.events), "seed {seed}: an acknowledged event was read again");
                assert!(of_round.is_disjoint(&read.events), "seed {seed}: two consumers read one hidden message");
                of_round.extend(read.events.iter().cloned());
                history.seen.extend(read.events.iter().cloned());
                match act {
                    Act::Acknowledge | Act::AcknowledgeTwice => history.done.extend(read.events),
                    Act::AcknowledgeLater => {
                        history.maybe_done.extend(read.events.iter().cloned());
                        history.pending.push(read);
                    }
                    Act::Lose => {}
                }
            }
            deployment.clock.advance_ms(i64::try_from(random.bits64() % 1_500).unwrap());
        }
        // What was not acknowledged is read again.
        deployment.clock.advance_ms(VISIBILITY_MS);
        let mut rest = BTreeSet::new();
        while let FeedRead { events, ack: Some(ack) } = read(&consumers[0], &fleet).await {
            acknowledge(&consumers[0], &fleet, &ack).await;
            rest.extend(events);
        }
        assert!(rest.is_disjoint(&history.done), "seed {seed}: an acknowledged event was read again");
        let lost: BTreeSet<_> = &(&(&sent - &history.done) - &history.maybe_done) - &rest;
        assert!(lost.is_empty(), "seed {seed}: {lost:?} were never acknowledged and are gone");
        let seen: BTreeSet<_> = &history.seen | &rest;
        assert_eq!(seen, sent, "seed {seed}: events were never read");
        assert_eq!(deployment.memory.queued(&fleet.fleet_id.parse().unwrap()), Vec::<String>::new(), "seed {seed}");
    }
    println!("{reads} concurrent reads of {SEEDS} feeds, {stale} late acknowledgements: no event was lost or came again");
}
