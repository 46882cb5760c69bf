//! The tables of events are emptied, and restored from the archive.

use std::pin::pin;

use futures::FutureExt as _;
use proptest::prelude::*;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_event_log::SegmentedLog;
use roadcast_ports::clock::Clock as _;
use roadcast_services::cache::CachedSubjects;
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::query::fleet_events::{ArrivalPosition, FleetEventsRange};
use roadcast_services::restore::{HourProgress, RestoreRequest, Task};
use roadcast_services::stream::RestoreTarget::{Arrivals, Events, State};
use roadcast_services::stream::{AlertReader, EventStore, EventValidator, RecentEvents, Record, RestoreTarget};
use roadcast_testbed::{FaultPlan, InFlight};
use serde_json::json;

use crate::fixture::{PipelineFixture, Snapshot, client_of, event, record, restorer};
use crate::lanes::{self, InterleavedPorts};

/// Two vehicles, one of which two fleets may see, and data of several hours.
struct Sent {
    pipeline: PipelineFixture,
    vids: Vec<VehicleId>,
    fleets: Vec<FleetId>,
}

impl Sent {
    async fn new(seed: u64) -> Self {
        let pipeline = PipelineFixture::new(seed);
        let vids = vec![pipeline.vehicle("a").await, pipeline.vehicle("b").await];
        let fleets = vec![
            pipeline.fleet(&vids, &["telematics"]).await,
            pipeline.fleet(&vids[..1], &["track-and-trace", "diagnostics"]).await,
        ];
        for round in 0..4_i32 {
            for (n, vid) in vids.iter().enumerate() {
                let ago = i64::from(round) * 700 + 10;
                let value = f64::from(round) + 1.0;
                pipeline.upload(vid, &format!("{n}-{round}"), &[(ago, value), (ago - 3, value + 0.5)]).await;
            }
            // A name instead of the id of the vehicle, under the key of a partner; an invalid sample; a repetition.
            let mut named = event(&format!("named-{round}"), &[(60 * i64::from(round), 7.0), (-100_000, 1.0)]);
            named["subject"] = json!("test:b");
            for _ in 0..2 {
                pipeline.memory.stream().put_bytes("a partner", named.to_string().as_bytes());
            }
            pipeline.memory.stream().put_bytes("a partner", b"no event");
            pipeline.process_all(|_| FaultPlan::healthy()).await;
            pipeline.clock.advance_ms(40 * 60 * 1000);
        }
        Self { pipeline, vids, fleets }
    }

    async fn snapshot(&self) -> Snapshot {
        self.pipeline.snapshot(&self.vids, &self.fleets).await
    }

    /// The arrivals that a poller reads from this position on, and its next position.
    async fn poll(&self, fleet_id: &FleetId, from: ArrivalPosition) -> (Vec<String>, ArrivalPosition) {
        let range = FleetEventsRange { from, to: None, selection: Selection::default(), limit: 1000 };
        let page = self.pipeline.fleet_events().page(&client_of(fleet_id), &range).await.unwrap();
        assert!(!page.more);
        let mut events: Vec<String> =
            page.events.iter().map(|event| format!("{} {}", event.vid.as_str(), event.eid)).collect();
        events.sort();
        (events, page.next.unwrap())
    }
}

fn healthy(_: u64) -> FaultPlan {
    FaultPlan::healthy()
}

fn all(pipeline: &PipelineFixture) -> RestoreRequest {
    pipeline.restore_request(&RestoreTarget::ALL)
}

#[tokio::test]
async fn emptied_tables_are_restored() {
    let sent = Sent::new(2).await;
    let before = sent.snapshot().await;
    assert!(before.events.len() == 12 && before.arrivals.len() == 16, "{before:?}");
    let archived = sent.pipeline.memory.archived().len();
    let quarantined = sent.pipeline.memory.quarantined().len();
    sent.pipeline.empty_tables();
    assert_ne!(sent.snapshot().await, before);

    let counts = sent.pipeline.restore(&all(&sent.pipeline), &healthy).await;
    assert_eq!(sent.snapshot().await, before);
    let samples: usize = before.events.iter().map(|stored| stored.event.sample_count()).sum();
    assert_eq!((counts.samples_stored, counts.arrivals_recorded), (samples, before.arrivals.len()));
    assert_eq!((counts.events_present, counts.unreadable_batches), (4, 0), "the repetitions");
    let samples_received = samples + 4 * 2 + 4;
    assert_eq!(
        (counts.samples, counts.samples_invalid),
        (samples_received + 4, 4 * 2 + 4),
        "invalid samples, twice; no events"
    );

    // Nothing of it is archived, quarantined or published again.
    assert_eq!(sent.pipeline.memory.archived().len(), archived);
    assert_eq!(sent.pipeline.memory.quarantined().len(), quarantined);
    assert!(sent.pipeline.memory.published().is_empty());

    let again = sent.pipeline.restore(&all(&sent.pipeline), &healthy).await;
    assert_eq!((again.samples_stored, again.arrivals_recorded), (0, 0));
    assert_eq!(sent.snapshot().await, before);
}

