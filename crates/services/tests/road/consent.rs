//! Subscriptions come, change, stop, go on and end while data flows: a fleet sees what is covered at that moment, and no less.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use roadcast_domain::Timestamp;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::caller::Caller;
use roadcast_domain::entitlement::Grant;
use roadcast_domain::event::{Body, Event};
use roadcast_domain::ids::{ClientId, Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::plan::Plan;
use roadcast_domain::selection::Selection;
use roadcast_domain::subscription::{DeliveryFormat, Subscription, SubscriptionState};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::subscriptions::Subscriptions as _;
use roadcast_services::ServiceError;
use roadcast_services::arrivals::{ArrivalsRange, Place};
use roadcast_services::onboard::{Move, SubscriptionRequest};
use roadcast_services::query::EventsRange;
use roadcast_services::receipts::{Deliveries, Period, Receipts};
use roadcast_testbed::{Fault, FaultPlan};

use crate::world::{World, admin};

const SPEED: &str = "Vehicle.Speed";
const LATITUDE: &str = "Vehicle.CurrentLocation.Latitude";
const LONGITUDE: &str = "Vehicle.CurrentLocation.Longitude";
const PACKAGES: [&str; 2] = ["telematics", "track-and-trace"];

fn request(vehicles: &[VehicleId], packages: &[&str], format: DeliveryFormat) -> SubscriptionRequest {
    SubscriptionRequest {
        vehicles: vehicles.to_vec(),
        packages: packages.iter().map(|&name| name.to_owned()).collect(),
        delivery_format: format,
        valid_from: None,
        valid_until: None,
    }
}

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
    place: Place,
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
        let place = Place::first_at(world.clock.now());
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
                if onboard.resubscribe(&admin(), &self.fleet, &id, request.clone(), version).await.is_ok() {
                    let plain = &mut self.plain[which];
                    plain.from = request.valid_from.unwrap_or(plain.from);
                    plain.until = request.valid_until;
                    plain.vehicles = request.vehicles;
                    plain.packages = request.packages;
                }
            }
            Act::Move(which, step) if !self.plain.is_empty() => {
                let which = *which % self.plain.len();
                let id = self.plain[which].id.clone();
                if let Ok(moved) = self.world.onboard().move_subscription(&admin(), &self.fleet, &id, *step).await {
                    self.plain[which].state = moved.state;
                }
            }
            Act::Change(..) | Act::Move(..) => {}
            Act::Upload(vehicle, ago) => self.world.upload(&self.vehicles[*vehicle], &n.to_string(), &[(*ago, 50.0)]).await,
            Act::Settle => self.settle().await,
            Act::PollFeed(acknowledge) => self.poll_feed(*acknowledge).await?,
            Act::PollArrivals => drop(self.poll_arrivals().await?),
            Act::Query => self.query().await?,
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
            self.act(0, &Act::Move(which, Move::Resume)).await?;
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
        self.place = Place::first_at(Timestamp::parse_rfc3339(crate::world::NOON).unwrap());
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
    Move(usize, Move),
    Upload(usize, i64),
    Settle,
    PollFeed(bool),
    PollArrivals,
    Query,
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
        1 => (0_usize..4).prop_map(|which| Act::Move(which, Move::Revoke)),
        2 => (0_usize..4).prop_map(|which| Act::Move(which, Move::Suspend)),
        2 => (0_usize..4).prop_map(|which| Act::Move(which, Move::Resume)),
        6 => (0_usize..2, 0_i64..500).prop_map(|(vehicle, ago)| Act::Upload(vehicle, ago)),
        4 => Just(Act::Settle),
        4 => any::<bool>().prop_map(Act::PollFeed),
        2 => Just(Act::PollArrivals),
        2 => Just(Act::Query),
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

