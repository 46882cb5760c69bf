//! Checks of the API: its token, its health, and what failed in the last day.

use reqwest::Method;
use serde_json::Value;

use super::Check;
use crate::api::{Api, percent_encoded};
use crate::stack::Stack;
use crate::time_argument::PointInTime;

/// The maximum number of dead letters that are counted.
const COUNTED_LETTERS: usize = 1000;

/// Checks the API in the order in which a caller meets faults. Ends at the first one, because the others have the same cause.
pub(super) async fn check(stack: &Stack, checks: &mut Vec<Check>) {
    let admin = match stack.admin().await {
        Ok(admin) => admin,
        Err(error) => return checks.push(Check::failed("admin client", &error)),
    };
    match admin.token().await {
        Ok(_) => checks.push(Check::ok("token", format!("of the client {}", admin.client_id()))),
        Err(error) => return checks.push(Check::failed("token", &error)),
    }
    match admin.json::<Value>(Method::GET, "/health", None).await {
        Ok(_) => checks.push(Check::ok("API", stack.api_url().unwrap_or_default())),
        Err(error) => return checks.push(Check::failed("API", &error)),
    }
    match admin.first("/fleets?limit=1", 1).await {
        Ok(_) => checks.push(Check::ok("admin", "may list fleets")),
        Err(error) => return checks.push(Check::failed("admin", &error)),
    }
    checks.push(dead_letters(&admin).await);
}

/// What failed in the last day and was not sent again. Quarantined data is a matter of its senders.
async fn dead_letters(admin: &Api) -> Check {
    let since = "24h".parse::<PointInTime>().map(|since| percent_encoded(&since.to_string())).unwrap_or_default();
    let path = format!("/dead-letters?limit=100&state=kept&since={since}");
    match admin.first(&path, COUNTED_LETTERS).await {
        Ok(listing) => match listing.items.iter().filter(|letter| letter["hop"] != "quarantine").count() {
            0 => Check::ok("dead letters", "none in the last 24 hours"),
            count => Check::uncertain(
                "dead letters",
                format!("{count} in the last 24 hours"),
                "`dead-letters list --since 1d --state kept` lists them; docs/dead-letters.md describes what to do",
            ),
        },
        Err(error) => Check::failed("dead letters", &error),
    }
}
