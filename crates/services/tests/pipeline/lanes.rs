//! Records of one vehicle under several partition keys, and redriven ones: two batches of a vehicle are processed at the same
//! time.

use std::collections::BTreeSet;
use std::pin::pin;
use std::task::Poll;

use futures::FutureExt as _;
use futures::future::{FusedFuture as _, poll_fn};
use proptest::prelude::*;
use roadcast_domain::state::VehicleState;
use roadcast_event_log::SegmentedLog;
use roadcast_services::cache::{CachedEntitlements, CachedSubjects};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::stream::{AlertReader, EventStore, EventValidator, Publisher, RecentEvents, Record, StreamProcessor};
use roadcast_testbed::{InFlight, Memory, MemoryItems, port_set};
use serde_json::json;

use crate::fixture::{PipelineFixture, admin, event, record};

port_set! {
    /// Ports in memory whose stores yield before each call, so that two batches interleave.
    pub(crate) enum InterleavedPorts {
        StateStore = InFlight<Memory>;
        EventLog = SegmentedLog<InFlight<MemoryItems>>;
    }
}

/// An event of the vehicle: seconds before noon, and which signal it has.
#[derive(Clone, Debug)]
struct Sent {
    seconds_ago: i64,
    signal: usize,
    keyed_by_vehicle: bool,
    /// Whether the record is put twice.
    is_repeated: bool,
}

/// How the records of the second sequence of batches reach the processor.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Lane {
    Stream,
    Redrive,
}

const SIGNALS: [&str; 3] = ["Vehicle.Speed", "Vehicle.Exterior.AirTemperature", "Vehicle.TraveledDistance"];

fn sent() -> impl Strategy<Value = Sent> {
    (0_i64..1_500, 0_usize..3, any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |(seconds_ago, signal, keyed_by_vehicle, is_repeated)| Sent { seconds_ago, signal, keyed_by_vehicle, is_repeated },
    )
}

pub(crate) fn processor(pipeline: &PipelineFixture) -> StreamProcessor<InterleavedPorts> {
    let (memory, clock) = (|| pipeline.memory.clone(), || pipeline.clock.clone());
    StreamProcessor {
        archive: memory(),
        quarantine: memory(),
        validator: EventValidator {
            subjects: CachedSubjects::new(memory(), clock()),
            schemas: CachedSchemas::new(memory(), clock()),
        },
        alerts: AlertReader { secrets: memory() },
        publisher: Publisher { entitlements: CachedEntitlements::new(memory(), clock()), bus: memory(), clock: clock() },
        store: EventStore {
            state: InFlight::new(memory()),
            log: SegmentedLog { items: InFlight::new(pipeline.items.clone()) },
            recent: RecentEvents::default(),
        },
        clock: clock(),
    }
}

/// Polls two futures until both are ready: in the order of `turns` (true for the first), then in turn.
pub(crate) async fn interleave(first: impl Future<Output = ()>, second: impl Future<Output = ()>, turns: Vec<bool>) {
    let (mut first, mut second) = (pin!(first.fuse()), pin!(second.fuse()));
    let mut turns = turns.into_iter().chain([true, false].into_iter().cycle());
    poll_fn(|context| {
        let is_first = second.is_terminated() || (turns.next() == Some(true) && !first.is_terminated());
        let _pending = if is_first { first.as_mut().poll(context) } else { second.as_mut().poll(context) };
        if first.is_terminated() && second.is_terminated() {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// However batches of one vehicle interleave, whose records have the key of the vehicle, another one, or are redriven: each
    /// event is stored, and the state is that of all stored events.
    #[test]
    fn state_does_not_depend_on_the_partition_key(
        events in prop::collection::vec(sent(), 2..16),
        batch_size in 1_usize..4,
        other_lane in prop_oneof![Just(Lane::Stream), Just(Lane::Redrive)],
        turns in prop::collection::vec(any::<bool>(), 0..120),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let pipeline = PipelineFixture::new(2);
            let vid = pipeline.vehicle("v").await;
            let mut lanes: [Vec<Record>; 2] = Default::default();
            for (n, sent) in events.iter().enumerate() {
                let mut event = event(&n.to_string(), &[(sent.seconds_ago, 1.0)]);
                event["subject"] = json!(vid);
                event["time"] = event["data"]["samples"][0]["at"].clone();
                event["data"]["samples"][0]["signals"] = json!({ (SIGNALS[sent.signal]): n });
                let is_other_key = !sent.keyed_by_vehicle && other_lane == Lane::Stream;
                let key = if is_other_key { "a partner".to_owned() } else { vid.to_string() };
                for _ in 0..=usize::from(sent.is_repeated) {
                    let put = pipeline.memory.stream().put_bytes(&key, event.to_string().as_bytes());
                    lanes[usize::from(sent.keyed_by_vehicle)].push(record(put));
                }
            }
            let process = async |records: &[Record], lane: Lane| {
                let processor = processor(&pipeline);
                for batch in records.chunks(batch_size) {
                    let outcome = match lane {
                        Lane::Stream => processor.process_batch(batch).await,
                        Lane::Redrive => processor.redrive_batch(batch).await,
                    };
                    assert_eq!(outcome.retry_from, None, "{:?}", outcome.failures);
                }
            };
            Box::pin(interleave(process(&lanes[0], other_lane), process(&lanes[1], Lane::Stream), turns)).await;

            let stored = pipeline.stored_events();
            let ids: BTreeSet<&str> = stored.iter().map(|stored| stored.origin.id.as_str()).collect();
            prop_assert_eq!((stored.len(), ids.len()), (events.len(), events.len()));
            let mut expected = VehicleState::default();
            for stored in &stored {
                expected.merge_event(&stored.event);
            }
            let (state, _) = pipeline.states().state(&admin(), &vid).await.unwrap();
            prop_assert_eq!(state.signals, expected.signals);
            Ok(())
        })?;
    }
}
