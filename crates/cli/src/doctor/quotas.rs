//! Checks of quotas of the account against what the stack uses, as in docs/operations/quotas.md.

mod applied;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Check;
use crate::aws::{Service, SignedClient};
use crate::location::DeployedStack;
use crate::stack::{Stack, deployed};
use applied::{AppliedQuotas, QuotaName};

/// The concurrent executions of an account that is not new.
const CONCURRENT_EXECUTIONS: i32 = 1000;
/// The write units per second of a table in an account that is not new.
const TABLE_WRITE_UNITS: i64 = 40_000;
/// The pages of a list that are read.
const MAX_PAGES: usize = 20;

const EVENT_BUSES: QuotaName = QuotaName { service: "events", names: &["event buses"], default: 100 };
const RULES_PER_BUS: QuotaName = QuotaName { service: "events", names: &["number of rules", "rules"], default: 300 };
const APP_CLIENTS: QuotaName =
    QuotaName { service: "cognito-idp", names: &["app clients per user pool", "apps per user pool"], default: 1000 };

pub(super) async fn check(stack: &Stack, location: &DeployedStack, checks: &mut Vec<Check>) {
    checks.push(concurrency(stack).await);
    checks.push(shards(stack).await.unwrap_or_else(|error| unknown("quota of Kinesis", &error, "kinesis:DescribeLimits")));
    checks.push(
        write_units(stack).await.unwrap_or_else(|error| unknown("quota of DynamoDB", &error, "dynamodb:DescribeLimits")),
    );
    let client = match SignedClient::new(&stack.config) {
        Ok(client) => client,
        Err(error) => return checks.push(Check::failed("quotas", &error)),
    };
    let mut applied = AppliedQuotas::new(&client);
    checks.extend(app_clients(stack, &mut applied).await);
    checks.push(
        event_buses(&client, &mut applied)
            .await
            .unwrap_or_else(|error| unknown("quota of EventBridge", &error, "events:ListEventBuses")),
    );
    checks.push(
        rules_per_bus(stack, location, &mut applied)
            .await
            .unwrap_or_else(|error| unknown("quota of EventBridge", &error, "cloudformation:DescribeStacks")),
    );
    if let Some(error) = applied.error() {
        // The checks above compare with the defaults of AWS then.
        checks.push(unknown("Service Quotas", error, "servicequotas:ListServiceQuotas"));
    }
}

fn unknown(name: &'static str, error: &anyhow::Error, right: &str) -> Check {
    Check::unknown(name, error, right)
}

/// How much of a quota is used. It is to be raised from four fifths on, because a request can take days.
fn of_use(name: &'static str, what: &str, used: i64, quota: i64) -> Check {
    let found = format!("{used} of {quota} {what}");
    if used.saturating_mul(5) < quota.saturating_mul(4) {
        Check::ok(name, found)
    } else {
        Check::uncertain(
            name,
            found,
            "ask for a higher quota in Service Quotas, or remove what is unused: docs/operations/quotas.md",
        )
    }
}

async fn concurrency(stack: &Stack) -> Check {
    let response = aws_sdk_lambda::Client::new(&stack.config).get_account_settings().send().await;
    match response.context("cannot read the settings of Lambda") {
        Ok(settings) => {
            let limit = settings.account_limit.map_or(0, |limit| limit.concurrent_executions);
            let found = format!("{limit} concurrent executions");
            if limit >= CONCURRENT_EXECUTIONS {
                Check::ok("quota of Lambda", found)
            } else {
                let advice = "ask for 1,000 or more in Service Quotas before fleets poll: docs/operations/quotas.md";
                Check::uncertain("quota of Lambda", found, advice)
            }
        }
        Err(error) => Check::unknown("quota of Lambda", &error, "lambda:GetAccountSettings"),
    }
}

/// The shards of all streams of the account in the Region.
async fn shards(stack: &Stack) -> Result<Check> {
    let limits = aws_sdk_kinesis::Client::new(&stack.config).describe_limits().send().await;
    let limits = limits.context("cannot read the limits of Kinesis")?;
    Ok(of_use("quota of Kinesis", "shards of the Region", limits.open_shard_count.into(), limits.shard_limit.into()))
}