#[tokio::test]
async fn a_suspended_subscription_shows_nothing_and_goes_on_without_a_gap() {
    for seed in [50, 51] {
        let world = World::new(seed);
        let vid = world.vehicle("v").await;
        let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
        let id = only(&world, &fleet).await.subscription_id;
        let moved = async |step| world.onboard().move_subscription(&admin(), &fleet, &id, step).await.unwrap().state;
        world.upload(&vid, "queued", &[(60, 50.0)]).await;
        world.settle(|_| FaultPlan::healthy()).await;
        assert_eq!(moved(Move::Suspend).await, SubscriptionState::Suspended);
        world.upload(&vid, "meanwhile", &[(50, 50.0)]).await;
        world.settle(|_| FaultPlan::healthy()).await;

        assert!(world.drain(&fleet).await.is_empty());
        assert_eq!(world.memory.queued(&fleet).len(), 2, "what is held back stays in the queue");
        let range = EventsRange::between(vid.clone(), None, None, 10);
        let caller = Caller::Fleet(fleet.clone());
        assert!(matches!(world.query().events(&caller, &range).await, Err(ServiceError::NotFound)));

        assert_eq!(moved(Move::Suspend).await, SubscriptionState::Suspended, "repeating it is no error");
        assert_eq!(moved(Move::Resume).await, SubscriptionState::Active);
        assert_eq!(moved(Move::Resume).await, SubscriptionState::Active);
        world.clock.advance_ms(60_000);
        assert_eq!(world.drain(&fleet).await.len(), 2);
        assert_eq!(world.query().events(&caller, &range).await.unwrap().events.len(), 2);
    }
}

#[tokio::test]
async fn what_is_revoked_leaves_the_queue_and_never_comes_back() {
    let world = World::new(52);
    let vid = world.vehicle("v").await;
    let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let id = only(&world, &fleet).await.subscription_id;
    world.upload(&vid, "queued", &[(60, 50.0)]).await;
    world.settle(|_| FaultPlan::healthy()).await;
    for _ in 0..2 {
        let revoked = world.onboard().move_subscription(&admin(), &fleet, &id, Move::Revoke).await.unwrap();
        assert_eq!(revoked.state, SubscriptionState::Revoked, "repeating it is no error");
    }
    assert!(world.drain(&fleet).await.is_empty());
    assert!(world.memory.queued(&fleet).is_empty());
    for step in [Move::Suspend, Move::Resume] {
        let refused = world.onboard().move_subscription(&admin(), &fleet, &id, step).await;
        assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{refused:?}");
    }
    let request = request(&[vid], &["telematics"], DeliveryFormat::Json);
    let refused = world.onboard().resubscribe(&admin(), &fleet, &id, request, only(&world, &fleet).await.version).await;
    assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{refused:?}");
}

#[tokio::test]
async fn an_event_of_which_part_is_held_back_comes_in_part_and_then_whole() {
    for seed in [54, 55] {
        let world = World::new(seed);
        let vid = world.vehicle("v").await;
        let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
        let position = request(std::slice::from_ref(&vid), &["track-and-trace"], world.delivery_format);
        let id = world.subscribe(&fleet, position).await;
        world.onboard().move_subscription(&admin(), &fleet, &id, Move::Suspend).await.unwrap();
        world.upload(&vid, "a", &[(60, 50.0)]).await;
        world.settle(|_| FaultPlan::healthy()).await;
        assert_eq!(crate::world::paths(&world.drain(&fleet).await), BTreeSet::from([SPEED.to_owned()]));
        assert!(world.drain(&fleet).await.is_empty(), "what was delivered does not come again with what is held back");
        world.onboard().move_subscription(&admin(), &fleet, &id, Move::Resume).await.unwrap();
        world.clock.advance_ms(60_000);
        let whole = [SPEED, LATITUDE, LONGITUDE].map(str::to_owned);
        assert_eq!(crate::world::paths(&world.drain(&fleet).await), BTreeSet::from(whole));
    }
}

