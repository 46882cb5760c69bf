//! Evaluates back-tests, in slices of bounded time.
//!
//! The evaluation is that of `roadcast-alerts`, on the events of the log that the owner may see now, by the time they were received.

mod vehicle;

use roadcast_alerts::RuleSet;
use roadcast_domain::Timestamp;
use roadcast_domain::back_test::{BackTest, BackTestAlert, BackTestState, BackTestTask};
use roadcast_ports::alerts::{BackTestQueue as _, BackTests as _};
use roadcast_ports::clock::{Clock as _, Randomness as _};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::vehicles::Vehicles as _;
use roadcast_ports::{PortError, PortErrorKind};

use super::back_tests::VisibleAlerts;
use crate::ServiceError;
use crate::cache::CachedEntitlements;
use crate::stored_rules::tested_version;

use vehicle::{Evaluated, VehicleTest};

/// Evaluates back-tests.
pub struct BackTester<Ports: PortSet> {
    /// The back-tests.
    pub back_tests: Ports::BackTests,
    /// The queue of the evaluation.
    pub queue: Ports::BackTestQueue,
    /// The event log.
    pub log: Ports::EventLog,
    /// The registered vehicles, whose attributes rules may name.
    pub vehicles: Ports::Vehicles,
    /// What fleets may see.
    pub entitlements: CachedEntitlements<Ports>,
    /// The clock.
    pub clock: Ports::Clock,
    /// The source of the names of pages.
    pub randomness: Ports::Randomness,
}

impl<Ports: PortSet> BackTester<Ports> {
    /// Evaluates a back-test for about this time, stores how far it is, and sends a task for the rest. Does nothing if the back-test
    /// was cancelled or has ended. May be repeated: of concurrent evaluations, one continues.
    pub async fn run(&self, task: &BackTestTask, time_ms: i64) -> Result<(), ServiceError> {
        let Some(stored) = self.back_tests.get(&task.owner, &task.back_test_id).await? else { return Ok(()) };
        if stored.state != BackTestState::Running {
            return Ok(());
        }
        let end = self.clock.now().plus_ms(time_ms);
        let (mut back_test, found) = self.evaluate(stored, end).await?;
        self.store_alerts(&mut back_test, &found).await?;
        back_test.updated_at = self.clock.now();
        if !is_stored(self.back_tests.replace(&back_test).await)? {
            return Ok(());
        }
        if back_test.state == BackTestState::Running {
            self.queue.send(&back_test.task()).await?;
        }
        Ok(())
    }

    /// Marks a back-test as failed, after its evaluation failed repeatedly.
    pub async fn fail(&self, task: &BackTestTask) -> Result<(), ServiceError> {
        let Some(stored) = self.back_tests.get(&task.owner, &task.back_test_id).await? else { return Ok(()) };
        if stored.state == BackTestState::Running {
            let failed = BackTest { state: BackTestState::Failed, updated_at: self.clock.now(), ..stored };
            is_stored(self.back_tests.replace(&failed).await)?;
        }
        Ok(())
    }

    /// Evaluates vehicles up to about `end`. Returns the progress, and the alerts.
    async fn evaluate(
        &self,
        mut back_test: BackTest,
        end: Timestamp,
    ) -> Result<(BackTest, Vec<BackTestAlert>), ServiceError> {
        let rules = RuleSet::new([tested_version(&back_test)?]);
        let mut found = Vec::new();
        let mut budget = AlertBudget::of(&back_test);
        loop {
            let Some(vid) = back_test.vehicles.get(back_test.progress.vehicles).cloned() else {
                back_test.state = BackTestState::Finished;
                return Ok((back_test, found));
            };
            let now = self.clock.now();
            let visible = VisibleAlerts::read(&back_test.owner, [vid.clone()].into(), &self.entitlements, now).await?;
            let vehicle = if visible.has_vehicle(&vid) { self.vehicles.get(&vid).await? } else { None };
            let interrupted = back_test.progress.interrupted.take();
            let evaluated = match vehicle {
                Some(vehicle) => {
                    let rules = rules.for_vehicle(&vid, &vehicle.details.rule_attributes());
                    let test =
                        VehicleTest { log: &self.log, clock: &self.clock, vid: &vid, rules: &rules, visible: &visible };
                    let range = (back_test.from, back_test.until);
                    test.run(range, interrupted.as_ref(), end, |alert| budget.take(alert, &mut found)).await?
                }
                // It does not exist, or the owner may not see it.
                None => Evaluated::Completely,
            };
            match evaluated {
                Evaluated::Completely => back_test.progress.vehicles += 1,
                Evaluated::UpTo(interrupted) => back_test.progress.interrupted = Some(interrupted),
                Evaluated::Exhausted => {
                    back_test.progress.is_truncated = true;
                    back_test.state = BackTestState::Finished;
                    return Ok((back_test, found));
                }
            }
            if self.clock.now() >= end && back_test.progress.vehicles < back_test.vehicles.len() {
                return Ok((back_test, found));
            }
        }
    }

    /// Stores pages of alerts, which count once the back-test that names them is stored.
    async fn store_alerts(&self, back_test: &mut BackTest, found: &[BackTestAlert]) -> Result<(), ServiceError> {
        let mut remaining = found;
        while !remaining.is_empty() {
            let (alerts, rest) = remaining.split_at(page_len(remaining));
            // Sorted in the order of the pages, and never that of another evaluation.
            let page = format!("{:06}-{:032x}", back_test.progress.pages.len(), self.randomness.bits());
            self.back_tests.store_alerts(&back_test.back_test_id, &page, alerts, back_test.expires_at()).await?;
            back_test.progress.pages.push(page);
            remaining = rest;
        }
        back_test.progress.alerts += found.len();
        back_test.progress.bytes += found.iter().map(alert_bytes).sum::<usize>();
        Ok(())
    }
}

/// How many alerts a back-test can still have.
struct AlertBudget {
    alerts: usize,
    bytes: usize,
}

impl AlertBudget {
    const fn of(back_test: &BackTest) -> Self {
        Self {
            alerts: BackTest::MAX_ALERTS.saturating_sub(back_test.progress.alerts),
            bytes: BackTest::MAX_ALERT_BYTES.saturating_sub(back_test.progress.bytes),
        }
    }

    /// Adds an alert. Returns whether it fits.
    fn take(&mut self, alert: BackTestAlert, found: &mut Vec<BackTestAlert>) -> bool {
        let bytes = alert_bytes(&alert);
        if self.alerts == 0 || bytes > self.bytes.min(BackTest::MAX_PAGE_BYTES) {
            return false;
        }
        self.alerts -= 1;
        self.bytes -= bytes;
        found.push(alert);
        true
    }
}

/// Returns how many of these alerts, which are not empty, fit on a page.
fn page_len(alerts: &[BackTestAlert]) -> usize {
    let mut bytes = 0;
    let fits = |alert: &&BackTestAlert| {
        bytes += alert_bytes(alert);
        bytes <= BackTest::MAX_PAGE_BYTES
    };
    alerts.iter().take_while(fits).count().max(1)
}

/// The bytes of an alert as it is stored and returned.
fn alert_bytes(alert: &BackTestAlert) -> usize {
    serde_json::to_string(alert).map_or(0, |json| json.len())
}

/// Whether a back-test was replaced; not if it was cancelled, or if another evaluation was faster.
fn is_stored(result: Result<(), PortError>) -> Result<bool, ServiceError> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == PortErrorKind::Conflict => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
