//! A fleet polls its events while vehicles send late and out of order, and deliveries are repeated.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use proptest::prelude::*;
use roadcast_domain::Timestamp;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_event_log::SegmentedLog;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::feed::{Delivery, FeedIndex, FeedPage, FeedRange, INDEX_GRACE_MS, INDEX_RETENTION_MS, RestoredPart};
use roadcast_services::ServiceError;
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::fleets::{SubscriptionRequest, Transition};
use roadcast_services::query::fleet_events::{ArrivalPosition, FleetEvents, FleetEventsPage, FleetEventsRange};
use roadcast_testbed::{FaultPlan, Memory, port_set};

use crate::fixture::{PipelineFixture, admin, client_of};

/// A fleet's application that polls from its last cursor.
struct Poller {
    fleet_id: FleetId,
    position: ArrivalPosition,
    limit: usize,
    events: Vec<Event>,
}

impl Poller {
    fn new(pipeline: &PipelineFixture, fleet_id: &FleetId, limit: usize) -> Self {
        let position = ArrivalPosition::first_at(pipeline.clock.now());
        Self { fleet_id: fleet_id.clone(), position, limit, events: Vec::new() }
    }

    async fn page(&mut self, pipeline: &PipelineFixture) -> FleetEventsPage {
        let range =
            FleetEventsRange { from: self.position.clone(), to: None, selection: Selection::default(), limit: self.limit };
        let page = pipeline.fleet_events().page(&client_of(&self.fleet_id), &range).await.unwrap();
        assert!(page.events.len() <= self.limit);
        // As serialized in a cursor.
        let text = serde_json::to_string(page.next.as_ref().unwrap()).unwrap();
        assert!(text.len() < 1400, "a cursor stays short: {}", text.len());
        self.position = serde_json::from_str(&text).unwrap();
        self.events.extend(page.events.iter().cloned());
        page
    }

    /// Polls until no more events are available.
    async fn catch_up(&mut self, pipeline: &PipelineFixture) {
        while self.page(pipeline).await.more {}
    }

    fn event_keys(&self) -> Vec<(VehicleId, Eid)> {
        self.events.iter().map(|event| (event.vid.clone(), event.eid)).collect()
    }
}

fn assert_unique(mut keys: Vec<(VehicleId, Eid)>) -> BTreeSet<(VehicleId, Eid)> {
    let count = keys.len();
    keys.sort();
    let unique: BTreeSet<_> = keys.into_iter().collect();
    assert_eq!(unique.len(), count, "an event was returned twice");
    unique
}

#[tokio::test]
async fn poller_receives_late_data_in_arrival_order_and_only_its_own() {
    let pipeline = PipelineFixture::new(41);
    let (ours, theirs) = (pipeline.vehicle("ours").await, pipeline.vehicle("theirs").await);
    let fleet = pipeline.fleet(std::slice::from_ref(&ours), &["track-and-trace"]).await;
    let mut poller = Poller::new(&pipeline, &fleet, 10);
    for (id, ago) in [("new", 10), ("hours late", 20_000), ("newer", 5)] {
        pipeline.upload(&ours, id, &[(ago, 50.0)]).await;
        pipeline.upload(&theirs, id, &[(ago, 50.0)]).await;
        pipeline.process_all(|_| FaultPlan::healthy()).await;
        pipeline.clock.advance_ms(5_000);
    }
    assert_eq!(poller.page(&pipeline).await.events.len(), 1, "events younger than ten seconds are not returned yet");
    pipeline.clock.advance_ms(20_000);
    poller.catch_up(&pipeline).await;
    assert_eq!(assert_unique(poller.event_keys()).len(), 3);
    let times: Vec<_> = poller.events.iter().map(|event| event.eid.time()).collect();
    assert!(times[1] < times[0] && times[0] < times[2], "events are in arrival order: {times:?}");
    assert!(crate::fixture::signal_paths(&poller.events).iter().all(|path| path.starts_with("Vehicle.CurrentLocation.")));
}

#[tokio::test]
async fn delivered_event_that_is_not_stored_yet_is_waited_for() {
    let pipeline = PipelineFixture::new(42);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let mut poller = Poller::new(&pipeline, &fleet, 10);
    pipeline.upload(&vid, "a", &[(10, 50.0)]).await;
    // Published, then the log fails: the batch is retried later.
    pipeline.process_without_log().await;
    pipeline.clock.advance_ms(30_000);
    let page = poller.page(&pipeline).await;
    assert!(page.events.is_empty() && !page.more, "no event is skipped");
    pipeline.clock.advance_ms(10 * 60_000);
    poller.catch_up(&pipeline).await;
    assert!(poller.events.is_empty(), "after a time limit, the poller continues without it");
    pipeline.upload(&vid, "b", &[(9, 50.0)]).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    pipeline.clock.advance_ms(30_000);
    poller.catch_up(&pipeline).await;
    assert_eq!(assert_unique(poller.event_keys()).len(), 2, "the event is returned when it is stored and delivered again");
}