#[tokio::test]
async fn an_event_that_lies_in_the_queue_twice_comes_in_its_fullest_form() {
    let world = World::new(57);
    let vid = world.vehicle("v").await;
    let fleet = world.fleet(std::slice::from_ref(&vid), &PACKAGES).await;
    world.upload(&vid, "a", &[(60, 50.0)]).await;
    // Published, but not stored: it is published again, to a fleet that may see less by then.
    world.process_without_log().await;
    for packages in [&PACKAGES[..1], &PACKAGES[..]] {
        let kept = only(&world, &fleet).await;
        let request = request(std::slice::from_ref(&vid), packages, world.delivery_format);
        world.onboard().resubscribe(&admin(), &fleet, &kept.subscription_id, request, kept.version).await.unwrap();
        world.settle(|_| FaultPlan::healthy()).await;
    }
    assert_eq!(world.memory.queued(&fleet).len(), 2);
    let whole = [SPEED, LATITUDE, LONGITUDE].map(str::to_owned);
    assert_eq!(crate::world::paths(&world.drain(&fleet).await), BTreeSet::from(whole));
}

#[tokio::test]
async fn what_is_taken_away_is_unreadable_within_five_seconds_by_whoever_remembered_it() {
    let world = World::new(56);
    let (vid, other) = (world.vehicle("v").await, world.vehicle("o").await);
    let fleet = world.fleet(&[vid.clone(), other.clone()], &PACKAGES).await;
    let before = only(&world, &fleet).await;
    let began = Place::first_at(world.clock.now());
    for vid in [&vid, &other] {
        world.upload(vid, "a", &[(60, 50.0)]).await;
    }
    world.settle(|_| FaultPlan::healthy()).await;
    world.clock.advance_ms(20_000);
    let (query, deliver, arrivals) = (world.query(), world.deliver(), world.arrivals());
    let caller = Caller::Fleet(fleet.clone());
    let range = EventsRange::between(vid.clone(), None, None, 10);
    let arrived = ArrivalsRange { from: began, to: None, selection: Selection::default(), limit: 10 };
    // Each remembers.
    assert_eq!(query.events(&caller, &range).await.unwrap().events.len(), 1);
    assert_eq!(deliver.feed(&caller, &fleet, 10, 0).await.unwrap().events.len(), 2);
    assert_eq!(arrivals.page(&caller, &arrived).await.unwrap().events.len(), 2);

    let less = request(std::slice::from_ref(&other), &["track-and-trace"], world.delivery_format);
    let after = world.onboard().resubscribe(&admin(), &fleet, &before.subscription_id, less, before.version).await.unwrap();
    assert!(after.version > before.version);
    world.clock.advance_ms(5_000);
    assert!(matches!(query.events(&caller, &range).await, Err(ServiceError::NotFound)));
    assert!(matches!(query.state(&caller, &vid).await, Err(ServiceError::NotFound)));
    let position = BTreeSet::from([LATITUDE, LONGITUDE].map(str::to_owned));
    let seen = arrivals.page(&caller, &arrived).await.unwrap().events;
    assert!(seen.iter().all(|event| event.vid == other) && crate::world::paths(&seen) == position);
    world.clock.advance_ms(60_000);
    let fed = deliver.feed(&caller, &fleet, 10, 0).await.unwrap();
    assert!(fed.events.iter().all(|delivered| delivered.event.vid == other && delivered.consent_epoch > 0));
    assert_eq!(
        crate::world::paths(&fed.events.iter().map(|delivered| delivered.event.clone()).collect::<Vec<_>>()),
        position
    );

    world.onboard().move_subscription(&admin(), &fleet, &before.subscription_id, Move::Revoke).await.unwrap();
    world.clock.advance_ms(60_000);
    assert!(arrivals.page(&caller, &arrived).await.unwrap().events.is_empty());
    assert!(deliver.feed(&caller, &fleet, 10, 0).await.unwrap().events.is_empty());
    assert!(world.memory.queued(&fleet).is_empty());
}

/// The fleet's only subscription.
async fn only(world: &World, fleet: &FleetId) -> Subscription {
    world.onboard().subscriptions(&admin(), fleet, None, 10).await.unwrap().remove(0)
}

/// What a subscription is asked, in [`a_change_that_stops_anywhere_shows_no_more_than_the_record_says_and_a_repeat_ends_it`].
#[derive(Copy, Clone, Debug)]
enum Asked {
    Move(Move),
    Fewer,
    Wider,
}

