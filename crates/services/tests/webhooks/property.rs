//! What holds whatever fails: every delivery has one terminal state, nothing is lost, a dead endpoint affects no other, and what
//! waited for it arrives when it returns.

use std::collections::{BTreeMap, BTreeSet};

use futures::executor::block_on;
use proptest::prelude::*;
use roadcast_codec::dead_letter::QueueMessage;
use roadcast_domain::Timestamp;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{DeliveryId, EndpointId, FleetId, VehicleId};
use roadcast_domain::subscription::Subscription;
use roadcast_domain::webhook::{Delivery, DeliveryOrder, DeliveryState, Endpoint, SigningSecret};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::subscriptions::Subscriptions as _;
use roadcast_services::dead_letters::collector::{DeadLetterCollector, LetterBuckets};
use roadcast_testbed::InMemory;

use crate::fleets::{create, entry, event, fleet, management, manager_of};
use crate::receivers::{Behaviour, behave};
use crate::simulation::{Simulation, Trouble};

const FLEETS: u128 = 5;
const ENDPOINTS: usize = 20;
const VEHICLES: u128 = 3;
const HOUR_MS: i64 = 3_600_000;
/// The dead endpoint does not respond for this time.
const DEAD: (i64, i64) = (HOUR_MS, 25 * HOUR_MS);
/// After this time nothing fails any more.
const HEALED_MS: i64 = 30 * HOUR_MS;
/// By this time everything has ended.
const END_MS: i64 = 10 * 24 * HOUR_MS;

struct Receiving {
    endpoint: Endpoint,
    secret: SigningSecret,
    behaviour: Behaviour,
}

struct PropertyRun {
    simulation: Simulation,
    start: Timestamp,
    fleets: Vec<(FleetId, Subscription)>,
    /// By fleet, [`ENDPOINTS`] each. The first of the first fleet can be dead.
    endpoints: Vec<Receiving>,
    /// What was published, by fleet.
    events: Vec<(FleetId, Event)>,
}

/// The vehicles of a fleet, by the number of their ids.
fn vehicles_of(fleet: u128) -> impl Iterator<Item = u128> {
    (0..VEHICLES).map(move |vehicle| fleet * 100 + vehicle)
}

impl PropertyRun {
    fn new(seed: u64, trouble: Trouble, is_dead: bool, fails_every: u64) -> Self {
        let simulation = Simulation::new(seed, trouble);
        let start = simulation.clock.now();
        let (mut fleets, mut endpoints) = (Vec::new(), Vec::new());
        for number in 1..=FLEETS {
            let vids: Vec<VehicleId> = vehicles_of(number).map(VehicleId::from_random_bits).collect();
            let (fleet_id, subscription) = block_on(fleet(&simulation.memory, number, &vids));
            for index in 0..ENDPOINTS {
                // The first endpoint of the first fleet requires order for every second seed.
                let is_ordered = (index as u64 + seed).is_multiple_of(4) || (index == 0 && seed.is_multiple_of(2));
                let order = if is_ordered { DeliveryOrder::Vehicle } else { DeliveryOrder::None };
                let name = format!("hook-{number}-{index}");
                let (endpoint, secret) = block_on(create(&simulation.memory, &fleet_id, &name, order));
                let dead = (is_dead && endpoints.is_empty()).then(|| (start.plus_ms(DEAD.0), start.plus_ms(DEAD.1)));
                let behaviour = Behaviour { dead, fails_every, ..Behaviour::default() };
                behaviour.secrets.lock().unwrap().insert(start, secret.clone());
                behave(&simulation.receiver, &endpoint.url, behaviour.clone());
                endpoints.push(Receiving { endpoint, secret, behaviour });
            }
            fleets.push((fleet_id, subscription));
        }
        Self { simulation, start, fleets, endpoints, events: Vec::new() }
    }

    fn dead(&self) -> &Receiving {
        &self.endpoints[0]
    }

