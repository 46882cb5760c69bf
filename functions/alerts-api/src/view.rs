//! Alert rules and back-tests as the API shows them.

use roadcast_domain::Timestamp;
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_domain::back_test::{BackTest, BackTestAlert, BackTestState};
use roadcast_domain::ids::{BackTestId, FleetId, RuleId};
use roadcast_lambda_kit::problem::Problem;
use roadcast_services::alerts::back_tests::BackTestResult;
use serde::Serialize;
use serde_json::Value;

/// What a rule has beside its definition.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleHead<'r> {
    rule_id: &'r RuleId,
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet_id: Option<&'r FleetId>,
    version: u64,
    enabled: bool,
    active_from: Timestamp,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// Returns a rule as JSON: its head, and the members of its definition, which is JSON already.
pub(crate) fn rule_json(rule: &AlertRuleRecord) -> Result<String, Problem> {
    let head = RuleHead {
        rule_id: &rule.rule_id,
        fleet_id: rule.owner.fleet_id(),
        version: rule.version,
        enabled: rule.enabled,
        active_from: rule.active_from,
        created_at: rule.created_at,
        updated_at: rule.updated_at,
    };
    let head = serde_json::to_string(&head).map_err(Problem::internal)?;
    let members = rule.definition.strip_prefix('{').ok_or_else(|| Problem::internal("a stored rule is not an object"))?;
    Ok(format!("{},{members}", head.trim_end_matches('}')))
}

/// Returns a list of rules as JSON.
pub(crate) fn list_json(rules: &[AlertRuleRecord]) -> Result<String, Problem> {
    let items = rules.iter().map(rule_json).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("{{\"items\":[{}]}}", items.join(",")))
}

/// A back-test without its alerts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackTestView<'b> {
    back_test_id: &'b BackTestId,
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet_id: Option<&'b FleetId>,
    state: BackTestState,
    rule_id: &'b RuleId,
    rule_version: u64,
    rule_name: String,
    from: Timestamp,
    until: Timestamp,
    progress: ProgressView,
    created_at: Timestamp,
    updated_at: Timestamp,
    expires_at: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProgressView {
    vehicles: usize,
    of_vehicles: usize,
}

impl<'b> BackTestView<'b> {
    pub(crate) fn new(back_test: &'b BackTest) -> Result<Self, Problem> {
        let definition: Value = serde_json::from_str(&back_test.definition).map_err(Problem::internal)?;
        Ok(Self {
            back_test_id: &back_test.back_test_id,
            fleet_id: back_test.owner.fleet_id(),
            state: back_test.state,
            rule_id: &back_test.rule_id,
            rule_version: back_test.version,
            rule_name: definition["name"].as_str().unwrap_or_default().to_owned(),
            from: back_test.from,
            until: back_test.until,
            progress: ProgressView { vehicles: back_test.progress.vehicles, of_vehicles: back_test.vehicles.len() },
            created_at: back_test.created_at,
            updated_at: back_test.updated_at,
            expires_at: back_test.expires_at(),
        })
    }
}

/// A back-test with the alerts that the caller may see.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResultView<'b> {
    #[serde(flatten)]
    back_test: BackTestView<'b>,
    raised: usize,
    truncated: bool,
    alerts: &'b [BackTestAlert],
}

impl<'b> ResultView<'b> {
    pub(crate) fn new(result: &'b BackTestResult) -> Result<Self, Problem> {
        Ok(Self {
            back_test: BackTestView::new(&result.back_test)?,
            raised: result.raised,
            truncated: result.is_truncated,
            alerts: &result.alerts,
        })
    }
}
