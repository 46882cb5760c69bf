//! What fleets and admins do with back-tests: start one, look at its progress and its result, and cancel it.

mod request;
mod visible;

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_alerts::rule::Rule;
use roadcast_domain::alert::{AlertChange, RuleOwner};
use roadcast_domain::back_test::{BackTest, BackTestAlert, BackTestProgress, BackTestState};
use roadcast_domain::ids::{BackTestId, FleetId, RuleId, VehicleId};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_ports::alerts::{AlertRules as _, BackTestQueue as _, BackTests as _};
use roadcast_ports::clock::{Clock as _, Randomness as _};
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::fleets::Fleets as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::vehicles::Vehicles as _;

use super::rules::{RuleSettings, parse_stored};
use crate::authz::RuleManager;
use crate::cache::CachedEntitlements;
use crate::{CONCURRENT_READS, ServiceError};

pub use request::{BackTestRequest, TestedRule};
pub(super) use visible::VisibleAlerts;

const TOO_MANY: ServiceError = ServiceError::Conflict("20 back-tests are stored, which is the maximum; delete one");

/// Manages back-tests.
pub struct BackTestManagement<Ports: PortSet> {
    /// The back-tests.
    pub back_tests: Ports::BackTests,
    /// The queue of the evaluation.
    pub queue: Ports::BackTestQueue,
    /// The stored rules.
    pub rules: Ports::AlertRules,
    /// The fleets.
    pub fleets: Ports::Fleets,
    /// The registered vehicles: the operator sees no alert of an erased one.
    pub vehicles: Ports::Vehicles,
    /// What fleets may see.
    pub entitlements: CachedEntitlements<Ports>,
    /// The clock.
    pub clock: Ports::Clock,
    /// The source of ids.
    pub randomness: Ports::Randomness,
}

/// What the caller may see of a back-test now.
#[derive(Clone, Debug, PartialEq)]
pub struct BackTestResult {
    /// The back-test.
    pub back_test: BackTest,
    /// The number of alerts that would have been raised.
    pub raised: usize,
    /// Whether the evaluation ended at the limit of alerts.
    pub is_truncated: bool,
    /// The alerts, by vehicle and time.
    pub alerts: Vec<BackTestAlert>,
}

