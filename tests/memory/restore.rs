//! The archive restorer, 1024 MiB.

use roadcast_ports::archive::{Archive as _, RawBatch};
use roadcast_ports::clock::Clock as _;
use roadcast_services::cache::{CachedEntitlements, CachedSubjects};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::delivery::restored_arrivals::RestoredArrivals;
use roadcast_services::restore::{ArchiveHour, ArchiveRestore, HourProgress, RestoreRequest, Task};
use roadcast_services::stream::{
    AlertReader, EventStore, EventValidator, RecentEvents, RecordRestorer, RestoreScope, RestoreTarget,
};
use roadcast_testbed::InMemory;

use crate::fixture::Fixture;
use crate::peak::{MIB, assert_peak, peak};
use crate::stream::hostile_records;

const BOUND: usize = 512 * MIB;

#[test]
fn restore_of_hostile_records_is_bounded() {
    let fixture = peak(Fixture::new()).0;
    let records = hostile_records(&fixture);
    let batch = RawBatch { shard: "shard".to_owned(), records: records.into_iter().map(|record| record.raw).collect() };
    peak(fixture.memory.store(&batch)).0.unwrap();
    let (m, k) = (|| fixture.memory.clone(), || fixture.clock.clone());
    let restore = ArchiveRestore::<InMemory> {
        batches: m(),
        restorer: RecordRestorer {
            validator: EventValidator { subjects: CachedSubjects::new(m(), k()), schemas: CachedSchemas::new(m(), k()) },
            alerts: AlertReader { secrets: m() },
            store: EventStore { state: m(), log: fixture.log(), recent: RecentEvents::default() },
            arrivals: RestoredArrivals { entitlements: CachedEntitlements::new(m(), k()), index: m(), clock: k() },
            clock: k(),
        },
        clock: k(),
    };
    let now = fixture.clock.now();
    let scope = RestoreScope { vehicles: [].into(), targets: RestoreTarget::ALL.into() };
    let request = RestoreRequest { from: now.plus_ms(-1), to: now.plus_ms(1), scope };
    let hour: ArchiveHour = now.to_string()[..13].parse().unwrap();
    let task = Task { request, hour, progress: HourProgress::default() };
    let next = assert_peak("restore of hostile records", BOUND, restore.continue_hour(task)).unwrap();
    assert!(next.progress.done && next.progress.counts.samples_stored > 0, "{next:?}");
}