    /// Publishes one event of each vehicle of a fleet.
    fn publish(&mut self, fleet: usize) {
        let now = self.simulation.clock.now();
        let fleet_id = self.fleets[fleet].0.clone();
        let events: Vec<Event> = vehicles_of(fleet as u128 + 1).map(|vehicle| event(vehicle, now)).collect();
        self.simulation.events.send(entry(&fleet_id, &events));
        self.events.extend(events.into_iter().map(|event| (fleet_id.clone(), event)));
    }

    /// Publishes for each fleet every `every_ms`, until `until_ms`.
    fn publish_regularly(&mut self, every_ms: i64, until_ms: i64) {
        let mut at = 0;
        while at < until_ms {
            self.simulation.run_until(self.start.plus_ms(at));
            for fleet in 0..self.fleets.len() {
                self.publish(fleet);
            }
            at += every_ms;
        }
    }

    fn finish(&mut self) {
        self.simulation.run_until(self.start.plus_ms(HEALED_MS));
        self.simulation.heal();
        let mut day = self.start.plus_ms(HEALED_MS);
        while !self.simulation.is_idle() && day < self.start.plus_ms(END_MS) {
            day = day.plus_ms(HOUR_MS);
            self.simulation.run_until(day);
        }
        assert!(self.simulation.is_idle(), "nothing waits, and no message is left");
    }

    fn deliveries(&self) -> BTreeMap<(EndpointId, DeliveryId), Delivery> {
        let all = self.simulation.memory.webhook_deliveries().into_iter();
        all.map(|delivery| ((delivery.key.endpoint_id.clone(), delivery.key.delivery_id), delivery)).collect()
    }

    /// Every event has a delivery for each endpoint of its fleet, in a terminal state that was stored once.
    fn check_complete(&self) {
        let deliveries = self.deliveries();
        let mut found: BTreeMap<(&EndpointId, roadcast_domain::ids::Eid), usize> = BTreeMap::new();
        for delivery in deliveries.values() {
            assert!(delivery.state.is_terminal(), "{:?} is pending", delivery.key);
            let roadcast_domain::webhook::Payload::Event { eid, .. } = &delivery.payload else { continue };
            *found.entry((&delivery.key.endpoint_id, *eid)).or_default() += 1;
        }
        for (fleet_id, event) in &self.events {
            for receiving in self.endpoints.iter().filter(|receiving| receiving.endpoint.fleet_id == *fleet_id) {
                let count = found.get(&(&receiving.endpoint.endpoint_id, event.eid)).copied().unwrap_or_default();
                assert_eq!(count, 1, "one delivery for each event and endpoint");
            }
        }
        let ends = self.simulation.memory.webhook_ends();
        assert_eq!(ends.len(), deliveries.len(), "each delivery ended");
        assert!(ends.values().all(|count| *count == 1), "each delivery ended once");
    }

    /// What is stated as delivered was accepted, and what was accepted is not stated as failed.
    fn check_accepted(&self) {
        let deliveries = self.deliveries();
        for receiving in &self.endpoints {
            let accepted: BTreeSet<DeliveryId> =
                receiving.behaviour.accepted.lock().unwrap().iter().map(|(id, _)| *id).collect();
            let endpoint_id = &receiving.endpoint.endpoint_id;
            for ((_, id), delivery) in deliveries.iter().filter(|((of, _), _)| of == endpoint_id) {
                let is_delivered = delivery.state == DeliveryState::Delivered;
                assert!(!is_delivered || accepted.contains(id), "a delivered event was accepted");
            }
            assert_eq!(*receiving.behaviour.refused.lock().unwrap(), 0, "no signature is refused");
        }
    }

