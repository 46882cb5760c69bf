//! The HTTP API of alert rules and back-tests: those of fleets, and those of the operator.

mod view;

use http::StatusCode;
use http::header::{ETAG, LOCATION};
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_domain::ids::{BackTestId, ChangeId, FleetId, RuleId};
use roadcast_lambda_kit::http::query::{integer, text};
use roadcast_lambda_kit::http::{
    Api, ApiRequest as _, ApiResponse as _, Call, Operation, Page, Request, Response, parameters, response, serve,
};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::port_set::PortSet;
use roadcast_services::VersionCondition;
use roadcast_services::alerts::back_tests::{BackTestManagement, BackTestRequest};
use roadcast_services::alerts::rules::{AlertRuleManagement, RuleSettings};
use roadcast_services::authz::{Admin, Manager, RuleManager};
use roadcast_services::response_budget::take_fitting;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::view::{BackTestView, ResultView, list_json, rule_json};

const RULES: &str = "/fleets/{fleetId}/alert-rules";
const RULE: &str = "/fleets/{fleetId}/alert-rules/{ruleId}";
const TEST: &str = "/fleets/{fleetId}/alert-rules/test";
const BACK_TESTS: &str = "/fleets/{fleetId}/back-tests";
const BACK_TEST: &str = "/fleets/{fleetId}/back-tests/{backTestId}";
const OPERATOR_RULES: &str = "/alert-rules";
const OPERATOR_RULE: &str = "/alert-rules/{ruleId}";
const OPERATOR_TEST: &str = "/alert-rules/test";
const OPERATOR_AUDIT: &str = "/alert-rules/audit";
const OPERATOR_BACK_TESTS: &str = "/back-tests";
const OPERATOR_BACK_TEST: &str = "/back-tests/{backTestId}";

/// The HTTP API of alert rules and back-tests.
pub struct AlertsApi<Ports: PortSet> {
    /// Manages rules.
    pub rules: AlertRuleManagement<Ports>,
    /// Manages back-tests.
    pub back_tests: BackTestManagement<Ports>,
}

parameters! {
    /// The query of the list of changes.
    struct ListChanges {
        limit: usize = "limit" => integer(1..=100, 50),
        cursor: Option<String> = "cursor" => text,
    }
}

impl<Ports: PortSet> Api for AlertsApi<Ports> {
    const OPERATIONS: &'static [Operation<Self>] = &[
        Operation::new("GET", RULES, serve!(list)),
        Operation::new("POST", RULES, serve!(create)).with_idempotency_key(),
        Operation::new("GET", RULE, serve!(get)),
        Operation::new("PUT", RULE, serve!(replace)),
        Operation::new("DELETE", RULE, serve!(delete)),
        Operation::new("POST", TEST, serve!(start_test)).with_idempotency_key(),
        Operation::new("GET", BACK_TESTS, serve!(list_back_tests)),
        Operation::new("GET", BACK_TEST, serve!(get_back_test)),
        Operation::new("DELETE", BACK_TEST, serve!(cancel_back_test)),
        Operation::new("GET", OPERATOR_RULES, serve!(list_of_operator)),
        Operation::new("POST", OPERATOR_RULES, serve!(create_of_operator)).with_idempotency_key(),
        Operation::new("GET", OPERATOR_RULE, serve!(get_of_operator)),
        Operation::new("PUT", OPERATOR_RULE, serve!(replace_of_operator)),
        Operation::new("DELETE", OPERATOR_RULE, serve!(delete_of_operator)),
        Operation::new("GET", OPERATOR_AUDIT, serve!(list_changes)),
        Operation::new("POST", OPERATOR_TEST, serve!(start_test_of_operator)).with_idempotency_key(),
        Operation::new("GET", OPERATOR_BACK_TESTS, serve!(list_back_tests_of_operator)),
        Operation::new("GET", OPERATOR_BACK_TEST, serve!(get_back_test_of_operator)),
        Operation::new("DELETE", OPERATOR_BACK_TEST, serve!(cancel_back_test_of_operator)),
    ];
}

/// The operations on the rules of a fleet. Those of the operator differ only in the caller.
impl<Ports: PortSet> AlertsApi<Ports> {
    async fn list(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        self.list_rules(&of_fleet(caller, request)?).await
    }

    async fn create(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        self.create_rule(&of_fleet(caller, request)?, request).await
    }

    async fn get(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        self.get_rule(&of_fleet(caller, request)?, request).await
    }

    async fn replace(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        self.replace_rule(&of_fleet(caller, request)?, request).await
    }

    async fn delete(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        self.delete_rule(&of_fleet(caller, request)?, request).await
    }

    async fn start_test(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        self.start_back_test(&of_fleet(caller, request)?, request).await
    }

    async fn list_back_tests(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        self.back_tests_of(&of_fleet(caller, request)?).await
    }

    async fn get_back_test(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        self.back_test_of(&of_fleet(caller, request)?, request).await
    }

    async fn cancel_back_test(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        self.cancel_back_test_of(&of_fleet(caller, request)?, request).await
    }
}