#[tokio::test]
async fn position_is_refused_an_hour_after_its_retention() {
    let pipeline = PipelineFixture::new(45);
    let caller = client_of(&pipeline.fleet(&[], &[]).await);
    let from = ArrivalPosition::first_at(pipeline.clock.now());
    let range = FleetEventsRange { from, to: None, selection: Selection::default(), limit: 1 };
    pipeline.clock.advance_ms(INDEX_RETENTION_MS + INDEX_GRACE_MS);
    assert!(pipeline.fleet_events().page(&caller, &range).await.is_ok());
    pipeline.clock.advance_ms(1);
    let expected = pipeline.clock.now().plus_ms(-INDEX_RETENTION_MS);
    let Err(ServiceError::Expired { available_from }) = pipeline.fleet_events().page(&caller, &range).await else {
        panic!("the position is too old")
    };
    assert_eq!(available_from, expected);
    let range = FleetEventsRange { from: ArrivalPosition::first_at(available_from), ..range };
    pipeline.clock.advance_ms(INDEX_GRACE_MS);
    assert!(pipeline.fleet_events().page(&caller, &range).await.is_ok(), "a client has an hour to continue");
}

#[tokio::test]
async fn bounded_range_ends() {
    let pipeline = PipelineFixture::new(44);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let start = pipeline.clock.now();
    for id in ["a", "b"] {
        pipeline.upload(&vid, id, &[(10, 50.0)]).await;
        pipeline.process_all(|_| FaultPlan::healthy()).await;
        pipeline.clock.advance_ms(60_000);
    }
    let range = FleetEventsRange {
        from: ArrivalPosition::first_at(start),
        to: Some(start.plus_ms(60_000)),
        selection: Selection::default(),
        limit: 10,
    };
    let page = pipeline.fleet_events().page(&client_of(&fleet), &range).await.unwrap();
    assert_eq!((page.events.len(), page.next, page.more), (1, None, false));
}

/// A subscription to one vehicle.
fn request(pipeline: &PipelineFixture, vid: &VehicleId) -> SubscriptionRequest {
    SubscriptionRequest {
        vehicles: vec![vid.clone()],
        packages: vec!["telematics".parse().unwrap()],
        delivery_format: pipeline.delivery_format,
        valid_from: None,
        valid_until: None,
    }
}

/// What a fleet that polls with this limit observes: the number of events of each page, and `more`.
async fn observe(pipeline: &PipelineFixture, fleet: &FleetId, from: Timestamp, limit: usize) -> Vec<(usize, bool)> {
    let mut poller = Poller { position: ArrivalPosition::first_at(from), ..Poller::new(pipeline, fleet, limit) };
    let mut observed = Vec::new();
    loop {
        let page = poller.page(pipeline).await;
        observed.push((page.events.len(), page.more));
        if !page.more {
            return observed;
        }
    }
}

#[tokio::test]
async fn pages_do_not_reveal_hidden_events() {
    let pipeline = PipelineFixture::new(46);
    let (shown, hidden) = (pipeline.vehicle("shown").await, pipeline.vehicle("hidden").await);
    let fleet = pipeline.fleet(std::slice::from_ref(&shown), &["telematics"]).await;
    let id = pipeline.subscribe(&fleet, request(&pipeline, &hidden)).await;
    let start = pipeline.clock.now();
    let transition = async |transition| {
        pipeline.onboarding().transition_subscription(&admin(), &fleet, &id, transition).await.unwrap();
        pipeline.clock.advance_ms(20_000);
    };
    transition(Transition::Suspend).await;
    let upload = async |vid: &VehicleId, id: &str| {
        pipeline.upload(vid, id, &[(10, 50.0)]).await;
        pipeline.process_all(|_| FaultPlan::healthy()).await;
        pipeline.clock.advance_ms(20_000);
    };
    upload(&shown, "first").await;
    for n in 0..40 {
        upload(&hidden, &format!("hidden {n}")).await;
    }
    upload(&shown, "last").await;
    for limit in [1, 2, 1000] {
        let observed = observe(&pipeline, &fleet, start, limit).await;
        let expected: &[_] = match limit {
            1 => &[(1, true), (1, true), (0, false)],
            2 => &[(2, true), (0, false)],
            _ => &[(2, false)],
        };
        assert_eq!(observed, expected, "with limit {limit}, as without the hidden events");
    }
    transition(Transition::Resume).await;
    let events: usize = observe(&pipeline, &fleet, start, 1000).await.iter().map(|(events, _)| events).sum();
    assert_eq!(events, 42, "everything is returned after resuming");
}