#[tokio::test]
async fn restore_of_complete_tables_changes_nothing() {
    let sent = Sent::new(3).await;
    let before = sent.snapshot().await;
    let counts = sent.pipeline.restore(&all(&sent.pipeline), &healthy).await;
    assert_eq!((counts.samples_stored, counts.arrivals_recorded, counts.events_present), (0, 0, 16));
    assert_eq!(sent.snapshot().await, before);
}

#[tokio::test]
async fn one_table_is_restored_from_the_archive() {
    for lost in RestoreTarget::ALL {
        let sent = Sent::new(4).await;
        let before = sent.snapshot().await;
        match lost {
            Events => sent.pipeline.items.clear(),
            State => sent.pipeline.memory.empty_states(),
            Arrivals => sent.pipeline.memory.empty_feed_index(),
        }
        assert_ne!(sent.snapshot().await, before, "{lost:?}");
        for _ in 0..2 {
            sent.pipeline.restore(&sent.pipeline.restore_request(&[lost]), &healthy).await;
            assert_eq!(sent.snapshot().await, before, "{lost:?}");
        }
    }
}

#[tokio::test]
async fn only_the_requested_vehicles_and_time_are_restored() {
    let sent = Sent::new(5).await;
    let before = sent.snapshot().await;
    sent.pipeline.empty_tables();
    let mut request = all(&sent.pipeline);
    request.scope.vehicles = [sent.vids[1].clone()].into();
    // The last round.
    request.from = sent.pipeline.clock.now().plus_ms(-50 * 60 * 1000);
    let counts = sent.pipeline.restore(&request, &healthy).await;
    let restored = sent.snapshot().await;
    let is_expected = |stored: &&roadcast_domain::event::StoredEvent| {
        stored.event.vid == sent.vids[1] && stored.event.received >= request.from
    };
    let expected: Vec<_> = before.events.iter().filter(is_expected).cloned().collect();
    assert_eq!(expected.len(), 2);
    assert_eq!(restored.events, expected);
    assert_eq!((counts.samples, restored.arrivals.len()), (6, 2), "other vehicles are not counted");
    assert!(restored.states[0].is_empty());

    sent.pipeline.restore(&all(&sent.pipeline), &healthy).await;
    assert_eq!(sent.snapshot().await, before);
}

#[tokio::test]
async fn alerts_of_other_vehicles_are_neither_restored_nor_counted() {
    let sent = Sent::new(11).await;
    let pipeline = &sent.pipeline;
    for (vid, number) in sent.vids.iter().zip(1..) {
        pipeline.raise(&pipeline.alert(vid, Some(&sent.fleets[0]), number)).await;
    }
    pipeline.process_all(healthy).await;
    let before = sent.snapshot().await;
    pipeline.empty_tables();
    let all_vehicles = all(pipeline);
    let mut samples = Vec::new();
    for vid in &sent.vids {
        let mut request = all_vehicles.clone();
        request.scope.vehicles = [vid.clone()].into();
        let counts = pipeline.restore(&request, &healthy).await;
        // The first vehicle sent two samples in each round, the second one two more, one of them invalid, twice.
        samples.push(counts.samples);
    }
    assert_eq!(samples, [4 * 2 + 1, 4 * 6 + 1], "with one alert of each vehicle");
    assert_eq!(sent.snapshot().await, before);
}

#[tokio::test]
async fn unreadable_batch_is_counted_and_does_not_stop_the_rest() {
    let sent = Sent::new(6).await;
    let before = sent.snapshot().await;
    sent.pipeline.empty_tables();
    sent.pipeline.memory.damage_first_batch();
    let counts = sent.pipeline.restore(&all(&sent.pipeline), &healthy).await;
    let restored = sent.snapshot().await;
    assert_eq!(counts.unreadable_batches, 1);
    assert!(restored.events.len() < before.events.len() && restored.events.len() >= 8, "{}", restored.events.len());
}

#[tokio::test]
async fn cursor_from_before_the_loss_skips_nothing() {
    let sent = Sent::new(8).await;
    let start = ArrivalPosition::first_at(sent.pipeline.clock.now().plus_ms(-24 * 60 * 60 * 1000));
    for fleet_id in &sent.fleets {
        let (events, cursor) = sent.poll(fleet_id, start.clone()).await;
        assert!(!events.is_empty());
        sent.pipeline.empty_tables();
        let (lost, cursor) = sent.poll(fleet_id, cursor).await;
        assert_eq!(lost, [""; 0]);
        for _ in 0..2 {
            sent.pipeline.restore(&all(&sent.pipeline), &healthy).await;
        }
        sent.pipeline.clock.advance_ms(20_000);
        assert_eq!(sent.poll(fleet_id, cursor).await.0, events, "each restored event arrives once");
        assert_eq!(sent.poll(fleet_id, start.clone()).await.0, events);
    }
}

