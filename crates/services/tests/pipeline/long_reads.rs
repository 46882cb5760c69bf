//! Reads during which the entitlement changes: nothing is returned that was revoked more than five seconds before.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use roadcast_domain::Timestamp;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_domain::subscription::SubscriptionState;
use roadcast_event_log::SegmentedLog;
use roadcast_ports::PortError;
use roadcast_ports::event_log::{EventLog, EventPage, EventRange, TelemetryPage};
use roadcast_services::ServiceError;
use roadcast_services::authz::Reader;
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::fleets::{SubscriptionRequest, Transition};
use roadcast_services::query::{EventsRange, HistoryRange, Resolution, StateQueries, VehicleQueries};
use roadcast_testbed::{FaultPlan, ManualClock, MemoryItems, port_set};

use crate::fixture::{PipelineFixture, admin, admin_of, client_of, signal_paths};

/// What happens during a read of the log.
type Change = BoxFuture<'static, ()>;

/// A log whose reads take six seconds each, during which the next change happens.
#[derive(Clone)]
struct SlowLog {
    log: SegmentedLog<MemoryItems>,
    clock: ManualClock,
    changes: Arc<Mutex<Vec<Change>>>,
}

impl SlowLog {
    async fn wait(&self) {
        let change = self.changes.lock().unwrap().pop();
        if let Some(change) = change {
            change.await;
        }
        self.clock.advance_ms(6_000);
    }
}

impl EventLog for SlowLog {
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        self.log.append(events).await
    }

    async fn telemetry(&self, range: &EventRange) -> Result<TelemetryPage, PortError> {
        self.wait().await;
        self.log.telemetry(range).await
    }

    async fn range(&self, range: &EventRange) -> Result<EventPage, PortError> {
        self.wait().await;
        self.log.range(range).await
    }

    async fn get(&self, vid: &VehicleId, eid: Eid) -> Result<Option<StoredEvent>, PortError> {
        self.wait().await;
        self.log.get(vid, eid).await
    }

    async fn stored_ids(&self, vid: &VehicleId, eids: &[Eid]) -> Result<BTreeSet<Eid>, PortError> {
        self.log.stored_ids(vid, eids).await
    }
}

port_set! {
    enum WithSlowLog {
        EventLog = SlowLog;
    }
}

/// The reads of a vehicle.
const READS: [&str; 5] = ["events", "event", "samples", "windows", "state"];

/// A fleet that may see the speed and the position of a vehicle with one event.
struct Fixture {
    pipeline: Arc<PipelineFixture>,
    vid: VehicleId,
    fleet: FleetId,
    log: SlowLog,
}

impl Fixture {
    async fn new() -> Self {
        let pipeline = PipelineFixture::new(90);
        let vid = pipeline.vehicle("v").await;
        let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["telematics", "track-and-trace"]).await;
        pipeline.upload(&vid, "a", &[(60, 50.0)]).await;
        pipeline.process_all(|_| FaultPlan::healthy()).await;
        let log = SegmentedLog { items: pipeline.items.clone() };
        let log = SlowLog { log, clock: pipeline.clock.clone(), changes: Arc::default() };
        Self { pipeline: Arc::new(pipeline), vid, fleet, log }
    }

    /// Changes the packages of the subscription, or revokes it, during the next read of the log without a change.
    fn change(&self, packages: &'static [&'static str]) {
        let (pipeline, vid, fleet) = (Arc::clone(&self.pipeline), self.vid.clone(), self.fleet.clone());
        let change = async move {
            let onboarding = pipeline.onboarding();
            let stored = onboarding.subscriptions(&admin_of(&fleet), None, 10).await.unwrap().remove(0);
            let id = stored.subscription_id;
            if packages.is_empty() {
                let revoked = onboarding.transition_subscription(&admin(), &fleet, &id, Transition::Revoke).await.unwrap();
                assert_eq!(revoked.state, SubscriptionState::Revoked);
                return;
            }
            let request = SubscriptionRequest {
                vehicles: vec![vid],
                packages: packages.iter().map(|name| name.parse().unwrap()).collect(),
                delivery_format: pipeline.delivery_format,
                valid_from: None,
                valid_until: None,
            };
            onboarding.replace_subscription(&admin(), &fleet, &id, request, stored.version).await.unwrap();
        };
        self.log.changes.lock().unwrap().insert(0, Box::pin(change));
    }

    /// Returns the signals that a read returns.
    async fn read(&self, read: &str) -> Result<BTreeSet<String>, ServiceError> {
        let queries = VehicleQueries::<WithSlowLog> {
            vehicles: self.pipeline.memory.clone(),
            entitlements: CachedEntitlements::new(self.pipeline.memory.clone(), self.pipeline.clock.clone()),
            log: self.log.clone(),
            clock: self.pipeline.clock.clone(),
        };
        let reader: Reader = client_of(&self.fleet);
        let eid = self.pipeline.stored_events()[0].event.eid;
        let (from, to) = (Timestamp::from_ms(0), Timestamp::from_ms(i64::MAX / 2));
        let history = HistoryRange { vid: self.vid.clone(), from, to, selection: Selection::default(), limit: 10 };
        let names = |paths: Vec<&roadcast_signals::SignalPath>| paths.into_iter().map(ToString::to_string).collect();
        Ok(match read {
            "events" => {
                let range = EventsRange::between(self.vid.clone(), None, None, 10);
                signal_paths(&queries.events(&reader, &range).await?.events)
            }
            "event" => signal_paths(&[queries.event(&reader, &self.vid, eid).await?]),
            "samples" => {
                let page = queries.samples(&reader, &history, None).await?;
                names(page.rows.iter().flat_map(|row| row.signals.keys()).collect())
            }
            "windows" => {
                let resolution = Resolution::from_seconds(60).unwrap();
                let page = queries.windows(&reader, &history, resolution, None).await?;
                names(page.rows.iter().flat_map(|window| window.signals.keys()).collect())
            }
            "state" => {
                let states = StateQueries { queries, state: self.pipeline.memory.clone() };
                names(states.state(&reader, &self.vid).await?.0.signals.keys().collect())
            }
            read => panic!("unknown read: {read}"),
        })
    }
}

const SPEED: &str = "Vehicle.Speed";

#[tokio::test]
async fn entitlement_revoked_during_a_read_is_not_used() {
    for read in READS {
        let fixture = Fixture::new().await;
        assert_eq!(fixture.read(read).await.unwrap().len(), 3, "{read}");
        fixture.change(&[]);
        let result = fixture.read(read).await;
        assert!(matches!(result, Err(ServiceError::NotFound)), "{read}: {result:?}");
    }
}

#[tokio::test]
async fn entitlement_narrowed_during_a_read_is_applied() {
    for read in READS {
        let fixture = Fixture::new().await;
        fixture.change(&["telematics"]);
        assert_eq!(fixture.read(read).await.unwrap(), BTreeSet::from([SPEED.to_owned()]), "{read}");
    }
}

#[tokio::test]
async fn entitlement_that_changes_repeatedly_is_a_temporary_error() {
    for read in READS {
        let fixture = Fixture::new().await;
        fixture.change(&["telematics"]);
        fixture.change(&["track-and-trace"]);
        let result = fixture.read(read).await;
        assert!(matches!(result, Err(ServiceError::EntitlementChanged)), "{read}: {result:?}");
        assert_eq!(fixture.read(read).await.unwrap().len(), 2, "{read}");
    }
}
