//! Random lives of subscriptions: they come, change, stop, go on and end while data flows.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::{Body, Event};
use roadcast_domain::ids::{Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::plan::Plan;
use roadcast_domain::selection::Selection;
use roadcast_domain::subscription::{DeliveryFormat, SubscriptionState};
use roadcast_ports::clock::Clock as _;
use roadcast_services::ServiceError;
use roadcast_services::fleets::{SubscriptionRequest, Transition};
use roadcast_services::query::EventsRange;
use roadcast_services::query::arrivals::{ArrivalPosition, ArrivalsRange};
use roadcast_testbed::FaultPlan;

use super::{PACKAGES, SPEED, request};
use crate::world::{World, admin};

/// A signal of an event of a vehicle.
type Named = (VehicleId, Eid, String);

fn named(event: &Event) -> BTreeSet<Named> {
    let Body::Telemetry(telemetry) = &event.body else { return BTreeSet::new() };
    let paths = telemetry.samples.iter().flat_map(|sample| sample.signals.keys());
    paths.map(|path| (event.vid.clone(), event.eid, path.to_string())).collect()
}

fn all_named<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeSet<Named> {
    events.into_iter().flat_map(named).collect()
}

/// What there is to cover, told plainly: vehicles, packages, when received, and whether it counts.
#[derive(Clone, Debug)]
struct Plain {
    id: SubscriptionId,
    vehicles: Vec<VehicleId>,
    packages: Vec<String>,
    from: Timestamp,
    until: Option<Timestamp>,
    state: SubscriptionState,
}

impl Plain {
    fn holds(&self, time: Timestamp) -> bool {
        self.from <= time && self.until.is_none_or(|until| time < until)
    }

    fn covers(&self, vid: &VehicleId, path: &str, received: Timestamp, now: Timestamp) -> bool {
        let package = if path == SPEED { "telematics" } else { "track-and-trace" };
        self.vehicles.contains(vid)
            && self.packages.iter().any(|name| name == package)
            && self.holds(received)
            && self.holds(now)
    }
}

/// A fleet with its subscriptions, and what it was told.
struct Story {
    world: World,
    fleet: FleetId,
    vehicles: Vec<VehicleId>,
    plain: Vec<Plain>,
    place: ArrivalPosition,
    /// Signals that went into the queue and were covered ever since, be it suspended.
    due: BTreeSet<Named>,
    enriched: BTreeSet<(VehicleId, Eid)>,
    drained: BTreeSet<Named>,
}

impl Story {
    async fn new(seed: u64) -> Self {
        let world = World::new(seed);
        world.memory.set_visibility_ms(1_000);
        let vehicles = vec![world.vehicle("a").await, world.vehicle("b").await];
        let fleet = world.onboard().create_fleet(&admin(), "A fleet", Plan::Standard).await.unwrap().fleet_id;
        let place = ArrivalPosition::first_at(world.clock.now());
        let (plain, due, enriched, drained) = (Vec::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { world, fleet, vehicles, plain, place, due, enriched, drained }
    }

    fn caller(&self) -> Caller {
        Caller::Fleet(self.fleet.clone())
    }

    fn covered(&self, vid: &VehicleId, path: &str, received: Timestamp, suspended: bool) -> bool {
        let counts = |state| state == SubscriptionState::Active || (suspended && state == SubscriptionState::Suspended);
        let now = self.world.clock.now();
        self.plain.iter().any(|plain| counts(plain.state) && plain.covers(vid, path, received, now))
    }

    /// What the stores hold that is covered at this moment.
    fn visible(&self) -> BTreeSet<Named> {
        let mut visible = BTreeSet::new();
        for stored in self.world.stored() {
            let covered = |path: &str| self.covered(&stored.event.vid, path, stored.event.received, false);
            visible.extend(named(&stored.event).into_iter().filter(|(_, _, path)| covered(path)));
        }
        visible
    }

    /// Forgets what is covered no more: nobody is promised to find it in the queue.
    fn trim(&mut self) {
        let received: BTreeMap<_, _> = self
            .world
            .stored()
            .into_iter()
            .map(|stored| ((stored.event.vid, stored.event.eid), stored.event.received))
            .collect();
        let due = std::mem::take(&mut self.due);
        let still = |(vid, eid, path): &Named| self.covered(vid, path, received[&(vid.clone(), *eid)], true);
        self.due = due.into_iter().filter(still).collect();
    }

    async fn settle(&mut self) {
        self.world.settle(|_| FaultPlan::healthy()).await;
        for stored in self.world.stored() {
            if self.enriched.insert((stored.event.vid.clone(), stored.event.eid)) {
                let kept = named(&stored.event)
                    .into_iter()
                    .filter(|(vid, _, path)| self.covered(vid, path, stored.event.received, true));
                self.due.extend(kept.collect::<Vec<_>>());
            }
        }
    }

    async fn poll_feed(&mut self, acknowledge: bool) -> Result<(), TestCaseError> {
        let deliver = self.world.deliver();
        let feed = deliver.feed(&self.caller(), &self.fleet, 3, 0).await.unwrap();
        // As the consumer reads it.
        let told = all_named(&crate::world::written(&feed));
        let visible = self.visible();
        prop_assert!(told.is_subset(&visible), "fed: {:?}", told.difference(&visible));
        self.drained.extend(told);
        if acknowledge && !feed.receipts.is_empty() {
            deliver.acknowledge(&self.caller(), &self.fleet, &feed.receipts).await.unwrap();
        }
        Ok(())
    }

    async fn poll_arrivals(&mut self) -> Result<BTreeSet<Named>, TestCaseError> {
        let range = ArrivalsRange { from: self.place.clone(), to: None, selection: Selection::default(), limit: 5 };
        let page = self.world.arrivals().page(&self.caller(), &range).await.unwrap();
        self.place = page.next.unwrap();
        let (told, visible) = (all_named(&page.events), self.visible());
        prop_assert!(told.is_subset(&visible), "arrived: {:?}", told.difference(&visible));
        Ok(told)
    }

    async fn query(&self) -> Result<(), TestCaseError> {
        let visible = self.visible();
        for vid in &self.vehicles {
            let range = EventsRange::between(vid.clone(), None, None, 1000);
            let events = match self.world.query().events(&self.caller(), &range).await {
                Ok(page) => page.events,
                Err(ServiceError::NotFound) => Vec::new(),
                Err(error) => panic!("{error:?}"),
            };
            let expected: BTreeSet<Named> = visible.iter().filter(|(of, _, _)| of == vid).cloned().collect();
            prop_assert_eq!(all_named(&events), expected);
            if let Ok((state, _)) = self.world.query().state(&self.caller(), vid).await {
                for (path, known) in &state.signals {
                    prop_assert!(self.covered(vid, path.as_str(), known.received, false), "state: {}", path);
                }
            }
        }
        Ok(())
    }

    async fn act(&mut self, n: usize, act: &Act) -> Result<(), TestCaseError> {
        match act {
            Act::Subscribe(wish) => {
                let request = self.request(wish);
                let id = self.world.subscribe(&self.fleet, request.clone()).await;
                let from = request.valid_from.unwrap_or(self.world.clock.now());
                self.plain.push(Plain {
                    id,
                    vehicles: request.vehicles,
                    packages: request.packages,
                    from,
                    until: request.valid_until,
                    state: SubscriptionState::Active,
                });
            }
            Act::Change(which, wish) if !self.plain.is_empty() => {
                let which = *which % self.plain.len();
                let request = self.request(wish);
                let onboard = self.world.onboard();
                let id = self.plain[which].id.clone();
                let version = onboard.subscription(&admin(), &self.fleet, &id).await.unwrap().version;
                // A request may be invalid by now, such as one that ends before it begins.
                if onboard.replace_subscription(&admin(), &self.fleet, &id, request.clone(), version).await.is_ok() {
                    let plain = &mut self.plain[which];
                    plain.from = request.valid_from.unwrap_or(plain.from);
                    plain.until = request.valid_until;
                    plain.vehicles = request.vehicles;
                    plain.packages = request.packages;
                }
            }
            Act::Transition(which, step) if !self.plain.is_empty() => {
                let which = *which % self.plain.len();
                let id = self.plain[which].id.clone();
                if let Ok(moved) = self.world.onboard().move_subscription(&admin(), &self.fleet, &id, *step).await {
                    self.plain[which].state = moved.state;
                }
            }
            Act::Change(..) | Act::Transition(..) => {}
            Act::Upload(vehicle, ago) => self.world.upload(&self.vehicles[*vehicle], &n.to_string(), &[(*ago, 50.0)]).await,
            Act::Settle => self.settle().await,
            Act::PollFeed(acknowledge) => self.poll_feed(*acknowledge).await?,
            Act::PollArrivals => drop(self.poll_arrivals().await?),
            Act::VehicleQueries => self.query().await?,
            Act::Wait(seconds) => self.world.clock.advance_ms(i64::from(*seconds) * 1000),
        }
        self.trim();
        Ok(())
    }

    fn request(&self, wish: &Wish) -> SubscriptionRequest {
        let now = self.world.clock.now();
        let vehicles: Vec<VehicleId> = wish.vehicles.iter().map(|place| self.vehicles[*place].clone()).collect();
        let format = if wish.blocks { DeliveryFormat::Blocks } else { DeliveryFormat::Json };
        SubscriptionRequest {
            valid_from: wish.from_s.map(|seconds| now.plus_ms(i64::from(seconds) * 1000)),
            valid_until: wish.until_s.map(|seconds| now.plus_ms(i64::from(seconds) * 1000)),
            ..request(&vehicles, &wish.packages, format)
        }
    }

    /// All that is suspended goes on, and everything is read to its end.
    async fn finish(&mut self) -> Result<(), TestCaseError> {
        for which in 0..self.plain.len() {
            self.act(0, &Act::Transition(which, Transition::Resume)).await?;
        }
        self.settle().await;
        self.trim();
        for _ in 0..60 {
            self.world.clock.advance_ms(1_000);
            self.trim();
            self.poll_feed(true).await?;
        }
        prop_assert_eq!(self.world.memory.queued(&self.fleet), Vec::<String>::new(), "nothing stays in the queue for ever");
        prop_assert!(self.due.is_subset(&self.drained), "not fed: {:?}", self.due.difference(&self.drained));
        self.place = ArrivalPosition::first_at(Timestamp::parse_rfc3339(crate::world::NOON).unwrap());
        let mut arrived = BTreeSet::new();
        for _ in 0..60 {
            arrived.extend(self.poll_arrivals().await?);
        }
        prop_assert!(self.due.is_subset(&arrived), "not arrived: {:?}", self.due.difference(&arrived));
        self.query().await
    }
}

#[derive(Clone, Debug)]
struct Wish {
    vehicles: Vec<usize>,
    packages: Vec<&'static str>,
    from_s: Option<i8>,
    until_s: Option<i16>,
    blocks: bool,
}

#[derive(Clone, Debug)]
enum Act {
    Subscribe(Wish),
    Change(usize, Wish),
    Transition(usize, Transition),
    Upload(usize, i64),
    Settle,
    PollFeed(bool),
    PollArrivals,
    VehicleQueries,
    Wait(u8),
}

fn wish() -> impl Strategy<Value = Wish> {
    let vehicles = prop::sample::subsequence(vec![0, 1], 1..=2);
    let packages = prop::sample::subsequence(PACKAGES.to_vec(), 1..=2);
    let until = prop::option::weighted(0.3, 130_i16..400);
    (vehicles, packages, prop::option::weighted(0.3, -100_i8..100), until, any::<bool>())
        .prop_map(|(vehicles, packages, from_s, until_s, blocks)| Wish { vehicles, packages, from_s, until_s, blocks })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => wish().prop_map(Act::Subscribe),
        2 => (0_usize..4, wish()).prop_map(|(which, wish)| Act::Change(which, wish)),
        1 => (0_usize..4).prop_map(|which| Act::Transition(which, Transition::Revoke)),
        2 => (0_usize..4).prop_map(|which| Act::Transition(which, Transition::Suspend)),
        2 => (0_usize..4).prop_map(|which| Act::Transition(which, Transition::Resume)),
        6 => (0_usize..2, 0_i64..500).prop_map(|(vehicle, ago)| Act::Upload(vehicle, ago)),
        4 => Just(Act::Settle),
        4 => any::<bool>().prop_map(Act::PollFeed),
        2 => Just(Act::PollArrivals),
        2 => Just(Act::VehicleQueries),
        3 => (1_u8..60).prop_map(Act::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// No event and no signal reaches a fleet outside of what is covered at that moment; and what was covered all the time,
    /// suspended for a while or not, is missing nowhere in the end.
    #[test]
    fn a_fleet_sees_exactly_what_its_subscriptions_cover_at_that_moment(
        seed in 0_u64..1_000_000,
        first in wish(),
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut story = Story::new(seed).await;
            story.act(0, &Act::Subscribe(first)).await?;
            for (n, act) in acts.iter().enumerate() {
                story.act(n, act).await?;
            }
            story.finish().await
        })?;
    }
}