#[tokio::test]
async fn a_change_that_stops_anywhere_shows_no_more_than_the_record_says_and_a_repeat_ends_it() {
    let moves = [Move::Suspend, Move::Resume, Move::Revoke].map(Asked::Move);
    for change in moves.into_iter().chain([Asked::Fewer, Asked::Wider]) {
        for (step, fault) in (0..7).flat_map(|step| [Fault::Unavailable, Fault::LostAnswer].map(|fault| (step, fault))) {
            let world = World::new(60);
            let vehicles = [world.vehicle("a").await, world.vehicle("b").await, world.vehicle("c").await];
            let fleet = world.fleet(&vehicles[..2], &["telematics"]).await;
            let id = only(&world, &fleet).await.subscription_id;
            if matches!(change, Asked::Move(Move::Resume)) {
                world.onboard().move_subscription(&admin(), &fleet, &id, Move::Suspend).await.unwrap();
            }
            let plan = FaultPlan::script((0..step).map(|_| None).chain([Some(fault)]));
            let (mut done, mut onboard) = (false, world.onboard_with(plan));
            while !done {
                let version = only(&world, &fleet).await.version;
                let (wanted, packages) = match change {
                    Asked::Fewer => (&vehicles[1..], &PACKAGES[1..]),
                    _ => (&vehicles[..], &PACKAGES[..]),
                };
                let request = request(wanted, packages, DeliveryFormat::Json);
                done = match change {
                    Asked::Move(step) => onboard.move_subscription(&admin(), &fleet, &id, step).await.is_ok(),
                    _ => onboard.resubscribe(&admin(), &fleet, &id, request, version).await.is_ok(),
                };
                no_more_than_the_record(&world, &fleet, &vehicles, &format!("{change:?} {step} {fault:?}")).await;
                onboard = world.onboard();
            }
            let record = only(&world, &fleet).await;
            let granted = world.memory.of_fleet(&fleet, None, 10).await.unwrap();
            let vids: Vec<&VehicleId> = granted.iter().map(|entitlement| &entitlement.vid).collect();
            let mut expected: Vec<&VehicleId> = record.grant().iter().flat_map(|_| &record.vehicles).collect();
            expected.sort();
            assert_eq!(vids, expected, "{change:?} {step} {fault:?}");
            let grant = Grant::of(&record);
            assert!(granted.iter().all(|entitlement| entitlement.grants == [grant.clone()]), "{change:?} {step} {fault:?}");
        }
    }
}

#[tokio::test]
async fn who_read_a_subscription_before_a_change_began_grants_nothing_any_more() {
    for step in [Move::Suspend, Move::Revoke] {
        let world = World::new(61);
        let vid = world.vehicle("v").await;
        let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
        let read_before = only(&world, &fleet).await;
        // The version is claimed and the grants are narrowed, and there it stops.
        let onboard = world.onboard_with(FaultPlan::script([None, None, None, Some(Fault::Unavailable)]));
        let id = &read_before.subscription_id;
        assert!(onboard.move_subscription(&admin(), &fleet, id, step).await.is_err());
        assert_eq!(only(&world, &fleet).await.state, SubscriptionState::Active);
        let refused = world.memory.write_grants(&read_before).await.map_err(|error| error.kind());
        assert_eq!(refused, Err(PortErrorKind::Conflict), "{step:?}");
        let left = world.memory.of_fleet_to_vehicle(&fleet, &vid).await.unwrap();
        assert!(left.is_none_or(|left| !left.is_live(world.clock.now())), "{step:?}");
    }
}

async fn no_more_than_the_record(world: &World, fleet: &FleetId, vehicles: &[VehicleId], when: &str) {
    let record = only(world, fleet).await;
    for vid in vehicles {
        let Some(entitlement) = world.memory.of_fleet_to_vehicle(fleet, vid).await.unwrap() else { continue };
        let said = record.grant().filter(|_| record.vehicles.contains(vid));
        let within = said.is_some_and(|said| entitlement.grants.iter().all(|grant| !grant.exceeds(&said)));
        assert!(within, "{when}: {vid} is granted {:?}, and the record says {record:?}", entitlement.grants);
    }
}