/// The index in memory. Something happens during its second read, which searches repeated deliveries.
struct InterruptedIndex {
    memory: Memory,
    reads: AtomicUsize,
    during_second: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl FeedIndex for InterruptedIndex {
    async fn record(&self, deliveries: &[Delivery]) -> Result<(), PortError> {
        self.memory.record(deliveries).await
    }

    async fn record_once(&self, part: &RestoredPart, deliveries: &[Delivery]) -> Result<bool, PortError> {
        self.memory.record_once(part, deliveries).await
    }

    async fn read(&self, range: &FeedRange) -> Result<FeedPage, PortError> {
        if self.reads.fetch_add(1, Ordering::Relaxed) == 1 {
            let during = self.during_second.lock().unwrap().take();
            during.unwrap().await;
        }
        self.memory.read(range).await
    }
}

port_set! {
    enum WithInterruptedIndex {
        FeedIndex = InterruptedIndex;
    }
}

#[tokio::test]
async fn subscription_revoked_during_a_read_returns_nothing() {
    let pipeline = PipelineFixture::new(47);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(&[], &[]).await;
    let id = pipeline.subscribe(&fleet, request(&pipeline, &vid)).await;
    let start = pipeline.clock.now();
    pipeline.upload(&vid, "a", &[(10, 50.0)]).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    pipeline.clock.advance_ms(60_000);
    let (onboarding, clock, of_fleet) = (pipeline.onboarding(), pipeline.clock.clone(), fleet.clone());
    let revocation = async move {
        onboarding.transition_subscription(&admin(), &of_fleet, &id, Transition::Revoke).await.unwrap();
        clock.advance_ms(5_000);
    };
    let interrupted = FleetEvents::<WithInterruptedIndex> {
        entitlements: CachedEntitlements::new(pipeline.memory.clone(), pipeline.clock.clone()),
        log: SegmentedLog { items: pipeline.items.clone() },
        index: InterruptedIndex {
            memory: pipeline.memory.clone(),
            reads: AtomicUsize::new(0),
            during_second: Mutex::new(Some(Box::pin(revocation))),
        },
        clock: pipeline.clock.clone(),
    };
    let from = ArrivalPosition::first_at(start);
    let range = FleetEventsRange { from, to: None, selection: Selection::default(), limit: 10 };
    let page = interrupted.page(&client_of(&fleet), &range).await.unwrap();
    assert!(interrupted.index.during_second.lock().unwrap().is_none(), "revoked while the page was read");
    assert_eq!(page.events, []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Late, out of order, retried: each stored event is returned once to a caller that continues from the last cursor.
    #[test]
    fn each_event_is_returned_once_over_a_chain_of_cursors(
        seed in 0_u64..1_000_000,
        rounds in prop::collection::vec(
            (prop::collection::vec((0_u8..3, 0_i64..90_000), 1..6), 0_i64..40_000, any::<bool>()), 1..8),
        limit in 1_usize..7,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let pipeline = PipelineFixture::new(seed);
            let vehicles = [pipeline.vehicle("a").await, pipeline.vehicle("b").await, pipeline.vehicle("c").await];
            let fleet = pipeline.fleet(&vehicles, &["telematics"]).await;
            let mut poller = Poller::new(&pipeline, &fleet, limit);
            for (round, (uploads, pause, poll)) in rounds.iter().enumerate() {
                for (n, (vehicle, ago)) in uploads.iter().enumerate() {
                    pipeline.upload(&vehicles[usize::from(*vehicle)], &format!("{round}/{n}"), &[(*ago, 50.0)]).await;
                }
                pipeline.process_all(|n| FaultPlan::seeded(n, 25)).await;
                pipeline.clock.advance_ms(*pause);
                if *poll {
                    poller.page(&pipeline).await;
                }
            }
            pipeline.clock.advance_ms(20_000);
            poller.catch_up(&pipeline).await;
            let stored: BTreeSet<_> =
                pipeline.stored_events().into_iter().map(|stored| (stored.event.vid, stored.event.eid)).collect();
            prop_assert_eq!(assert_unique(poller.event_keys()), stored);
            Ok(())
        })?;
    }
}
