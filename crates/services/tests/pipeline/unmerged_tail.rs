//! A long unmerged tail: more events than one page of the log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::state::VehicleState;
use roadcast_event_log::SegmentedLog;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::event_log::{EventLog, EventPage, EventRange, TelemetryPage};
use roadcast_ports::state::StateStore as _;
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_services::cache::{CachedEntitlements, CachedSubjects};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::stream::{AlertReader, EventStore, EventValidator, Publisher, RecentEvents, Record, StreamProcessor};
use roadcast_testbed::{MemoryItems, port_set};

use crate::fixture::{PipelineFixture, admin, event, record};

/// A log that fails after a number of reads of a range, as if the function were ended.
#[derive(Clone)]
struct LimitedLog {
    log: SegmentedLog<MemoryItems>,
    reads: Arc<AtomicUsize>,
}

impl EventLog for LimitedLog {
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        self.log.append(events).await
    }

    async fn telemetry(&self, range: &EventRange) -> Result<TelemetryPage, PortError> {
        self.log.telemetry(range).await
    }

    async fn range(&self, range: &EventRange) -> Result<EventPage, PortError> {
        let remaining = self.reads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |reads| reads.checked_sub(1));
        remaining.map_err(|_| PortError::new(PortErrorKind::Unavailable, "reading events"))?;
        self.log.range(range).await
    }

    async fn stored_ids(&self, vid: &VehicleId, eids: &[Eid]) -> Result<BTreeSet<Eid>, PortError> {
        self.log.stored_ids(vid, eids).await
    }

    async fn get(&self, vid: &VehicleId, eid: Eid) -> Result<Option<StoredEvent>, PortError> {
        self.log.get(vid, eid).await
    }
}

port_set! {
    /// Ports in memory whose log fails.
    enum LimitedPorts {
        EventLog = LimitedLog;
    }
}

/// Returns a processor whose log fails after `reads` reads of a range.
fn processor(pipeline: &PipelineFixture, reads: usize) -> StreamProcessor<LimitedPorts> {
    let (memory, clock) = (|| pipeline.memory.clone(), || pipeline.clock.clone());
    let log = SegmentedLog { items: pipeline.items.clone() };
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
            state: memory(),
            log: LimitedLog { log, reads: Arc::new(AtomicUsize::new(reads)) },
            recent: RecentEvents::default(),
        },
        clock: clock(),
    }
}

#[tokio::test]
async fn merge_of_a_long_tail_continues_where_it_was_interrupted() {
    let pipeline = PipelineFixture::new(26);
    let vid = pipeline.vehicle("v").await;
    let put = |n: usize, seconds_ago: i64| {
        let event = event(&n.to_string(), &[(seconds_ago, 1.0)]).to_string();
        record(pipeline.memory.stream().put_bytes(vid.as_str(), event.as_bytes()))
    };
    // The first event creates the state. The next 2,500 are of the same interval, so that they are in the log only.
    let (mut state, now) = (VehicleState::default(), pipeline.clock.now());
    state.advance_watermark(&vid, now.plus_ms(-3_600_000));
    let start_s = now.ms_since(state.watermark.unwrap()) / 1000;
    let tail: Vec<Record> = (0..2_501).map(|n| put(n, start_s - i64::try_from(n).unwrap() / 10)).collect();
    for batch in tail.chunks(500) {
        assert_eq!(processor(&pipeline, usize::MAX).process_batch(batch).await.retry_from, None);
    }
    let watermark = async || pipeline.memory.read(&vid).await.unwrap().state.watermark.unwrap();
    let first = watermark().await;

    let after = [put(9_999, 60)];
    for reads in [1, 1] {
        let before = watermark().await;
        assert_eq!(processor(&pipeline, reads).process_batch(&after).await.retry_from, Some(0));
        assert!(watermark().await > before, "the page that was read is merged");
    }
    // What remains of the tail is less than a page, which is read once.
    assert_eq!(processor(&pipeline, 1).process_batch(&after).await.retry_from, None);
    assert!(watermark().await > first);

    let mut expected = VehicleState::default();
    for stored in &pipeline.stored_events() {
        expected.merge_event(&stored.event);
    }
    assert_eq!(pipeline.stored_events().len(), 2_502);
    let (state, _) = pipeline.states().state(&admin(), &vid).await.unwrap();
    assert_eq!(state.signals, expected.signals);
}
