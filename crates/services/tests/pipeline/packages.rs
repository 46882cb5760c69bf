//! Packages that change while data flows: what a fleet may see is compared at each read, in stores and queues alike.

use std::collections::BTreeSet;

use roadcast_domain::caller::Caller;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_event_log::SegmentedLog;
use roadcast_ports::clock::Clock as _;
use roadcast_services::cache::TTL_MS;
use roadcast_services::catalogue::packages::{PackageCatalogue, PackageRequest};
use roadcast_services::delivery::feed::FeedReader;
use roadcast_services::query::arrivals::{ArrivalPosition, Arrivals, ArrivalsRange};
use roadcast_services::query::{EventsRange, VehicleQueries};
use roadcast_testbed::{FaultPlan, ManualClock, Memory, MemoryItems};

use crate::world::{World, admin, paths};

const SPEED: &str = "Vehicle.Speed";
const PLACE: [&str; 2] = ["Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"];

/// A fleet's functions, warm: what they remember, they remember from one call to the next.
struct Warm {
    fleet: FleetId,
    vid: VehicleId,
    deliver: FeedReader<Memory, Memory, ManualClock>,
    query: VehicleQueries<Memory, Memory, SegmentedLog<MemoryItems>, Memory, ManualClock>,
    arrivals: Arrivals<Memory, SegmentedLog<MemoryItems>, Memory, ManualClock>,
    begun: ArrivalPosition,
}

/// What each of them shows: paths, by which way, and of how many events.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    events: (BTreeSet<String>, usize),
    arrivals: (BTreeSet<String>, usize),
    state: BTreeSet<String>,
}

impl Warm {
    fn caller(&self) -> Caller {
        Caller::Fleet(self.fleet.clone())
    }

    async fn shown(&self) -> Shown {
        let range = EventsRange::between(self.vid.clone(), None, None, 100);
        let events = self.query.events(&self.caller(), &range).await.unwrap().events;
        let range = ArrivalsRange { from: self.begun.clone(), to: None, selection: Selection::default(), limit: 100 };
        let arrivals = self.arrivals.page(&self.caller(), &range).await.unwrap().events;
        let (state, _) = self.query.state(&self.caller(), &self.vid).await.unwrap();
        Shown {
            events: (paths(&events), events.len()),
            arrivals: (paths(&arrivals), arrivals.len()),
            state: state.signals.keys().map(ToString::to_string).collect(),
        }
    }

    /// Takes what the feed has, for good.
    async fn feed(&self) -> Vec<Event> {
        let feed = self.deliver.feed(&self.caller(), &self.fleet, 10, 0).await.unwrap();
        self.deliver.acknowledge(&self.caller(), &self.fleet, &feed.receipts).await.unwrap();
        feed.events.into_iter().map(|delivered| delivered.event).collect()
    }
}

async fn put(world: &World, signals: &[&str], replaced: Option<u64>) {
    let (packages, schemas, clock) = (world.memory.clone(), world.memory.clone(), world.clock.clone());
    let wanted = PackageRequest { signals: signals.iter().map(|&path| path.to_owned()).collect(), event_types: Vec::new() };
    PackageCatalogue { packages, schemas, clock }.put(&admin(), "moving", wanted, replaced).await.unwrap();
}

async fn send(world: &World, vid: &VehicleId, id: &str) {
    world.upload(vid, id, &[(60, 50.0)]).await;
    world.settle(|_| FaultPlan::healthy()).await;
    // So that it is within what arrivals tell.
    world.clock.advance_ms(11_000);
}

fn of(paths: &[&str]) -> BTreeSet<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

fn alike(paths: &BTreeSet<String>, events: usize) -> Shown {
    Shown { events: (paths.clone(), events), arrivals: (paths.clone(), events), state: paths.clone() }
}

#[tokio::test]
async fn what_a_package_no_longer_holds_is_gone_everywhere_and_what_it_holds_anew_is_there() {
    // Odd and even: fleets take JSON, and blocks.
    for seed in [60, 61] {
        let world = World::new(seed);
        let vid = world.vehicle("v").await;
        put(&world, &[SPEED, "Vehicle.CurrentLocation.*"], None).await;
        let fleet = world.fleet(std::slice::from_ref(&vid), &["moving"]).await;
        let warm = Warm {
            fleet,
            vid: vid.clone(),
            deliver: world.deliver(),
            query: world.query(),
            arrivals: world.arrivals(),
            begun: ArrivalPosition::first_at(world.clock.now()),
        };
        let (all, speed) = (of(&[&[SPEED][..], &PLACE].concat()), of(&[SPEED]));
        send(&world, &vid, "a").await;
        assert_eq!(warm.shown().await, alike(&all, 1));
        assert_eq!(paths(&warm.feed().await), all);

        // Narrowed while a message with all of it lies in the queue.
        send(&world, &vid, "b").await;
        assert_eq!(warm.shown().await, alike(&all, 2));
        put(&world, &[SPEED], Some(1)).await;
        world.clock.advance_ms(TTL_MS);
        assert_eq!(warm.shown().await, alike(&speed, 2));
        let fed = warm.feed().await;
        assert_eq!((paths(&fed), fed.len()), (speed.clone(), 1), "the message is cut again");

        // Widened while a message with less of it lies in the queue: what was not put there does not come there any more, but
        // is in the log.
        send(&world, &vid, "c").await;
        put(&world, &[SPEED, PLACE[0]], Some(2)).await;
        world.clock.advance_ms(TTL_MS);
        let wider = of(&[SPEED, PLACE[0]]);
        assert_eq!(warm.shown().await, alike(&wider, 3));
        assert_eq!(paths(&warm.feed().await), speed);
        send(&world, &vid, "d").await;
        assert_eq!(paths(&warm.feed().await), wider);

        // Nothing of what comes in is left to it: events fall away, and the message with them.
        send(&world, &vid, "e").await;
        put(&world, &["Vehicle.Cabin.*"], Some(3)).await;
        world.clock.advance_ms(TTL_MS);
        assert_eq!(warm.shown().await, alike(&BTreeSet::new(), 0));
        assert!(warm.feed().await.is_empty());
        assert!(world.memory.queued(&warm.fleet).is_empty(), "a message that nothing is left of is dropped");
    }
}
