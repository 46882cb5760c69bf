//! Alert rules and back-tests.

mod back_tests;

use std::collections::BTreeMap;

use roadcast_domain::alert::RuleOwner;
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_domain::audit::Change;
use roadcast_domain::ids::{ChangeId, RuleId};
use roadcast_ports::alerts::AlertRules;
use roadcast_ports::{PortError, PortErrorKind};

use super::Memory;
use back_tests::BackTestStore;

/// What the ports of alert rules store.
#[derive(Debug, Default)]
pub(super) struct AlertStore {
    rules: BTreeMap<(RuleOwner, RuleId), AlertRuleRecord>,
    back_tests: BackTestStore,
    owner_versions: BTreeMap<RuleOwner, u64>,
    version: u64,
}

impl AlertStore {
    fn owner_version(&self, owner: &RuleOwner) -> u64 {
        self.owner_versions.get(owner).copied().unwrap_or_default()
    }

    fn raise_versions(&mut self, owner: &RuleOwner) {
        *self.owner_versions.entry(owner.clone()).or_default() += 1;
        self.version += 1;
    }

    /// Stores a rule under the condition that the stored version is `before`, 0 for none, and that the owner's version is this.
    fn put(&mut self, rule: &AlertRuleRecord, before: u64, owner_version: u64) -> Result<(), PortError> {
        let key = key(rule);
        let stored = self.rules.get(&key).map_or(0, |stored| stored.version);
        if (stored, self.owner_version(&rule.owner)) != (before, owner_version) {
            return Err(conflict());
        }
        self.rules.insert(key, rule.clone());
        self.raise_versions(&rule.owner);
        Ok(())
    }
}

fn key(rule: &AlertRuleRecord) -> (RuleOwner, RuleId) {
    (rule.owner.clone(), rule.rule_id.clone())
}

fn conflict() -> PortError {
    PortError::new(PortErrorKind::Conflict, "storing an alert rule")
}

impl AlertRules for Memory {
    async fn create(&self, rule: &AlertRuleRecord, owner_version: u64, change: &Change) -> Result<(), PortError> {
        let mut state = self.state();
        if let RuleOwner::Fleet(fleet_id) = &rule.owner {
            state.check_active(fleet_id, "creating an alert rule")?;
        }
        state.alerts.put(rule, 0, owner_version)?;
        state.record_change(change);
        Ok(())
    }

    async fn get(&self, owner: &RuleOwner, rule_id: &RuleId) -> Result<Option<AlertRuleRecord>, PortError> {
        Ok(self.state().alerts.rules.get(&(owner.clone(), rule_id.clone())).cloned())
    }

    async fn list(&self, owner: &RuleOwner) -> Result<Vec<AlertRuleRecord>, PortError> {
        let state = self.state();
        let of_owner = state.alerts.rules.values().filter(|rule| rule.owner == *owner);
        Ok(of_owner.take(AlertRuleRecord::MAX_PER_OWNER).cloned().collect())
    }

    async fn replace(&self, rule: &AlertRuleRecord, owner_version: u64, change: &Change) -> Result<(), PortError> {
        let mut state = self.state();
        let before = rule.version.checked_sub(1).filter(|before| *before > 0).ok_or_else(conflict)?;
        state.alerts.put(rule, before, owner_version)?;
        state.record_change(change);
        Ok(())
    }

    async fn remove(&self, rule: &AlertRuleRecord, change: &Change) -> Result<(), PortError> {
        let mut state = self.state();
        let stored = state.alerts.rules.get(&key(rule)).map(|stored| stored.version);
        if stored != Some(rule.version) {
            return Err(conflict());
        }
        state.alerts.rules.remove(&key(rule));
        state.alerts.raise_versions(&rule.owner);
        state.record_change(change);
        Ok(())
    }

    async fn version(&self) -> Result<u64, PortError> {
        Ok(self.state().alerts.version)
    }

    async fn owner_version(&self, owner: &RuleOwner) -> Result<u64, PortError> {
        Ok(self.state().alerts.owner_version(owner))
    }

    async fn operator_changes(&self, before: Option<ChangeId>, limit: usize) -> Result<Vec<Change>, PortError> {
        let state = self.state();
        let changes = state.changes.values().rev().filter(|change| change.is_of_operator_rule());
        let earlier = changes.filter(|change| before.is_none_or(|before| change.change_id < before));
        Ok(earlier.take(limit).cloned().collect())
    }
}