#[tokio::test]
async fn every_change_is_told_with_who_made_it_and_a_repeat_is_none() {
    use SubscriptionState::{Active, Pending, Provisioning, Revoked, Suspended};
    let world = World::new(62);
    let vid = world.vehicle("v").await;
    let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let id = only(&world, &fleet).await.subscription_id;
    for step in [Move::Suspend, Move::Suspend, Move::Resume, Move::Revoke, Move::Revoke] {
        world.clock.advance_ms(1);
        world.onboard().move_subscription(&admin(), &fleet, &id, step).await.unwrap();
    }
    let trail = world.onboard().changes(&admin(), &fleet, None, 100).await.unwrap();
    let states: Vec<_> = trail.iter().rev().filter_map(Change::state).collect();
    assert_eq!(states, [Pending, Provisioning, Active, Suspended, Active, Revoked]);
    let by_admin = Author::Admin { client_id: ClientId::new("admin") };
    let by: Vec<&Author> = trail.iter().rev().map(|change| &change.by).collect();
    let workflow = &Author::Provisioning;
    // The fleet itself comes first.
    assert_eq!(by, [&by_admin, &by_admin, workflow, workflow, &by_admin, &by_admin, &by_admin]);
    for caller in [Caller::Fleet(fleet.clone()), Caller::Ingest(ClientId::new("i"))] {
        let refused = world.onboard().changes(&caller, &fleet, None, 10).await;
        assert!(matches!(refused, Err(ServiceError::Forbidden(_))), "{caller:?}");
    }
}

#[tokio::test]
async fn a_receipt_tells_when_it_was_active_and_what_was_delivered_also_after_its_end() {
    let world = World::new(63);
    let (vid, other) = (world.vehicle("v").await, world.vehicle("o").await);
    let fleet = world.fleet(&[vid.clone(), other.clone()], &["telematics"]).await;
    let began = world.clock.now();
    let before = only(&world, &fleet).await;
    let id = &before.subscription_id;
    let mut delivered = Vec::new();
    for name in ["a", "b"] {
        world.clock.advance_ms(60_000);
        delivered.push(world.clock.now());
        world.upload(&vid, name, &[(60, 50.0)]).await;
        world.settle(|_| FaultPlan::healthy()).await;
    }
    // A vehicle that was taken out is told of still.
    let fewer = request(std::slice::from_ref(&vid), &["telematics"], DeliveryFormat::Json);
    world.onboard().resubscribe(&admin(), &fleet, id, fewer, before.version).await.unwrap();
    world.clock.advance_ms(60_000);
    world.onboard().move_subscription(&admin(), &fleet, id, Move::Revoke).await.unwrap();
    let ended = world.clock.now();
    world.clock.advance_ms(60_000);

    let memory = || world.memory.clone();
    let receipts = Receipts { fleets: memory(), subscriptions: memory(), index: memory(), clock: world.clock.clone() };
    let caller = Caller::Fleet(fleet.clone());
    let receipt = receipts.receipt(&caller, &fleet, id, None, None).await.unwrap();
    assert_eq!(receipt.active, [Period { from: began, to: Some(ended) }]);
    assert_eq!(receipt.counted, Period { from: began, to: Some(world.clock.now()) });
    let mut expected = vec![
        Deliveries { vid: vid.clone(), events: 2, first: Some(delivered[0]), last: Some(delivered[1]) },
        Deliveries { vid: other, events: 0, first: None, last: None },
    ];
    expected.sort_by(|a, b| a.vid.cmp(&b.vid));
    assert_eq!(receipt.vehicles, expected);

    let second = receipts.receipt(&admin(), &fleet, id, Some(delivered[1]), Some(ended)).await.unwrap();
    assert_eq!(second.vehicles.iter().map(|vehicle| vehicle.events).sum::<usize>(), 1);
    let stranger = Caller::Fleet(world.fleet(&[], &[]).await);
    assert!(matches!(receipts.receipt(&stranger, &fleet, id, None, None).await, Err(ServiceError::NotFound)));
}