/// The operations on the rules of the operator.
impl<Ports: PortSet> AlertsApi<Ports> {
    async fn list_of_operator(&self, Call { caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        self.list_rules(&caller.into()).await
    }

    async fn create_of_operator(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        self.create_rule(&caller.into(), request).await
    }

    async fn get_of_operator(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        self.get_rule(&caller.into(), request).await
    }

    async fn replace_of_operator(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        self.replace_rule(&caller.into(), request).await
    }

    async fn delete_of_operator(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        self.delete_rule(&caller.into(), request).await
    }

    async fn list_changes(
        &self,
        Call { query, request, caller }: Call<'_, ListChanges, Admin>,
    ) -> Result<Response, Problem> {
        let page = Page::new(request, &caller, query.cursor);
        let before = page.start::<ChangeId>().await?;
        let mut changes = self.rules.operator_changes(&caller, before, query.limit).await?;
        let found = changes.len();
        changes.truncate(take_fitting(changes.iter()).len());
        let is_last_page = found < query.limit && changes.len() == found;
        let next = changes.last().filter(|_| !is_last_page).map(|change| change.change_id);
        page.json_response(json!({ "items": changes }), next.as_ref()).await
    }

    async fn start_test_of_operator(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        self.start_back_test(&caller.into(), request).await
    }

    async fn list_back_tests_of_operator(&self, Call { caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        self.back_tests_of(&caller.into()).await
    }

    async fn get_back_test_of_operator(
        &self,
        Call { request, caller, .. }: Call<'_, (), Admin>,
    ) -> Result<Response, Problem> {
        self.back_test_of(&caller.into(), request).await
    }

    async fn cancel_back_test_of_operator(
        &self,
        Call { request, caller, .. }: Call<'_, (), Admin>,
    ) -> Result<Response, Problem> {
        self.cancel_back_test_of(&caller.into(), request).await
    }
}

impl<Ports: PortSet> AlertsApi<Ports> {
    async fn list_rules(&self, manager: &RuleManager) -> Result<Response, Problem> {
        Ok(response::text("application/json", list_json(&self.rules.list(manager).await?)?))
    }

    async fn create_rule(&self, manager: &RuleManager, request: &Request) -> Result<Response, Problem> {
        let rule = self.rules.create(manager, &RuleSettings::parse(json_text(request)?)?).await?;
        // Relative, because the stage may add a path prefix.
        let location = format!("alert-rules/{}", rule.rule_id);
        let mut response = rule_response(&rule)?.with_header(LOCATION, location)?;
        *response.status_mut() = StatusCode::CREATED;
        Ok(response)
    }

    async fn get_rule(&self, manager: &RuleManager, request: &Request) -> Result<Response, Problem> {
        rule_response(&self.rules.get(manager, &rule_id(request)?).await?)
    }

    async fn replace_rule(&self, manager: &RuleManager, request: &Request) -> Result<Response, Problem> {
        let (rule_id, condition) = (rule_id(request)?, required_condition(request)?);
        let settings = RuleSettings::parse(json_text(request)?)?;
        rule_response(&self.rules.replace(manager, &rule_id, &settings, condition).await?)
    }

    async fn delete_rule(&self, manager: &RuleManager, request: &Request) -> Result<Response, Problem> {
        self.rules.remove(manager, &rule_id(request)?, required_condition(request)?).await?;
        Ok(response::no_content())
    }

    async fn start_back_test(&self, manager: &RuleManager, request: &Request) -> Result<Response, Problem> {
        let started = self.back_tests.start(manager, BackTestRequest::parse(json_text(request)?)?).await?;
        let location = format!("../back-tests/{}", started.back_test_id);
        response::json(StatusCode::ACCEPTED, &BackTestView::new(&started)?)?.with_header(LOCATION, location)
    }

    async fn back_tests_of(&self, manager: &RuleManager) -> Result<Response, Problem> {
        let back_tests = self.back_tests.list(manager).await?;
        let items = back_tests.iter().map(BackTestView::new).collect::<Result<Vec<_>, _>>()?;
        response::ok(&json!({ "items": items }))
    }

    async fn back_test_of(&self, manager: &RuleManager, request: &Request) -> Result<Response, Problem> {
        let found = self.back_tests.get(manager, &back_test_id(request)?).await?;
        response::ok(&ResultView::new(&found)?)
    }

    async fn cancel_back_test_of(&self, manager: &RuleManager, request: &Request) -> Result<Response, Problem> {
        self.back_tests.remove(manager, &back_test_id(request)?).await?;
        Ok(response::no_content())
    }
}

/// Returns the proof that the caller may manage the rules of the fleet in the path.
fn of_fleet(caller: Manager, request: &Request) -> Result<RuleManager, Problem> {
    let fleet_id: FleetId = request.path_parameter("fleetId")?;
    Ok(caller.of_fleet(&fleet_id)?.into())
}

fn rule_id(request: &Request) -> Result<RuleId, Problem> {
    request.path_parameter("ruleId")
}

fn back_test_id(request: &Request) -> Result<BackTestId, Problem> {
    request.path_parameter("backTestId")
}

/// Returns the body, which is JSON. The use case reads it, because it reports every mistake.
fn json_text(request: &Request) -> Result<&str, Problem> {
    request.json::<IgnoredAny>()?;
    request.text()
}

/// Returns the condition of a change. Fails with `precondition-required` without `If-Match`.
fn required_condition(request: &Request) -> Result<VersionCondition, Problem> {
    let condition = request.version_condition();
    if condition.requires_existence() { Ok(condition) } else { Err(Problem::precondition_required()) }
}

fn rule_response(rule: &AlertRuleRecord) -> Result<Response, Problem> {
    response::text("application/json", rule_json(rule)?).with_header(ETAG, format!("\"{}\"", rule.version))
}

#[cfg(test)]
mod tests;
