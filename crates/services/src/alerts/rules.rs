//! What fleets and admins do with alert rules: create, list, change and delete them.

mod limits;
mod settings;

use roadcast_domain::alert::RuleOwner;
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_domain::audit::Change;
use roadcast_domain::fleet::FleetState;
use roadcast_domain::ids::{ChangeId, RuleId};
use roadcast_ports::alerts::AlertRules as _;
use roadcast_ports::clock::{Clock as _, Randomness as _};
use roadcast_ports::fleets::Fleets as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use crate::authz::{Admin, RuleManager};
use crate::{ServiceError, VersionCondition};

use limits::check_limits;
pub use settings::{RuleSettings, parse_stored};

/// How often a change is tried again after a concurrent change of another rule of the owner.
const ATTEMPTS: usize = 5;
const CHANGED_CONCURRENTLY: &str = "the alert rules are being modified concurrently; retry";

/// Manages the alert rules of fleets and of the operator.
///
/// Nothing depends on the vehicles that a rule names: a rule about a vehicle that the owner may not see, or that does not exist, is
/// stored like any other, and raises nothing.
pub struct AlertRuleManagement<Ports: PortSet> {
    /// The rules.
    pub rules: Ports::AlertRules,
    /// The fleets.
    pub fleets: Ports::Fleets,
    /// The clock.
    pub clock: Ports::Clock,
    /// The source of ids.
    pub randomness: Ports::Randomness,
}

impl<Ports: PortSet> AlertRuleManagement<Ports> {
    /// Creates a rule in version 1. Fails with `Invalid` for every mistake, and with `Conflict` beyond the limits of the owner, or if
    /// the fleet is being offboarded.
    pub async fn create(&self, manager: &RuleManager, settings: &RuleSettings) -> Result<AlertRuleRecord, ServiceError> {
        let now = self.clock.now();
        let rule = AlertRuleRecord {
            owner: manager.owner().clone(),
            rule_id: RuleId::from_random_bits(self.randomness.bits()),
            version: 1,
            enabled: settings.enabled,
            active_from: now,
            created_at: now,
            updated_at: now,
            definition: settings.definition()?,
        };
        let change = Change::alert_rule_changed(manager.author(), None, &rule);
        for _ in 0..ATTEMPTS {
            self.check_active(manager.owner()).await?;
            let (owner_version, others) = self.rules_at_version(manager.owner()).await?;
            // A response may have been lost.
            if others.contains(&rule) {
                return Ok(rule);
            }
            check_limits(&rule, &settings.rule, &others)?;
            if is_stored(self.rules.create(&rule, owner_version, &change).await)? {
                return Ok(rule);
            }
        }
        Err(ServiceError::Conflict(CHANGED_CONCURRENTLY))
    }

    /// Returns a rule.
    pub async fn get(&self, manager: &RuleManager, rule_id: &RuleId) -> Result<AlertRuleRecord, ServiceError> {
        self.rules.get(manager.owner(), rule_id).await?.ok_or(ServiceError::NotFound)
    }

    /// Returns all rules of the owner, by id.
    pub async fn list(&self, manager: &RuleManager) -> Result<Vec<AlertRuleRecord>, ServiceError> {
        self.check_exists(manager.owner()).await?;
        Ok(self.rules.list(manager.owner()).await?)
    }

    /// Replaces a rule by a new version, which raises nothing before now. What does not change the rule makes no version. Fails with
    /// `Stale` unless the version satisfies `condition`.
    pub async fn replace(
        &self,
        manager: &RuleManager,
        rule_id: &RuleId,
        settings: &RuleSettings,
        condition: impl Into<VersionCondition> + Send,
    ) -> Result<AlertRuleRecord, ServiceError> {
        let (condition, definition) = (condition.into(), settings.definition()?);
        for _ in 0..ATTEMPTS {
            let (owner_version, mut others) = self.rules_at_version(manager.owner()).await?;
            let index = others.iter().position(|rule| rule.rule_id == *rule_id).ok_or(ServiceError::NotFound)?;
            let before = others.swap_remove(index);
            if !condition.allows(before.version) {
                return Err(ServiceError::Stale);
            }
            if (before.enabled, &before.definition) == (settings.enabled, &definition) {
                return Ok(before);
            }
            let now = self.clock.now();
            let after = AlertRuleRecord {
                version: before.version.saturating_add(1),
                enabled: settings.enabled,
                active_from: now,
                updated_at: now,
                definition: definition.clone(),
                ..before.clone()
            };
            check_limits(&after, &settings.rule, &others)?;
            let change = Change::alert_rule_changed(manager.author(), Some(&before), &after);
            if is_stored(self.rules.replace(&after, owner_version, &change).await)? {
                return Ok(after);
            }
        }
        Err(ServiceError::Conflict(CHANGED_CONCURRENTLY))
    }

    /// Deletes a rule: it raises nothing more. Fails with `Stale` unless its version satisfies `condition`.
    pub async fn remove(
        &self,
        manager: &RuleManager,
        rule_id: &RuleId,
        condition: impl Into<VersionCondition> + Send,
    ) -> Result<(), ServiceError> {
        let condition = condition.into();
        for _ in 0..ATTEMPTS {
            let rule = self.get(manager, rule_id).await?;
            if !condition.allows(rule.version) {
                return Err(ServiceError::Stale);
            }
            let change = Change::alert_rule_removed(manager.author(), &rule, self.clock.now());
            if is_stored(self.rules.remove(&rule, &change).await)? {
                return Ok(());
            }
        }
        Err(ServiceError::Conflict(CHANGED_CONCURRENTLY))
    }

    /// Returns changes of the operator's rules before `before`, newest first.
    pub async fn operator_changes(
        &self,
        _admin: &Admin,
        before: Option<ChangeId>,
        limit: usize,
    ) -> Result<Vec<Change>, ServiceError> {
        Ok(self.rules.operator_changes(before, limit).await?)
    }

    /// Returns the rules of an owner, with a version that is not newer than they are.
    async fn rules_at_version(&self, owner: &RuleOwner) -> Result<(u64, Vec<AlertRuleRecord>), ServiceError> {
        let version = self.rules.owner_version(owner).await?;
        Ok((version, self.rules.list(owner).await?))
    }

    async fn check_exists(&self, owner: &RuleOwner) -> Result<(), ServiceError> {
        if let Some(fleet_id) = owner.fleet_id() {
            self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        }
        Ok(())
    }

    async fn check_active(&self, owner: &RuleOwner) -> Result<(), ServiceError> {
        let Some(fleet_id) = owner.fleet_id() else { return Ok(()) };
        let fleet = self.fleets.get(fleet_id).await?.ok_or(ServiceError::NotFound)?;
        if fleet.state == FleetState::Active { Ok(()) } else { Err(ServiceError::Conflict("the fleet is being offboarded")) }
    }
}

/// Whether a write succeeded; not if it conflicted with another one.
fn is_stored(result: Result<(), PortError>) -> Result<bool, ServiceError> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == PortErrorKind::Conflict => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