    /// Each delivery that failed is one dead letter, and nothing else is.
    fn check_letters(&self) {
        let memory = &self.simulation.memory;
        let buckets = LetterBuckets { dead_letters: "letters".to_owned(), archive: "archive".to_owned() };
        let collector = DeadLetterCollector::<InMemory> { letters: memory.clone(), contents: memory.clone(), buckets };
        for (number, body) in memory.failed_deliveries().into_iter().enumerate() {
            let message = QueueMessage {
                message_id: format!("message-{number}"),
                body,
                sent_at: self.simulation.clock.now(),
                moved_from: None,
                attributes: BTreeMap::new(),
            };
            block_on(collector.collect(&message)).unwrap();
        }
        let is_failed = |delivery: &&Delivery| matches!(delivery.state, DeliveryState::Failed { .. });
        let deliveries = self.deliveries();
        let failed = deliveries.values().filter(is_failed).count();
        assert_eq!(memory.dead_letters().len(), failed, "one dead letter for each failed delivery");
    }

    /// What was published while the endpoint was dead arrived after its return, in order where asked.
    fn check_backlog(&self) {
        let dead = self.dead();
        let deliveries = self.deliveries();
        let of_dead = deliveries.values().filter(|delivery| delivery.key.endpoint_id == dead.endpoint.endpoint_id);
        let returned = self.start.plus_ms(DEAD.1);
        let backlog: Vec<&Delivery> = of_dead
            .filter(|delivery| delivery.created_at > self.start.plus_ms(DEAD.0) && delivery.created_at < returned)
            .collect();
        assert!(backlog.len() > 5, "the test has a backlog: {}", backlog.len());
        assert!(
            backlog.iter().all(|delivery| delivery.state == DeliveryState::Delivered),
            "what waited for the dead endpoint arrives"
        );
        if dead.endpoint.order != DeliveryOrder::Vehicle {
            return;
        }
        let accepted = dead.behaviour.accepted.lock().unwrap();
        for vehicle in vehicles_of(1).map(VehicleId::from_random_bits) {
            let ids: BTreeSet<DeliveryId> = backlog
                .iter()
                .filter(|delivery| delivery.payload.vid() == Some(&vehicle))
                .map(|delivery| delivery.key.delivery_id)
                .collect();
            let order: Vec<DeliveryId> = accepted.iter().map(|(id, _)| *id).filter(|id| ids.contains(id)).collect();
            assert!(order.is_sorted(), "the backlog of a vehicle arrives in the order of its events");
        }
    }

    /// Returns the 95th percentile of the times from publishing to acceptance at all endpoints but the dead one, in milliseconds.
    fn p95_ms(&self) -> i64 {
        let deliveries = self.deliveries();
        let mut latencies = Vec::new();
        for receiving in &self.endpoints[1..] {
            for (id, at) in receiving.behaviour.accepted.lock().unwrap().iter() {
                let key = (receiving.endpoint.endpoint_id.clone(), *id);
                let roadcast_domain::webhook::Payload::Event { cloud_event, .. } = &deliveries[&key].payload else {
                    continue;
                };
                let received = roadcast_codec::bus_entry::decode(cloud_event).unwrap().events[0].received;
                latencies.push(at.ms_since(received));
            }
        }
        latencies.sort_unstable();
        latencies[latencies.len() * 95 / 100]
    }
}

