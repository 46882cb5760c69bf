//! Checks of quotas of the account, with the numbers of docs/operations/quotas.md.

use anyhow::Context as _;
use serde_json::Value;

use super::Check;
use crate::stack::Stack;

/// The concurrent executions of an account that is not new.
const CONCURRENT_EXECUTIONS: i32 = 1000;
/// The app clients of a user pool, and the number of them from which to act.
const APP_CLIENTS: usize = 1000;
const APP_CLIENTS_TO_RAISE: usize = 800;

pub(super) async fn check(stack: &Stack, checks: &mut Vec<Check>) {
    checks.push(concurrency(stack).await);
    checks.extend(app_clients(stack).await);
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

/// The credentials of all clients, each of which is an app client of the user pool. None if they cannot be listed, which is a fault
/// of the API that is reported already.
async fn app_clients(stack: &Stack) -> Option<Check> {
    let clients: Vec<Value> = stack.admin().await.ok()?.pages("/clients").await.ok()?;
    let credentials = clients.iter().map(|client| client["credentials"].as_array().map_or(1, Vec::len)).sum();
    Some(of_app_clients(credentials))
}

fn of_app_clients(count: usize) -> Check {
    let found = format!("{count} of {APP_CLIENTS} app clients of the user pool, if the quota is the default");
    if count < APP_CLIENTS_TO_RAISE {
        Check::ok("quota of Cognito", found)
    } else {
        Check::uncertain(
            "quota of Cognito",
            found,
            "raise \"App clients per user pool\" in Service Quotas, or delete unused clients",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn app_clients_are_reported_before_the_quota_is_reached() {
        assert_eq!(of_app_clients(799).state, State::Ok);
        assert_eq!(of_app_clients(800).state, State::Check);
    }
}
