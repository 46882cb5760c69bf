//! Alert rules, in `reference`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::alert::RuleOwner;
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_domain::audit::Change;
use roadcast_domain::ids::{ChangeId, RuleId};
use roadcast_ports::alerts::AlertRules;
use roadcast_ports::{PortError, PortErrorKind};

use crate::dynamodb::attributes::{OFFBOARDING, VERSION};
use crate::dynamodb::item::{self, Item};
use crate::dynamodb::keys::{Key, KeyRange};
use crate::dynamodb::transaction::{Condition, Transaction};

const CREATE: &str = "creating an alert rule";
const READ: &str = "reading alert rules";
const REPLACE: &str = "replacing an alert rule";
const REMOVE: &str = "removing an alert rule";

/// Alert rules in `DynamoDB`: one item each, in a partition for each owner. All reads are strongly consistent.
#[derive(Clone, Debug)]
pub struct DynamoAlertRules {
    client: Client,
    table: String,
}

impl DynamoAlertRules {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }

    /// Adds a rule to a new transaction, whose stored version must be the one before, and the next version of its owner.
    fn put(&self, rule: &AlertRuleRecord, owner_version: u64, context: &'static str) -> Result<Transaction, PortError> {
        let key = Key::alert_rule(&rule.owner, &rule.rule_id);
        let mut item = item::with_record(&key, rule, context)?;
        item.insert(VERSION.to_owned(), number(rule.version));
        let owner_key = Key::alert_rules_version_of(&rule.owner);
        let mut owner_item = owner_key.attributes();
        owner_item.insert(VERSION.to_owned(), number(owner_version.saturating_add(1)));
        Transaction::new(&self.client, context)
            .put(&self.table, item, &key, Condition::at_version(rule.version.saturating_sub(1)))?
            .put(&self.table, owner_item, &owner_key, Condition::at_version(owner_version))?
            .increment(&self.table, &Key::alert_rules_version(), VERSION, Item::new())
    }

    async fn counter(&self, key: &Key) -> Result<u64, PortError> {
        let Some(item) = item::get(&self.client, &self.table, key, READ).await? else { return Ok(0) };
        let version = item::number(&item, VERSION).map_err(|error| error.into_port_error(READ))?;
        Ok(version.unwrap_or_default())
    }
}

fn number(version: u64) -> AttributeValue {
    AttributeValue::N(version.to_string())
}

impl AlertRules for DynamoAlertRules {
    async fn create(&self, rule: &AlertRuleRecord, owner_version: u64, change: &Change) -> Result<(), PortError> {
        let mut transaction = self.put(rule, owner_version, CREATE)?;
        if let RuleOwner::Fleet(fleet_id) = &rule.owner {
            let is_active = Condition::AttributeAbsent(OFFBOARDING);
            transaction = transaction.check(&self.table, &Key::fleet(fleet_id), is_active)?;
        }
        transaction.record_change(&self.table, change)?.commit().await
    }

    async fn get(&self, owner: &RuleOwner, rule_id: &RuleId) -> Result<Option<AlertRuleRecord>, PortError> {
        let item = item::get(&self.client, &self.table, &Key::alert_rule(owner, rule_id), READ).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))
    }

    async fn list(&self, owner: &RuleOwner) -> Result<Vec<AlertRuleRecord>, PortError> {
        let range = KeyRange::alert_rules(owner);
        item::records(&self.client, &self.table, &range, AlertRuleRecord::MAX_PER_OWNER, READ).await
    }

    async fn replace(&self, rule: &AlertRuleRecord, owner_version: u64, change: &Change) -> Result<(), PortError> {
        if rule.version < 2 {
            return Err(PortError::new(PortErrorKind::Conflict, REPLACE));
        }
        self.put(rule, owner_version, REPLACE)?.record_change(&self.table, change)?.commit().await
    }

    async fn remove(&self, rule: &AlertRuleRecord, change: &Change) -> Result<(), PortError> {
        let key = Key::alert_rule(&rule.owner, &rule.rule_id);
        Transaction::new(&self.client, REMOVE)
            .delete(&self.table, &key, Condition::at_version(rule.version))?
            .increment(&self.table, &Key::alert_rules_version_of(&rule.owner), VERSION, Item::new())?
            .increment(&self.table, &Key::alert_rules_version(), VERSION, Item::new())?
            .record_change(&self.table, change)?
            .commit()
            .await
    }

    async fn version(&self) -> Result<u64, PortError> {
        self.counter(&Key::alert_rules_version()).await
    }

    async fn owner_version(&self, owner: &RuleOwner) -> Result<u64, PortError> {
        self.counter(&Key::alert_rules_version_of(owner)).await
    }

    async fn operator_changes(&self, before: Option<ChangeId>, limit: usize) -> Result<Vec<Change>, PortError> {
        item::records(&self.client, &self.table, &KeyRange::operator_changes(before), limit, READ).await
    }
}
