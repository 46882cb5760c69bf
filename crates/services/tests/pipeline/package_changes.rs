//! Packages that change while data flows: entitlements are checked at each read, of stores and of queues.

use std::collections::BTreeSet;

use roadcast_domain::event::Event;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::feed::ReceiveOptions;
use roadcast_services::VersionCondition;
use roadcast_services::authz::Proof;
use roadcast_services::cache::TTL_MS;
use roadcast_services::catalogue::packages::{PackageCatalogue, PackageRequest};
use roadcast_services::delivery::feed::FeedReader;
use roadcast_services::query::fleet_events::{ArrivalPosition, FleetEvents, FleetEventsRange};
use roadcast_services::query::{EventsRange, StateQueries};
use roadcast_testbed::{FaultPlan, InMemory};

use crate::fixture::{PipelineFixture, admin, client_of, signal_paths};

const SPEED: &str = "Vehicle.Speed";
const POSITION: [&str; 2] = ["Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"];

/// The functions of a fleet, whose caches persist between calls.
struct WarmFunctions {
    fleet: FleetId,
    vid: VehicleId,
    feed_reader: FeedReader<InMemory>,
    states: StateQueries<InMemory>,
    fleet_events: FleetEvents<InMemory>,
    start: ArrivalPosition,
}

/// What each read returns: signal paths, and the number of events.
#[derive(Debug, PartialEq, Eq)]
struct VisibleData {
    events: (BTreeSet<String>, usize),
    fleet_events: (BTreeSet<String>, usize),
    state: BTreeSet<String>,
}

impl WarmFunctions {
    fn caller<P: Proof>(&self) -> P {
        client_of(&self.fleet)
    }

    async fn visible_data(&self) -> VisibleData {
        let range = EventsRange::between(self.vid.clone(), None, None, 100);
        let events = self.states.queries.events(&self.caller(), &range).await.unwrap().events;
        let range = FleetEventsRange { from: self.start.clone(), to: None, selection: Selection::default(), limit: 100 };
        let fleet_events = self.fleet_events.page(&self.caller(), &range).await.unwrap().events;
        let (state, _) = self.states.state(&self.caller(), &self.vid).await.unwrap();
        VisibleData {
            events: (signal_paths(&events), events.len()),
            fleet_events: (signal_paths(&fleet_events), fleet_events.len()),
            state: state.signals.keys().map(ToString::to_string).collect(),
        }
    }

    /// Reads and acknowledges the feed.
    async fn read_feed(&self) -> Vec<Event> {
        let feed = self.feed_reader.read(&self.caller(), ReceiveOptions::default()).await.unwrap();
        self.feed_reader.acknowledge(&self.caller(), &feed.ack_handles).await.unwrap();
        feed.events.into_iter().map(|delivered| delivered.event).collect()
    }
}

async fn put_package(pipeline: &PipelineFixture, signals: &[&str], replaced: Option<u64>) {
    let (packages, schemas, clock) = (pipeline.memory.clone(), pipeline.memory.clone(), pipeline.clock.clone());
    let request = PackageRequest { signals: signals.iter().map(|&path| path.to_owned()).collect(), event_types: Vec::new() };
    let condition = replaced.map(VersionCondition::from).unwrap_or_default();
    let catalogue = PackageCatalogue::<InMemory> { packages, schemas, clock };
    catalogue.put(&admin(), "moving", request, &condition).await.unwrap();
}

async fn send(pipeline: &PipelineFixture, vid: &VehicleId, id: &str) {
    pipeline.upload(vid, id, &[(60, 50.0)]).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    // Fleet events are returned once they are older than ten seconds.
    pipeline.clock.advance_ms(11_000);
}

fn path_set(paths: &[&str]) -> BTreeSet<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

fn same_everywhere(paths: &BTreeSet<String>, events: usize) -> VisibleData {
    VisibleData { events: (paths.clone(), events), fleet_events: (paths.clone(), events), state: paths.clone() }
}

#[tokio::test]
async fn package_change_applies_to_stores_and_queued_messages() {
    // Even seeds: delivery as blocks; odd seeds: as JSON.
    for seed in [60, 61] {
        let pipeline = PipelineFixture::new(seed);
        let vid = pipeline.vehicle("v").await;
        put_package(&pipeline, &[SPEED, "Vehicle.CurrentLocation.*"], None).await;
        let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["moving"]).await;
        let functions = WarmFunctions {
            fleet,
            vid: vid.clone(),
            feed_reader: pipeline.feed_reader(),
            states: pipeline.states(),
            fleet_events: pipeline.fleet_events(),
            start: ArrivalPosition::first_at(pipeline.clock.now()),
        };
        let (all, speed) = (path_set(&[&[SPEED][..], &POSITION].concat()), path_set(&[SPEED]));
        send(&pipeline, &vid, "a").await;
        assert_eq!(functions.visible_data().await, same_everywhere(&all, 1));
        assert_eq!(signal_paths(&functions.read_feed().await), all);

        // The package is narrowed while a message with all signals is in the queue.
        send(&pipeline, &vid, "b").await;
        assert_eq!(functions.visible_data().await, same_everywhere(&all, 2));
        put_package(&pipeline, &[SPEED], Some(1)).await;
        pipeline.clock.advance_ms(TTL_MS);
        assert_eq!(functions.visible_data().await, same_everywhere(&speed, 2));
        let feed = functions.read_feed().await;
        assert_eq!((signal_paths(&feed), feed.len()), (speed.clone(), 1), "the queued message is redacted again");

        // The package is widened while a message with fewer signals is in the queue: the queue does not receive the added
        // signals, but the log has them.
        send(&pipeline, &vid, "c").await;
        put_package(&pipeline, &[SPEED, POSITION[0]], Some(2)).await;
        pipeline.clock.advance_ms(TTL_MS);
        let wider = path_set(&[SPEED, POSITION[0]]);
        assert_eq!(functions.visible_data().await, same_everywhere(&wider, 3));
        assert_eq!(signal_paths(&functions.read_feed().await), speed);
        send(&pipeline, &vid, "d").await;
        assert_eq!(signal_paths(&functions.read_feed().await), wider);

        // The package covers no signal of the events: the events are dropped, and the queued message too.
        send(&pipeline, &vid, "e").await;
        put_package(&pipeline, &["Vehicle.Cabin.*"], Some(3)).await;
        pipeline.clock.advance_ms(TTL_MS);
        assert_eq!(functions.visible_data().await, same_everywhere(&BTreeSet::new(), 0));
        assert!(functions.read_feed().await.is_empty());
        assert!(pipeline.memory.queued(&functions.fleet).is_empty(), "a message without visible events is dropped");
    }
}
