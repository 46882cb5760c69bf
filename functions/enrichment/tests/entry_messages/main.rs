//! Enrichment of the messages of a queue, on models of the queue and of its event source mapping, with ports that fail.

// Tests fail on the first unexpected result.
#![allow(clippy::unwrap_used)]

mod fixture;

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use roadcast_domain::ids::Eid;
use roadcast_domain::lane::Lane;
use roadcast_lambda_kit::deadline::Deadline;
use roadcast_ports::clock::Clock as _;
use roadcast_testbed::{Fault, FaultPlan, QueueConfig, QueuedMessage, SeededRandomness};

use fixture::{Faults, Fixture, entry, event, fleet_id, handler, invoke, until_killed};

const POISON: &str = "{\"detail\": 1";

#[tokio::test]
async fn passing_fault_delays_an_entry_by_a_second() {
    let fixture = Fixture::new();
    fixture.fleet(0, &[1]).await;
    fixture.queue.send(entry(Lane::Telemetry, 0, &[event(1, 0)]));
    let start = fixture.clock.now();
    let bus = FaultPlan::script([Some(Fault::Throttled)]);
    let enrichment = fixture.enrichment(&Faults { bus, ..Faults::default() });
    fixture.mapping().drain(&handler(&enrichment)).await;
    assert_eq!((fixture.delivered(0).len(), fixture.indexed(0).len()), (1, 1));
    assert_eq!(fixture.clock.now().ms_since(start), 1000);
}

#[tokio::test]
async fn outage_of_three_hours_loses_nothing() {
    let fixture = Fixture::new();
    fixture.fleet(0, &[1]).await;
    let bus = FaultPlan::always(Fault::Unavailable);
    let enrichment = fixture.enrichment(&Faults { bus: bus.clone(), ..Faults::default() });
    let (handler, mut mapping, start) = (handler(&enrichment), fixture.mapping(), fixture.clock.now());
    let end = start.plus_ms(3 * 3_600_000);
    let mut expected = BTreeSet::new();
    for minute in 0..180 {
        let event = event(1, minute);
        expected.insert(event.eid);
        fixture.queue.send(entry(Lane::Telemetry, expected.len(), &[event]));
        fixture.clock.set(start.plus_ms(minute * 60_000));
        while mapping.poll(&handler).await > 0 {}
    }
    fixture.clock.set(end);
    assert_eq!((fixture.queue.backlog(), fixture.delivered(0).len()), (180, 0));
    bus.heal();
    mapping.drain(&handler).await;
    assert_eq!((fixture.delivered(0), fixture.indexed(0)), (expected.clone(), expected));
    assert!(fixture.queue.dead_letters().is_empty() && fixture.queue.expired() == 0);
    assert!(fixture.clock.now().ms_since(end) <= 300_000, "the backlog is delivered within five minutes");
}

#[tokio::test]
async fn poison_entry_ends_as_a_dead_letter_and_delays_no_other() {
    let fixture = Fixture::new();
    fixture.fleet(0, &[1]).await;
    fixture.queue.send(POISON);
    for number in 0..15 {
        fixture.queue.send(entry(Lane::Telemetry, number, &[event(1, i64::try_from(number).unwrap())]));
    }
    let start = fixture.clock.now();
    let enrichment = fixture.enrichment(&Faults::default());
    let (handler, mut mapping) = (handler(&enrichment), fixture.mapping());
    mapping.poll(&handler).await;
    assert_eq!((fixture.delivered(0).len(), fixture.clock.now()), (15, start));
    mapping.drain(&handler).await;
    assert_eq!(fixture.queue.dead_letters(), [POISON]);
    let hours = fixture.clock.now().ms_since(start) / 3_600_000;
    assert!((20..=30).contains(&hours), "an entry is retried for about a day, not {hours} hours");
}

#[tokio::test]
async fn retry_publishes_nothing_again_that_only_the_index_missed() {
    let fixture = Fixture::new();
    fixture.fleet(0, &[1]).await;
    fixture.queue.send(entry(Lane::Telemetry, 0, &[event(1, 0)]));
    let index = FaultPlan::script([Some(Fault::Unavailable); 5]);
    let enrichment = fixture.enrichment(&Faults { index, ..Faults::default() });
    fixture.mapping().drain(&handler(&enrichment)).await;
    assert_eq!((fixture.memory.deliveries().len(), fixture.indexed(0).len()), (1, 1));
}

#[tokio::test]
async fn retry_for_one_fleet_delivers_nothing_again_to_others() {
    let fixture = Fixture::with_queue(QueueConfig { max_receive_count: 6, ..QueueConfig::default() });
    fixture.fleet(0, &[1, 2]).await;
    // A fleet that does not exist.
    fixture.grant(1, &[1]).await;
    fixture.queue.send(entry(Lane::Telemetry, 0, &[event(1, 0), event(2, 0)]));
    let enrichment = fixture.enrichment(&Faults::default());
    let mut mapping = fixture.mapping();
    mapping.drain(&handler(&enrichment)).await;
    assert_eq!((mapping.invocations(), fixture.queue.dead_letters().len()), (6, 1));
    let delivered = fixture.memory.deliveries();
    assert!(delivered.iter().all(|entry| entry.fleet_id == fleet_id(0)));
    assert_eq!((delivered.len(), fixture.delivered(0).len()), (1, 2));
}

