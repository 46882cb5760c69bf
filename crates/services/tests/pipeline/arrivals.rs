//! A fleet polls what came in, while vehicles send late and shuffled, and deliveries come again.

use std::collections::BTreeSet;

use proptest::prelude::*;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_ports::clock::Clock as _;
use roadcast_services::ServiceError;
use roadcast_services::query::arrivals::{ArrivalPosition, ArrivalsPage, ArrivalsRange};
use roadcast_testbed::FaultPlan;

use crate::world::{World, admin};

/// A fleet's application that goes on from its last cursor.
struct Poller {
    fleet_id: FleetId,
    place: ArrivalPosition,
    limit: usize,
    events: Vec<Event>,
}

impl Poller {
    fn new(world: &World, fleet_id: &FleetId, limit: usize) -> Self {
        let place = ArrivalPosition::first_at(world.clock.now());
        Self { fleet_id: fleet_id.clone(), place, limit, events: Vec::new() }
    }

    async fn page(&mut self, world: &World) -> ArrivalsPage {
        let range = ArrivalsRange { from: self.place.clone(), to: None, selection: Selection::default(), limit: self.limit };
        let page = world.arrivals().page(&Caller::Fleet(self.fleet_id.clone()), &range).await.unwrap();
        assert!(page.events.len() <= self.limit);
        // As a cursor carries it.
        let text = serde_json::to_string(page.next.as_ref().unwrap()).unwrap();
        assert!(text.len() < 1400, "a cursor stays short: {}", text.len());
        self.place = serde_json::from_str(&text).unwrap();
        self.events.extend(page.events.iter().cloned());
        page
    }

    /// Polls until there is nothing more for now.
    async fn catch_up(&mut self, world: &World) {
        while self.page(world).await.more {}
    }

    fn names(&self) -> Vec<(VehicleId, Eid)> {
        self.events.iter().map(|event| (event.vid.clone(), event.eid)).collect()
    }
}

fn once(mut names: Vec<(VehicleId, Eid)>) -> BTreeSet<(VehicleId, Eid)> {
    let count = names.len();
    names.sort();
    let once: BTreeSet<_> = names.into_iter().collect();
    assert_eq!(once.len(), count, "an event came twice");
    once
}

#[tokio::test]
async fn a_poller_gets_late_data_where_it_came_in_and_only_its_own() {
    let world = World::new(41);
    let (ours, theirs) = (world.vehicle("ours").await, world.vehicle("theirs").await);
    let fleet = world.fleet(std::slice::from_ref(&ours), &["track-and-trace"]).await;
    let mut poller = Poller::new(&world, &fleet, 10);
    for (id, ago) in [("new", 10), ("hours late", 20_000), ("newer", 5)] {
        world.upload(&ours, id, &[(ago, 50.0)]).await;
        world.upload(&theirs, id, &[(ago, 50.0)]).await;
        world.settle(|_| FaultPlan::healthy()).await;
        world.clock.advance_ms(5_000);
    }
    assert_eq!(poller.page(&world).await.events.len(), 1, "what is younger than ten seconds is left for later");
    world.clock.advance_ms(20_000);
    poller.catch_up(&world).await;
    assert_eq!(once(poller.names()).len(), 3);
    let times: Vec<_> = poller.events.iter().map(|event| event.eid.time()).collect();
    assert!(times[1] < times[0] && times[0] < times[2], "in the order in which they came in: {times:?}");
    assert!(crate::world::paths(&poller.events).iter().all(|path| path.starts_with("Vehicle.CurrentLocation.")));
}

#[tokio::test]
async fn an_event_that_was_delivered_and_is_not_stored_yet_is_waited_for() {
    let world = World::new(42);
    let vid = world.vehicle("v").await;
    let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let mut poller = Poller::new(&world, &fleet, 10);
    world.upload(&vid, "a", &[(10, 50.0)]).await;
    // Published, then the log fails for a while: the batch comes again later.
    world.process_without_log().await;
    world.clock.advance_ms(30_000);
    let page = poller.page(&world).await;
    assert!(page.events.is_empty() && !page.more, "nothing is skipped");
    world.clock.advance_ms(10 * 60_000);
    poller.catch_up(&world).await;
    assert!(poller.events.is_empty(), "after a while the poller goes on without it");
    world.upload(&vid, "b", &[(9, 50.0)]).await;
    world.settle(|_| FaultPlan::healthy()).await;
    world.clock.advance_ms(30_000);
    poller.catch_up(&world).await;
    assert_eq!(once(poller.names()).len(), 2, "and gets it when it is stored and delivered again");
}

#[tokio::test]
async fn only_a_fleets_own_client_reads_arrivals() {
    let world = World::new(43);
    let range = ArrivalsRange {
        from: ArrivalPosition::first_at(world.clock.now()),
        to: None,
        selection: Selection::default(),
        limit: 1,
    };
    assert!(matches!(world.arrivals().page(&admin(), &range).await, Err(ServiceError::Forbidden(_))));
}

#[tokio::test]
async fn a_range_with_an_end_ends() {
    let world = World::new(44);
    let vid = world.vehicle("v").await;
    let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let began = world.clock.now();
    for id in ["a", "b"] {
        world.upload(&vid, id, &[(10, 50.0)]).await;
        world.settle(|_| FaultPlan::healthy()).await;
        world.clock.advance_ms(60_000);
    }
    let range = ArrivalsRange {
        from: ArrivalPosition::first_at(began),
        to: Some(began.plus_ms(60_000)),
        selection: Selection::default(),
        limit: 10,
    };
    let page = world.arrivals().page(&Caller::Fleet(fleet), &range).await.unwrap();
    assert_eq!((page.events.len(), page.next, page.more), (1, None, false));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Late, shuffled, retried: each event that was stored comes once to whoever goes on from the last cursor.
    #[test]
    fn each_event_comes_once_to_a_chain_of_cursors(
        seed in 0_u64..1_000_000,
        rounds in prop::collection::vec(
            (prop::collection::vec((0_u8..3, 0_i64..90_000), 1..6), 0_i64..40_000, any::<bool>()), 1..8),
        limit in 1_usize..7,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new(seed);
            let vehicles = [world.vehicle("a").await, world.vehicle("b").await, world.vehicle("c").await];
            let fleet = world.fleet(&vehicles, &["telematics"]).await;
            let mut poller = Poller::new(&world, &fleet, limit);
            for (round, (uploads, pause, poll)) in rounds.iter().enumerate() {
                for (n, (vehicle, ago)) in uploads.iter().enumerate() {
                    world.upload(&vehicles[usize::from(*vehicle)], &format!("{round}/{n}"), &[(*ago, 50.0)]).await;
                }
                world.settle(|n| FaultPlan::seeded(n, 25)).await;
                world.clock.advance_ms(*pause);
                if *poll {
                    poller.page(&world).await;
                }
            }
            world.clock.advance_ms(20_000);
            poller.catch_up(&world).await;
            let stored: BTreeSet<_> =
                world.stored().into_iter().map(|stored| (stored.event.vid, stored.event.eid)).collect();
            prop_assert_eq!(once(poller.names()), stored);
            Ok(())
        })?;
    }
}
