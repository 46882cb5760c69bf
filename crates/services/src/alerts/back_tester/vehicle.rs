//! Evaluates the rules of one vehicle on the event log.

use roadcast_alerts::{BackTest, VehicleRules};
use roadcast_domain::back_test::{BackTestAlert, InterruptedVehicle};
use roadcast_domain::event::{Event, EventType};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::{Timestamp, limits};
use roadcast_ports::clock::Clock;
use roadcast_ports::event_log::{EventLog, EventRange};
use roadcast_ports::{PortError, PortErrorKind};

use crate::ServiceError;
use crate::alerts::back_tests::VisibleAlerts;

/// Events per read of the log. Every sample of a read can be a transition.
const EVENTS_PER_READ: usize = 200;
/// Maximum bytes of the items of a read.
const BYTES_PER_READ: usize = 4 * 1024 * 1024;
/// Maximum samples that wait for earlier ones. A vehicle sends more of them in ten minutes only on purpose; then samples that
/// are stored after later ones are ignored.
const WAITING_SAMPLES: usize = 100_000;

/// The evaluation of one vehicle.
pub(super) struct VehicleTest<'t, Log, TestClock> {
    pub(super) log: &'t Log,
    pub(super) clock: &'t TestClock,
    pub(super) vid: &'t VehicleId,
    pub(super) rules: &'t VehicleRules,
    pub(super) visible: &'t VisibleAlerts,
}

/// How far a vehicle was evaluated.
pub(super) enum Evaluated {
    /// All its events were.
    Completely,
    /// The time was over.
    UpTo(InterruptedVehicle),
    /// The limit of alerts was reached.
    Exhausted,
}

impl<Log: EventLog, TestClock: Clock> VehicleTest<'_, Log, TestClock> {
    /// Evaluates the samples of a time range, or those after an interruption, and passes the alerts that the owner may see to `take`,
    /// until it returns false. Ends after `end`, but not before it made progress.
    pub(super) async fn run(
        &self,
        (from, until): (Timestamp, Timestamp),
        interrupted: Option<&InterruptedVehicle>,
        end: Timestamp,
        mut take: impl FnMut(BackTestAlert) -> bool + Send,
    ) -> Result<Evaluated, ServiceError> {
        if self.rules.is_empty() {
            return Ok(Evaluated::Completely);
        }
        let (mut test, start) = self.start(from, interrupted)?;
        // A clock may be ahead: such a sample counts as of its receipt, but is stored later in the log.
        let last = Eid::from_time_and_salt(until.plus_ms(limits::CLOCK_AHEAD_MS), u128::MAX);
        let mut next = Some(start);
        let mut complete_before = interrupted.map_or(from, |interrupted| interrupted.complete_before);
        while let Some(start) = next.filter(|next| *next <= last) {
            let range = EventRange {
                vid: self.vid.clone(),
                from: start,
                to: last,
                limit: EVENTS_PER_READ,
                max_bytes: BYTES_PER_READ,
                consistent: false,
            };
            let page = self.log.range(&range).await?;
            test.push(page.events.into_iter().filter_map(|stored| self.select(&stored.event)));
            next = page.next.filter(|next| *next <= last);
            let Some(next) = next else { break };
            let is_too_much = test.pending_samples() > WAITING_SAMPLES;
            let ahead = if is_too_much { -limits::EVENT_SPAN_MS } else { limits::CLOCK_AHEAD_MS };
            let complete = next.time().plus_ms(-ahead);
            if complete <= complete_before {
                continue;
            }
            complete_before = complete;
            let transitions = test.complete_before(complete_before);
            if !self.take_all(transitions, &mut take) {
                return Ok(Evaluated::Exhausted);
            }
            if self.clock.now() >= end {
                let state = serde_json::to_string(&test.state())
                    .map_err(|error| PortError::new(PortErrorKind::Internal, "storing a back-test").caused_by(error))?;
                return Ok(Evaluated::UpTo(InterruptedVehicle { complete_before, state }));
            }
        }
        let transitions = test.finish(until.plus_ms(-1));
        Ok(if self.take_all(transitions, &mut take) { Evaluated::Completely } else { Evaluated::Exhausted })
    }

    /// Returns the evaluation, and the first event that it needs.
    fn start(&self, from: Timestamp, interrupted: Option<&InterruptedVehicle>) -> Result<(BackTest<'_>, Eid), ServiceError> {
        let Some(InterruptedVehicle { complete_before, state }) = interrupted else {
            return Ok((BackTest::new(self.rules), Eid::lower_bound(from)));
        };
        let unreadable = || PortError::new(PortErrorKind::Internal, "continuing a back-test");
        let state = serde_json::from_str(state).map_err(|error| unreadable().caused_by(error))?;
        let test = BackTest::resume(self.rules, state).ok_or_else(unreadable)?;
        let first = Eid::lower_bound(complete_before.plus_ms(-limits::EVENT_SPAN_MS).max(from));
        Ok((test, first))
    }

    /// Returns the part of an event that the rules read and the owner may see.
    fn select(&self, event: &Event) -> Option<Event> {
        match self.visible.coverage(self.vid, event.received) {
            None => self.rules.select(event, |_| true, true),
            Some(coverage) => {
                let sees_diagnostics = coverage.contains_event_type(&EventType::Diagnostic);
                self.rules.select(event, |signal| coverage.contains_signal(signal.path), sees_diagnostics)
            }
        }
    }

    fn take_all(
        &self,
        transitions: Vec<roadcast_alerts::transition::Transition>,
        take: &mut impl FnMut(BackTestAlert) -> bool,
    ) -> bool {
        let alerts = transitions.into_iter().filter_map(|transition| self.rules.alert(self.vid, transition));
        let alerts = alerts.map(|alert| BackTestAlert { vid: self.vid.clone(), alert });
        alerts.filter(|alert| self.visible.contains(alert)).all(take)
    }
}