#[tokio::test]
async fn message_without_a_delay_is_visible_after_the_timeout() {
    let fixture = Fixture::new();
    fixture.fleet(0, &[1]).await;
    fixture.queue.send(entry(Lane::Telemetry, 0, &[event(1, 0)]));
    let start = fixture.clock.now();
    let (bus, delay) = (FaultPlan::script([Some(Fault::Throttled)]), FaultPlan::always(Fault::Unavailable));
    let enrichment = fixture.enrichment(&Faults { bus, delay, ..Faults::default() });
    fixture.mapping().drain(&handler(&enrichment)).await;
    assert_eq!((fixture.delivered(0).len(), fixture.clock.now().ms_since(start)), (1, 360_000));
}

#[tokio::test]
async fn messages_after_the_deadline_are_returned_and_not_begun() {
    let fixture = Fixture::new();
    fixture.fleet(0, &[1]).await;
    for number in 0..3 {
        fixture.queue.send(entry(Lane::Telemetry, number, &[event(1, 0)]));
    }
    let messages = fixture.queue.receive(10);
    let enrichment = fixture.enrichment(&Faults::default());
    let failed = invoke(&enrichment, &messages, Deadline::after(Duration::from_secs(1))).await;
    assert_eq!((failed.len(), fixture.memory.deliveries().len()), (3, 0));
    // They are not delayed by the visibility timeout either.
    fixture.clock.advance_ms(1000);
    assert_eq!(fixture.queue.receive(10).len(), 3);
}

/// No component publishes alerts yet, so an entry in the lane of alerts holds a diagnostic event.
#[tokio::test]
async fn alerts_are_delivered_while_the_queue_of_telemetry_is_full() {
    let (telemetry, alerts) = (Fixture::new(), Fixture::new());
    telemetry.fleet(0, &[1]).await;
    alerts.fleet(0, &[1]).await;
    for number in 0..100 {
        telemetry.queue.send(entry(Lane::Telemetry, number, &[event(1, i64::try_from(number).unwrap())]));
    }
    alerts.queue.send(entry(Lane::Alerts, 0, &[event(1, 0)]));
    for (fixture, backlog) in [(&telemetry, 80), (&alerts, 0)] {
        let enrichment = fixture.enrichment(&Faults::default());
        fixture.mapping().poll(&handler(&enrichment)).await;
        assert_eq!(fixture.queue.backlog(), backlog);
    }
    assert_eq!(alerts.delivered(0).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Ports fail, functions are killed between two calls, and one entry is not readable: every other entry reaches each entitled
    /// fleet and the feed index.
    #[test]
    fn every_entry_reaches_its_fleets_or_is_a_dead_letter(
        seed in 0_u64..1_000_000,
        percent in 0_u8..40,
        vehicles_of_fleets in prop::collection::vec(prop::collection::btree_set(0_u128..6, 1..5), 1..4),
        vehicles_of_entries in prop::collection::vec(prop::collection::btree_set(0_u128..6, 1..5), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new();
            for (number, vehicles) in (0_u128..).zip(&vehicles_of_fleets) {
                fixture.fleet(number, &vehicles.iter().copied().collect::<Vec<_>>()).await;
            }
            fixture.queue.send(POISON);
            let mut events = Vec::new();
            for (number, vehicles) in vehicles_of_entries.iter().enumerate() {
                let of_entry: Vec<_> = vehicles.iter().map(|vehicle| event(*vehicle, i64::try_from(number).unwrap())).collect();
                fixture.queue.send(entry(Lane::Telemetry, number, &of_entry));
                events.extend(vehicles.iter().copied().zip(of_entry.into_iter().map(|event| event.eid)));
            }

            let enrichment = fixture.enrichment(&Faults::all(|port| FaultPlan::seeded(seed + port, percent)));
            let random = SeededRandomness::new(seed);
            let handler = async |messages: Vec<QueuedMessage>| {
                let work = invoke(&enrichment, &messages, Deadline::default());
                // A third of the invocations are killed early, another one perhaps.
                let waits = if random.bits64().is_multiple_of(3) { random.bits64() % 8 } else { random.bits64() % 400 };
                until_killed(work, waits).await.ok_or("killed")
            };
            fixture.mapping().drain(&handler).await;

            prop_assert_eq!(fixture.queue.dead_letters(), [POISON]);
            for (number, vehicles) in (0_u128..).zip(&vehicles_of_fleets) {
                let entitled = events.iter().filter(|(vehicle, _)| vehicles.contains(vehicle));
                let expected: BTreeSet<Eid> = entitled.map(|(_, eid)| *eid).collect();
                prop_assert_eq!(&fixture.delivered(number), &expected);
                prop_assert_eq!(&fixture.indexed(number), &expected);
            }
            Ok(())
        })?;
    }
}