/// The throughput of a table. That of on-demand tables has the same quota; how much is used is known to CloudWatch only.
async fn write_units(stack: &Stack) -> Result<Check> {
    let limits = aws_sdk_dynamodb::Client::new(&stack.config).describe_limits().send().await;
    let limit = limits.context("cannot read the limits of DynamoDB")?.table_max_write_capacity_units.unwrap_or_default();
    let found = format!("{limit} write units per second and table");
    Ok(if limit >= TABLE_WRITE_UNITS {
        Check::ok("quota of DynamoDB", found)
    } else {
        let advice = "ask for 40,000 or more in Service Quotas before many vehicles send: docs/operations/quotas.md";
        Check::uncertain("quota of DynamoDB", found, advice)
    })
}

/// The credentials of all clients, each of which is an app client of the user pool. None if they cannot be listed, which is a fault
/// of the API that is reported already.
async fn app_clients(stack: &Stack, applied: &mut AppliedQuotas<'_>) -> Option<Check> {
    let clients: Vec<Value> = stack.admin().await.ok()?.pages("/clients").await.ok()?;
    let credentials = clients.iter().map(|client| client["credentials"].as_array().map_or(1, Vec::len)).sum::<usize>();
    let quota = applied.value(&APP_CLIENTS).await;
    Some(of_use("quota of Cognito", "app clients of the user pool", i64::try_from(credentials).unwrap_or(i64::MAX), quota))
}

/// The event buses of the account in the Region: the ingest bus, the delivery buses, and those of others.
async fn event_buses(client: &SignedClient, applied: &mut AppliedQuotas<'_>) -> Result<Check> {
    let (mut count, mut token) = (0_usize, Value::Null);
    for _ in 0..MAX_PAGES {
        let request = if token.is_null() { json!({}) } else { json!({ "NextToken": token }) };
        let mut page = client.call(Service::EventBridge, "AWSEvents.ListEventBuses", &request).await?;
        count += page["EventBuses"].as_array().map_or(0, Vec::len);
        token = page["NextToken"].take();
        if token.is_null() {
            break;
        }
    }
    let quota = applied.value(&EVENT_BUSES).await;
    Ok(of_use("quota of EventBridge", "event buses of the Region", i64::try_from(count).unwrap_or(i64::MAX), quota))
}

/// Whether the parameter `RulesPerBus` is within the quota: onboarding would fail on a bus that is full before.
async fn rules_per_bus(stack: &Stack, location: &DeployedStack, applied: &mut AppliedQuotas<'_>) -> Result<Check> {
    let description = deployed::describe(&stack.config, location).await?;
    let parameter = description.parameters().iter().find(|parameter| parameter.parameter_key() == Some("RulesPerBus"));
    let rules = parameter.and_then(|parameter| parameter.parameter_value()?.parse().ok()).unwrap_or(RULES_PER_BUS.default);
    Ok(of_rules(rules, applied.value(&RULES_PER_BUS).await))
}

fn of_rules(rules: i64, quota: i64) -> Check {
    let found = format!("RulesPerBus is {rules}, and a bus can hold {quota}");
    if rules <= quota {
        Check::ok("rules per bus", found)
    } else {
        let advice = "deploy with RulesPerBus at the quota, or raise the quota, before fleets fill a bus";
        Check::wrong("rules per bus", found, advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn quota_is_reported_before_it_is_reached() {
        assert_eq!(of_use("q", "things", 799, 1000), Check::ok("q", "799 of 1000 things"));
        assert_eq!(of_use("q", "things", 800, 1000).state, State::Check);
        assert_eq!(of_use("q", "things", 0, 0).state, State::Check);
        assert_eq!(of_use("q", "things", i64::MAX, i64::MAX).state, State::Check, "no overflow");
    }

    #[test]
    fn more_rules_than_a_bus_holds_are_wrong() {
        assert_eq!(of_rules(300, 300).state, State::Ok);
        assert_eq!(of_rules(300, 100).state, State::Wrong);
    }
}
