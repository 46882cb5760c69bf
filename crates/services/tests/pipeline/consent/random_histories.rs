//! Random histories of subscriptions, which are created, changed, suspended, resumed and revoked while data flows.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use roadcast_domain::Timestamp;
use roadcast_domain::event::{Body, Event};
use roadcast_domain::ids::{Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::package::PackageName;
use roadcast_domain::plan::Plan;
use roadcast_domain::selection::Selection;
use roadcast_domain::subscription::{DeliveryFormat, SubscriptionState};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::feed::ReceiveOptions;
use roadcast_services::ServiceError;
use roadcast_services::authz::Proof;
use roadcast_services::fleets::{SubscriptionRequest, Transition};
use roadcast_services::query::EventsRange;
use roadcast_services::query::fleet_events::{ArrivalPosition, FleetEventsRange};
use roadcast_testbed::FaultPlan;

use super::{PACKAGES, SPEED, request};
use crate::fixture::{PipelineFixture, admin, admin_of, client_of};

/// A signal of an event of a vehicle.
type EventSignal = (VehicleId, Eid, String);

/// Stands for an entire alert, in the place of the path of a signal.
const ALERT: &str = "alert";

fn event_signals(event: &Event) -> BTreeSet<EventSignal> {
    let telemetry = match &event.body {
        Body::Telemetry(telemetry) => telemetry,
        Body::Alert(_) => return BTreeSet::from([(event.vid.clone(), event.eid, ALERT.to_owned())]),
        Body::Diagnostic(_) | Body::Custom(_) => return BTreeSet::new(),
    };
    let paths = telemetry.samples.columns().iter().map(|column| &column.path);
    paths.map(|path| (event.vid.clone(), event.eid, path.to_string())).collect()
}

fn all_signals<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeSet<EventSignal> {
    events.into_iter().flat_map(event_signals).collect()
}

/// The expected coverage of a subscription: vehicles, packages, validity and state.
#[derive(Clone, Debug)]
struct ExpectedSubscription {
    id: SubscriptionId,
    vehicles: Vec<VehicleId>,
    packages: Vec<PackageName>,
    from: Timestamp,
    until: Option<Timestamp>,
    state: SubscriptionState,
}

impl ExpectedSubscription {
    fn holds(&self, time: Timestamp) -> bool {
        self.from <= time && self.until.is_none_or(|until| time < until)
    }

    fn covers(&self, vid: &VehicleId, path: &str, received: Timestamp, now: Timestamp) -> bool {
        let package = match path {
            SPEED => "telematics",
            ALERT => "alerts",
            _ => "track-and-trace",
        };
        self.vehicles.contains(vid)
            && self.packages.iter().any(|name| name.as_str() == package)
            && self.holds(received)
            && self.holds(now)
    }
}

/// A fleet with its expected subscriptions, and the data that it received.
struct ConsentHistory {
    pipeline: PipelineFixture,
    fleet: FleetId,
    vehicles: Vec<VehicleId>,
    expected: Vec<ExpectedSubscription>,
    position: ArrivalPosition,
    /// Signals that were queued and have been covered since, including by suspended subscriptions.
    due: BTreeSet<EventSignal>,
    enriched: BTreeSet<(VehicleId, Eid)>,
    /// Alerts of the rules of another fleet.
    foreign: BTreeSet<Eid>,
    drained: BTreeSet<EventSignal>,
}

impl ConsentHistory {
    async fn new(seed: u64) -> Self {
        let pipeline = PipelineFixture::new(seed);
        pipeline.memory.set_visibility_ms(1_000);
        let vehicles = vec![pipeline.vehicle("a").await, pipeline.vehicle("b").await];
        let fleet = pipeline.onboarding().create_fleet(&admin(), "A fleet", Plan::Standard).await.unwrap().fleet_id;
        let position = ArrivalPosition::first_at(pipeline.clock.now());
        let (expected, due, enriched, drained) = (Vec::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let foreign = BTreeSet::new();
        Self { pipeline, fleet, vehicles, expected, position, due, enriched, foreign, drained }
    }

    fn caller<P: Proof>(&self) -> P {
        client_of(&self.fleet)
    }

    fn covered(&self, vid: &VehicleId, path: &str, received: Timestamp, suspended: bool) -> bool {
        let counts = |state| state == SubscriptionState::Active || (suspended && state == SubscriptionState::Suspended);
        let now = self.pipeline.clock.now();
        self.expected.iter().any(|expected| counts(expected.state) && expected.covers(vid, path, received, now))
    }

    /// Whether a signal of an event, or an alert with its signal, is covered.
    fn is_covered(&self, (vid, eid, path): &EventSignal, received: Timestamp, suspended: bool) -> bool {
        let covered = |path| self.covered(vid, path, received, suspended);
        covered(path) && (path != ALERT || covered(SPEED) && !self.foreign.contains(eid))
    }

    /// Returns the stored signals that are covered now.
    fn visible(&self) -> BTreeSet<EventSignal> {
        let mut visible = BTreeSet::new();
        for stored in self.pipeline.stored_events() {
            let signals = event_signals(&stored.event).into_iter();
            visible.extend(signals.filter(|signal| self.is_covered(signal, stored.event.received, false)));
        }
        visible
    }

    /// Removes signals that are no longer covered from `due`: their delivery is not guaranteed.
    fn remove_uncovered(&mut self) {
        let received: BTreeMap<_, _> = self
            .pipeline
            .stored_events()
            .into_iter()
            .map(|stored| ((stored.event.vid, stored.event.eid), stored.event.received))
            .collect();
        let due = std::mem::take(&mut self.due);
        let received = |signal: &EventSignal| received[&(signal.0.clone(), signal.1)];
        self.due = due.into_iter().filter(|signal| self.is_covered(signal, received(signal), true)).collect();
    }

    async fn process(&mut self) {
        self.pipeline.process_all(|_| FaultPlan::healthy()).await;
        for stored in self.pipeline.stored_events() {
            if self.enriched.insert((stored.event.vid.clone(), stored.event.eid)) {
                let covered = event_signals(&stored.event)
                    .into_iter()
                    .filter(|signal| self.is_covered(signal, stored.event.received, true));
                self.due.extend(covered.collect::<Vec<_>>());
            }
        }
    }

    async fn poll_feed(&mut self, acknowledge: bool) -> Result<(), TestCaseError> {
        let feed_reader = self.pipeline.feed_reader();
        let feed = feed_reader.read(&self.caller(), ReceiveOptions { max: 3, ..ReceiveOptions::default() }).await.unwrap();
        // As a consumer decodes it.
        let delivered = all_signals(&crate::fixture::delivered_events(&feed));
        let visible = self.visible();
        prop_assert!(delivered.is_subset(&visible), "unexpected in the feed: {:?}", delivered.difference(&visible));
        self.drained.extend(delivered);
        if acknowledge && !feed.ack_handles.is_empty() {
            feed_reader.acknowledge(&self.caller(), &feed.ack_handles).await.unwrap();
        }
        Ok(())
    }

    async fn poll_fleet_events(&mut self) -> Result<BTreeSet<EventSignal>, TestCaseError> {
        let range = FleetEventsRange { from: self.position.clone(), to: None, selection: Selection::default(), limit: 5 };
        let page = self.pipeline.fleet_events().page(&self.caller(), &range).await.unwrap();
        self.position = page.next.unwrap();
        let (arrived, visible) = (all_signals(&page.events), self.visible());
        prop_assert!(
            arrived.is_subset(&visible),
            "unexpected in the events of the fleet: {:?}",
            arrived.difference(&visible)
        );
        Ok(arrived)
    }

    async fn check_queries(&self) -> Result<(), TestCaseError> {
        let visible = self.visible();
        for vid in &self.vehicles {
            let range = EventsRange::between(vid.clone(), None, None, 1000);
            let events = match self.pipeline.queries().events(&self.caller(), &range).await {
                Ok(page) => page.events,
                Err(ServiceError::NotFound) => Vec::new(),
                Err(error) => panic!("{error:?}"),
            };
            let expected: BTreeSet<EventSignal> = visible.iter().filter(|(of, _, _)| of == vid).cloned().collect();
            prop_assert_eq!(all_signals(&events), expected);
            if let Ok((state, _)) = self.pipeline.states().state(&self.caller(), vid).await {
                for (path, reading) in &state.signals {
                    prop_assert!(
                        self.covered(vid, path.as_str(), reading.received, false),
                        "unexpected in the state: {}",
                        path
                    );
                }
            }
        }
        Ok(())
    }

    async fn apply(&mut self, n: usize, action: &Action) -> Result<(), TestCaseError> {
        match action {
            Action::Subscribe(terms) => {
                let request = self.request(terms);
                let id = self.pipeline.subscribe(&self.fleet, request.clone()).await;
                let from = request.valid_from.unwrap_or(self.pipeline.clock.now());
                self.expected.push(ExpectedSubscription {
                    id,
                    vehicles: request.vehicles,
                    packages: request.packages,
                    from,
                    until: request.valid_until,
                    state: SubscriptionState::Active,
                });
            }
            Action::Change(which, terms) if !self.expected.is_empty() => {
                let which = *which % self.expected.len();
                let request = self.request(terms);
                let onboarding = self.pipeline.onboarding();
                let id = self.expected[which].id.clone();
                let version = onboarding.subscription(&admin_of(&self.fleet), &id).await.unwrap().version;
                // The request can be invalid by now, for example if it ends before it starts.
                if onboarding.replace_subscription(&admin(), &self.fleet, &id, request.clone(), version).await.is_ok() {
                    let expected = &mut self.expected[which];
                    expected.from = request.valid_from.unwrap_or(expected.from);
                    expected.until = request.valid_until;
                    expected.vehicles = request.vehicles;
                    expected.packages = request.packages;
                }
            }
            Action::Transition(which, step) if !self.expected.is_empty() => {
                let which = *which % self.expected.len();
                let id = self.expected[which].id.clone();
                if let Ok(moved) =
                    self.pipeline.onboarding().transition_subscription(&admin(), &self.fleet, &id, *step).await
                {
                    self.expected[which].state = moved.state;
                }
            }
            Action::Change(..) | Action::Transition(..) => {}
            Action::Upload(vehicle, ago) => {
                self.pipeline.upload(&self.vehicles[*vehicle], &n.to_string(), &[(*ago, 50.0)]).await;
            }
            Action::Alert(vehicle, owner) => {
                let other = FleetId::from_random_bits(7);
                let owner = [None, Some(&self.fleet), Some(&other)][*owner];
                let alert = self.pipeline.alert(&self.vehicles[*vehicle], owner, n as u128);
                self.pipeline.raise(&alert).await;
                if owner == Some(&other) {
                    self.foreign.insert(alert.event.eid);
                }
            }
            Action::Process => self.process().await,
            Action::PollFeed(acknowledge) => self.poll_feed(*acknowledge).await?,
            Action::PollFleetEvents => drop(self.poll_fleet_events().await?),
            Action::Query => self.check_queries().await?,
            Action::Wait(seconds) => self.pipeline.clock.advance_ms(i64::from(*seconds) * 1000),
        }
        self.remove_uncovered();
        Ok(())
    }

    fn request(&self, terms: &SubscriptionTerms) -> SubscriptionRequest {
        let now = self.pipeline.clock.now();
        let vehicles: Vec<VehicleId> = terms.vehicles.iter().map(|index| self.vehicles[*index].clone()).collect();
        let format = if terms.blocks { DeliveryFormat::Blocks } else { DeliveryFormat::Json };
        SubscriptionRequest {
            valid_from: terms.from_s.map(|seconds| now.plus_ms(i64::from(seconds) * 1000)),
            valid_until: terms.until_s.map(|seconds| now.plus_ms(i64::from(seconds) * 1000)),
            ..request(&vehicles, &terms.packages, format)
        }
    }

    /// Resumes every suspended subscription and reads the feed, the fleet events and the queries to their end.
    async fn finish(&mut self) -> Result<(), TestCaseError> {
        for which in 0..self.expected.len() {
            self.apply(0, &Action::Transition(which, Transition::Resume)).await?;
        }
        self.process().await;
        self.remove_uncovered();
        for _ in 0..60 {
            self.pipeline.clock.advance_ms(1_000);
            self.remove_uncovered();
            self.poll_feed(true).await?;
        }
        prop_assert_eq!(
            self.pipeline.memory.queued(&self.fleet),
            Vec::<String>::new(),
            "no message stays in the queue forever"
        );
        prop_assert!(self.due.is_subset(&self.drained), "missing in the feed: {:?}", self.due.difference(&self.drained));
        self.position = ArrivalPosition::first_at(Timestamp::parse_rfc3339(crate::fixture::NOON).unwrap());
        let mut arrived = BTreeSet::new();
        for _ in 0..60 {
            arrived.extend(self.poll_fleet_events().await?);
        }
        prop_assert!(
            self.due.is_subset(&arrived),
            "missing in the events of the fleet: {:?}",
            self.due.difference(&arrived)
        );
        self.check_queries().await
    }
}

#[derive(Clone, Debug)]
struct SubscriptionTerms {
    vehicles: Vec<usize>,
    packages: Vec<&'static str>,
    from_s: Option<i8>,
    until_s: Option<i16>,
    blocks: bool,
}

#[derive(Clone, Debug)]
enum Action {
    Subscribe(SubscriptionTerms),
    Change(usize, SubscriptionTerms),
    Transition(usize, Transition),
    Upload(usize, i64),
    /// Of a vehicle, and of the operator, the fleet or another fleet.
    Alert(usize, usize),
    Process,
    PollFeed(bool),
    PollFleetEvents,
    Query,
    Wait(u8),
}

fn terms() -> impl Strategy<Value = SubscriptionTerms> {
    let vehicles = prop::sample::subsequence(vec![0, 1], 1..=2);
    let packages = prop::sample::subsequence([&PACKAGES[..], &["alerts"]].concat(), 1..=3);
    let until = prop::option::weighted(0.3, 130_i16..400);
    (vehicles, packages, prop::option::weighted(0.3, -100_i8..100), until, any::<bool>()).prop_map(
        |(vehicles, packages, from_s, until_s, blocks)| SubscriptionTerms { vehicles, packages, from_s, until_s, blocks },
    )
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        1 => terms().prop_map(Action::Subscribe),
        2 => (0_usize..4, terms()).prop_map(|(which, terms)| Action::Change(which, terms)),
        1 => (0_usize..4).prop_map(|which| Action::Transition(which, Transition::Revoke)),
        2 => (0_usize..4).prop_map(|which| Action::Transition(which, Transition::Suspend)),
        2 => (0_usize..4).prop_map(|which| Action::Transition(which, Transition::Resume)),
        6 => (0_usize..2, 0_i64..500).prop_map(|(vehicle, ago)| Action::Upload(vehicle, ago)),
        4 => (0_usize..2, 0_usize..3).prop_map(|(vehicle, owner)| Action::Alert(vehicle, owner)),
        4 => Just(Action::Process),
        4 => any::<bool>().prop_map(Action::PollFeed),
        2 => Just(Action::PollFleetEvents),
        2 => Just(Action::Query),
        3 => (1_u8..60).prop_map(Action::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// A fleet receives no event or signal that is not covered at the time of the read. Data that was covered all the time,
    /// even if suspended temporarily, is finally complete in every read.
    #[test]
    fn fleet_sees_exactly_what_its_subscriptions_cover(
        seed in 0_u64..1_000_000,
        first in terms(),
        actions in prop::collection::vec(action(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut history = ConsentHistory::new(seed).await;
            history.apply(0, &Action::Subscribe(first)).await?;
            for (n, action) in actions.iter().enumerate() {
                history.apply(n, action).await?;
            }
            history.finish().await
        })?;
    }
}