proptest! {
    // A case takes seconds. `PROPTEST_CASES` runs more.
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2),
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn deliveries_end_once_whatever_fails(seed: u64, faults in 0_u8..6, interruptions in 0_u64..15, repetitions in 0_u64..10) {
        let mut run = PropertyRun::new(seed, Trouble { faults, interruptions, repetitions }, true, 11);
        run.publish_regularly(4 * HOUR_MS, 26 * HOUR_MS);
        run.finish();
        run.check_complete();
        run.check_accepted();
        run.check_letters();
        run.check_backlog();
    }

    #[test]
    fn nothing_goes_out_5_seconds_after_a_revocation(seed: u64, faults in 0_u8..4, revoked_ms in HOUR_MS..20 * HOUR_MS) {
        let mut run = PropertyRun::new(seed, Trouble { faults, interruptions: 5, repetitions: 5 }, true, 3);
        run.publish_regularly(HOUR_MS, revoked_ms);
        run.simulation.run_until(run.start.plus_ms(revoked_ms));
        let subscription = run.fleets[0].1.clone();
        let vid = subscription.vehicles[0].clone();
        block_on(run.simulation.memory.narrow_grants(&subscription, std::slice::from_ref(&vid), None)).unwrap();
        run.finish();
        run.check_letters();
        let last = run.start.plus_ms(revoked_ms + 5000);
        let subject = format!("\"subject\":\"{vid}\"");
        let mut before = 0;
        for received in run.simulation.receiver.received() {
            let is_of_vehicle = String::from_utf8_lossy(&received.request.body).contains(&subject);
            before += usize::from(is_of_vehicle);
            prop_assert!(!is_of_vehicle || received.at <= last, "sent {} ms after", received.at.ms_since(last));
        }
        prop_assert!(before > 0, "some were sent before");
        let deliveries = run.deliveries();
        prop_assert!(deliveries.values().all(|delivery| delivery.state.is_terminal()));
        let dropped = deliveries.values().filter(|delivery| matches!(delivery.state, DeliveryState::Dropped { .. }));
        prop_assert!(dropped.count() > 0, "what waited is dropped");
    }

    #[test]
    fn rotation_under_load_refuses_no_signature(seed: u64, faults in 0_u8..4) {
        let mut run = PropertyRun::new(seed, Trouble { faults, interruptions: 5, repetitions: 5 }, false, 5);
        for round in 0..6_i64 {
            let at = run.start.plus_ms(round * HOUR_MS);
            run.simulation.run_until(at);
            for fleet in 0..run.fleets.len() {
                run.publish(fleet);
            }
            // While the deliveries go out, the first fleet rotates the secrets of its endpoints. It uses the new secret some time
            // after it got it, and before the overlap ends.
            run.simulation.run_until(at.plus_ms(20));
            let manager = manager_of(&run.fleets[0].0);
            let overlap_s = 1800;
            for receiving in run.endpoints.iter_mut().take(ENDPOINTS) {
                let management = management(&run.simulation.memory, seed ^ round.unsigned_abs());
                let rotated = management.rotate(&manager, &receiving.endpoint.endpoint_id, Some(overlap_s));
                receiving.secret = block_on(rotated).unwrap().1.parse().unwrap();
                let used_from = at.plus_ms(6000 + i64::try_from(seed % 1_700_000).unwrap());
                receiving.behaviour.secrets.lock().unwrap().insert(used_from, receiving.secret.clone());
            }
        }
        run.finish();
        run.check_complete();
        run.check_accepted();
        run.check_letters();
    }
}

#[test]
fn dead_endpoint_does_not_delay_the_others() {
    let p95_ms = |is_dead| {
        let mut run = PropertyRun::new(1, Trouble::default(), is_dead, 0);
        // A burst of the fleet of the dead endpoint, when it is dead, and regular events of all.
        let start = run.start;
        for minute in 0..240 {
            run.simulation.run_until(start.plus_ms(HOUR_MS + minute * 60_000));
            if minute == 10 {
                for _ in 0..20 {
                    let now = run.simulation.clock.now();
                    run.simulation.run_until(now.plus_ms(1000));
                    run.publish(0);
                }
            }
            if minute % 10 == 0 {
                for fleet in 0..run.fleets.len() {
                    run.publish(fleet);
                }
            }
        }
        run.simulation.run_until(start.plus_ms(DEAD.1 - HOUR_MS));
        (run.p95_ms(), run.dead().behaviour.accepted.lock().unwrap().len())
    };
    let ((without, all), (with, few)) = (p95_ms(false), p95_ms(true));
    assert!(all > 50 && few == 0, "the endpoint accepts {all} events, or none while it is dead: {few}");
    let limit = without + without / 20 + 50;
    assert!(with <= limit, "the p95 of the others is {with} ms with the dead endpoint and {without} ms without");
}