impl<Ports: PortSet> BackTestManagement<Ports> {
    /// Starts a back-test. Fails with `Invalid` if it exceeds the limits, with `NotFound` if it names a rule that does not exist, and
    /// with `Conflict` if the owner has [`BackTest::MAX_PER_OWNER`] back-tests.
    ///
    /// A vehicle that the owner may not see is accepted like any other, and has no alerts.
    pub async fn start(&self, manager: &RuleManager, request: BackTestRequest) -> Result<BackTest, ServiceError> {
        let owner = manager.owner();
        if let Some(fleet_id) = owner.fleet_id() {
            self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        }
        let now = self.clock.now();
        let (from, until) = request.time_range(now)?;
        let (rule_id, version, rule) = self.rule(owner, request.rule).await?;
        let vehicles = match request.vehicles.or_else(|| rule.scope.vehicles.clone()) {
            Some(vehicles) => vehicles,
            None => self.all_vehicles(owner).await?,
        };
        request::check_budget(vehicles.len(), from, until)?;
        let back_test = BackTest {
            back_test_id: BackTestId::from_random_bits(self.randomness.bits()),
            owner: owner.clone(),
            rule_id,
            version,
            definition: RuleSettings { rule, enabled: true }.definition()?,
            vehicles: vehicles.into_iter().collect(),
            from,
            until,
            progress: BackTestProgress::default(),
            state: BackTestState::Running,
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        if self.back_tests.list(owner).await?.len() >= BackTest::MAX_PER_OWNER {
            return Err(TOO_MANY);
        }
        self.back_tests.create(&back_test).await?;
        if let Err(error) = self.queue.send(&back_test.task()).await {
            // Nothing would evaluate it. If this fails too, it expires.
            let _removed = self.back_tests.remove(owner, &back_test.back_test_id).await;
            return Err(error.into());
        }
        Ok(back_test)
    }

    /// Returns a back-test with the alerts that the owner may see now.
    pub async fn get(&self, manager: &RuleManager, back_test_id: &BackTestId) -> Result<BackTestResult, ServiceError> {
        let back_test = self.back_tests.get(manager.owner(), back_test_id).await?.ok_or(ServiceError::NotFound)?;
        let stored = self.back_tests.alerts(back_test_id, &back_test.progress.pages).await?;
        let all = stored.len();
        let vehicles: BTreeSet<VehicleId> = stored.iter().map(|alert| alert.vid.clone()).collect();
        let erased = self.erased(manager.owner(), &vehicles).await?;
        let visible = VisibleAlerts::read(manager.owner(), vehicles, &self.entitlements, self.clock.now()).await?;
        let is_visible = |alert: &BackTestAlert| visible.contains(alert) && !erased.contains(&alert.vid);
        let alerts: Vec<_> = stored.into_iter().filter(is_visible).collect();
        Ok(BackTestResult {
            raised: alerts.iter().filter(|found| found.alert.change == AlertChange::Raised).count(),
            // Otherwise it would show that there are more.
            is_truncated: back_test.progress.is_truncated && alerts.len() == all,
            back_test,
            alerts,
        })
    }

    /// Returns the back-tests of the owner, by id.
    pub async fn list(&self, manager: &RuleManager) -> Result<Vec<BackTest>, ServiceError> {
        Ok(self.back_tests.list(manager.owner()).await?)
    }

    /// Cancels and deletes a back-test.
    pub async fn remove(&self, manager: &RuleManager, back_test_id: &BackTestId) -> Result<(), ServiceError> {
        self.back_tests.get(manager.owner(), back_test_id).await?.ok_or(ServiceError::NotFound)?;
        Ok(self.back_tests.remove(manager.owner(), back_test_id).await?)
    }

    /// Returns which of these vehicles were erased. A fleet has no entitlement to them; the operator would see them.
    async fn erased(&self, owner: &RuleOwner, vids: &BTreeSet<VehicleId>) -> Result<BTreeSet<VehicleId>, ServiceError> {
        if owner.fleet_id().is_some() {
            return Ok(BTreeSet::new());
        }
        // A loop, because the compiler rejects a closure over borrowed ids here.
        let mut look_ups = Vec::new();
        for vid in vids {
            look_ups.push(async move { self.vehicles.get(vid).await.map(|found| found.is_none().then(|| vid.clone())) });
        }
        let erased: Vec<Option<VehicleId>> = stream::iter(look_ups).buffer_unordered(CONCURRENT_READS).try_collect().await?;
        Ok(erased.into_iter().flatten().collect())
    }

    async fn rule(&self, owner: &RuleOwner, tested: TestedRule) -> Result<(RuleId, u64, Rule), ServiceError> {
        match tested {
            TestedRule::New(rule) => Ok((RuleId::from_random_bits(self.randomness.bits()), 1, *rule)),
            TestedRule::Stored(rule_id) => {
                let unknown = || ServiceError::invalid(["ruleId"], "no such rule");
                let record = self.rules.get(owner, &rule_id).await?.ok_or_else(unknown)?;
                Ok((rule_id, record.version, parse_stored(&record)?))
            }
        }
    }

    /// Returns all vehicles of which the owner may see something, one more than a back-test may have at most.
    async fn all_vehicles(&self, owner: &RuleOwner) -> Result<BTreeSet<VehicleId>, ServiceError> {
        match owner {
            RuleOwner::Fleet(fleet_id) => self.vehicles_of_fleet(fleet_id).await,
            RuleOwner::Operator => {
                let detail = "is required, unless the scope of the rule names vehicles: the operator may see all vehicles";
                Err(ServiceError::invalid(JsonPointer::ROOT.child("vehicles"), detail))
            }
        }
    }

    async fn vehicles_of_fleet(&self, fleet_id: &FleetId) -> Result<BTreeSet<VehicleId>, ServiceError> {
        let now = self.clock.now();
        let mut vehicles = BTreeSet::new();
        let mut after: Option<VehicleId> = None;
        while vehicles.len() <= BackTest::MAX_VEHICLES {
            let page = self.entitlements.list_by_fleet(fleet_id, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.vid.clone());
            vehicles
                .extend(page.into_iter().filter(|entitlement| entitlement.is_live(now)).map(|entitlement| entitlement.vid));
        }
        Ok(vehicles)
    }
}

/// Entitlements that are read together.
const PAGE: usize = 200;