#[tokio::test]
async fn arrivals_that_have_expired_are_not_restored() {
    let sent = Sent::new(9).await;
    let before = sent.snapshot().await;
    let request = all(&sent.pipeline);
    sent.pipeline.empty_tables();
    sent.pipeline.clock.advance_ms(14 * 24 * 60 * 60 * 1000 - 45 * 60 * 1000);
    sent.pipeline.restore(&request, &healthy).await;
    let restored = sent.snapshot().await;
    assert_eq!((&restored.events, &restored.states), (&before.events, &before.states));
    assert_eq!(restored.arrivals.len(), before.arrivals.len() / 4, "those of the last round");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Under any faults and repetitions of tasks, the tables are as before, and each arrival is recorded once.
    #[test]
    fn faults_do_not_change_what_is_restored(seed in 0_u64..1_000_000, percent in 2_u8..12) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let sent = Sent::new(seed).await;
            let before = sent.snapshot().await;
            sent.pipeline.empty_tables();
            sent.pipeline.restore(&all(&sent.pipeline), &|n| FaultPlan::seeded(seed ^ n, percent)).await;
            prop_assert_eq!(sent.snapshot().await, before);
            Ok(())
        })?;
    }

    /// Wherever a task is ended and repeated, an hour later, the tables are as before, and each arrival is recorded once.
    #[test]
    fn ended_tasks_do_not_change_what_is_restored(seed in 0_u64..1_000_000, ends in prop::collection::vec(0_usize..80, 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let sent = Sent::new(seed).await;
            let before = sent.snapshot().await;
            sent.pipeline.empty_tables();
            let request = all(&sent.pipeline);
            let mut ends = ends.into_iter();
            for hour in request.hours().unwrap() {
                let mut task = Task { request: request.clone(), hour, progress: HourProgress::default() };
                while !task.progress.done {
                    let restore = sent.pipeline.archive_restore(&|_| FaultPlan::healthy().yielding());
                    let mut continued = pin!(restore.continue_hour(task.clone()).fuse());
                    // An hour without batches is restored at once: it does not use up an end.
                    let polls = if sent.has_batches(&task) { ends.next().unwrap_or(usize::MAX) } else { usize::MAX };
                    let mut polled = 0;
                    let ended = std::future::poll_fn(|context| {
                        polled += 1;
                        if polled > polls {
                            return std::task::Poll::Ready(None);
                        }
                        continued.as_mut().poll(context).map(Some)
                    }).await;
                    match ended {
                        Some(next) => task = next.unwrap(),
                        None => sent.pipeline.clock.advance_ms(60 * 60 * 1000),
                    }
                }
            }
            prop_assert_eq!(sent.snapshot().await, before);
            Ok(())
        })?;
    }

    /// However a restore and live batches interleave: each event is stored, each vehicle has the state of all its events.
    #[test]
    fn restore_beside_live_batches_loses_nothing(
        seconds_ago in prop::collection::vec(0_i64..1_500, 1..8),
        turns in prop::collection::vec(any::<bool>(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let sent = Sent::new(10).await;
            let pipeline = &sent.pipeline;
            pipeline.empty_tables();
            let mut live: Vec<Record> = Vec::new();
            for (n, ago) in seconds_ago.iter().enumerate() {
                let mut event = event(&format!("live {n}"), &[(*ago, 3.0)]);
                event["subject"] = json!(sent.vids[0]);
                let put = pipeline.memory.stream().put_bytes(sent.vids[0].as_str(), event.to_string().as_bytes());
                live.push(record(put));
            }
            let request = all(pipeline);
            let (memory, clock) = (|| pipeline.memory.clone(), || pipeline.clock.clone());
            let validator = EventValidator {
                subjects: CachedSubjects::new(memory(), clock()),
                schemas: CachedSchemas::new(memory(), clock()),
            };
            let store = EventStore {
                state: InFlight::new(memory()),
                log: SegmentedLog { items: InFlight::new(pipeline.items.clone()) },
                recent: RecentEvents::default(),
            };
            let alerts = AlertReader { secrets: memory() };
            let restore = restorer::<InterleavedPorts>(pipeline, memory(), validator, alerts, store, memory(), memory());

            let restoring = async {
                for hour in request.hours().unwrap() {
                    let task = Task { request: request.clone(), hour, progress: HourProgress::default() };
                    assert!(restore.continue_hour(task).await.unwrap().progress.done);
                }
            };
            let processing = async {
                let processor = lanes::processor(pipeline);
                for batch in live.chunks(2) {
                    let outcome = processor.process_batch(batch).await;
                    assert_eq!(outcome.retry_from, None, "{:?}", outcome.failures);
                }
            };
            Box::pin(lanes::interleave(restoring, processing, turns)).await;
            let after = sent.snapshot().await;
            prop_assert_eq!(after.events.len(), 12 + live.len());
            for (vid, state) in sent.vids.iter().zip(&after.states) {
                let mut expected = roadcast_domain::state::VehicleState::default();
                for stored in after.events.iter().filter(|stored| stored.event.vid == *vid) {
                    expected.merge_event(&stored.event);
                }
                prop_assert_eq!(state, &expected.signals);
            }
            Ok(())
        })?;
    }
}

impl Sent {
    fn has_batches(&self, task: &Task) -> bool {
        let hour = task.hour.to_string();
        self.pipeline.memory.archived().iter().any(|batch| batch.records[0].arrived_at.to_string().starts_with(&hour))
    }
}
