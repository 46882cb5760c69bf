//! Keys of alert rules and back-tests in `reference`. The layout is in the documentation of the module `reference`.

use roadcast_domain::alert::RuleOwner;
use roadcast_domain::ids::{BackTestId, ChangeId, FleetId, RuleId};

use super::{Key, KeyRange};

const ALERT_RULES: &str = "alertRules";
const OPERATOR: &str = "operator";
const OPERATOR_AUDIT: &str = "operatorAudit";

impl Key {
    /// An alert rule, in a partition for each owner.
    pub fn alert_rule(owner: &RuleOwner, rule_id: &RuleId) -> Self {
        Self::reference(alert_rule_partition(owner), rule_id.as_str())
    }

    /// The counter of changes to the alert rules of an owner.
    pub fn alert_rules_version_of(owner: &RuleOwner) -> Self {
        Self::reference(alert_rule_partition(owner), "version")
    }

    /// The counter of changes to all alert rules.
    pub fn alert_rules_version() -> Self {
        Self::reference(ALERT_RULES, "version")
    }

    /// A back-test, in a partition for each owner.
    pub fn back_test(owner: &RuleOwner, back_test_id: &BackTestId) -> Self {
        Self::reference(back_test_partition(owner), back_test_id.as_str())
    }

    /// A page of the alerts of a back-test.
    pub fn back_test_alerts(back_test_id: &BackTestId, page: &str) -> Self {
        Self::reference(alerts_partition(back_test_id), page)
    }

    /// An audit record of a rule of the operator.
    pub fn operator_change(change_id: ChangeId) -> Self {
        Self::reference(OPERATOR_AUDIT, format!("audit#{change_id}"))
    }
}

impl KeyRange {
    /// The alert rules of an owner.
    pub fn alert_rules(owner: &RuleOwner) -> Self {
        Self::reference(alert_rule_partition(owner), "rul_".to_owned())
    }

    /// The back-tests of an owner.
    pub fn back_tests(owner: &RuleOwner) -> Self {
        Self::reference(back_test_partition(owner), "bkt_".to_owned())
    }

    /// The pages of the alerts of a back-test with these names and those between them.
    pub fn back_test_alerts(back_test_id: &BackTestId, first: &str, last: &str) -> Self {
        let range = Self::reference(alerts_partition(back_test_id), String::new());
        Self { from: first.to_owned(), to: last.to_owned(), ..range }
    }

    /// The audit records of the operator's rules before `before`, newest first.
    pub fn operator_changes(before: Option<ChangeId>) -> Self {
        Self::audit_records(OPERATOR_AUDIT.to_owned(), before)
    }
}

fn alert_rule_partition(owner: &RuleOwner) -> String {
    format!("{ALERT_RULES}#{}", owner.fleet_id().map_or(OPERATOR, FleetId::as_str))
}

fn back_test_partition(owner: &RuleOwner) -> String {
    format!("backTests#{}", owner.fleet_id().map_or(OPERATOR, FleetId::as_str))
}

fn alerts_partition(back_test_id: &BackTestId) -> String {
    format!("backTest#{back_test_id}")
}
