//! Endpoints and attempts as text for people.

use std::fmt::Write as _;

use serde_json::Value;

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}

fn items(page: &Value) -> impl Iterator<Item = &Value> {
    page["items"].as_array().into_iter().flatten()
}

/// Joins the texts of a list; `all` if it is empty.
fn joined(list: &Value, all: &str) -> String {
    let texts: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if texts.is_empty() { all.to_owned() } else { texts.join(" ") }
}

/// An endpoint in one line.
pub(super) fn line(endpoint: &Value) -> String {
    let state = match &endpoint["disabled"] {
        Value::Null => text(endpoint, "state").to_owned(),
        disabled => format!("disabled ({}, {})", text(disabled, "reason"), text(disabled, "at")),
    };
    let types = joined(&endpoint["eventTypes"], "all types");
    format!("{}  {state}  {}  {types}", text(endpoint, "endpointId"), text(endpoint, "url"))
}

/// The endpoints of a fleet.
pub(super) fn list(list: &Value) -> String {
    let lines: Vec<String> = items(list).map(line).collect();
    if lines.is_empty() { "no endpoints".to_owned() } else { lines.join("\n") }
}

/// A new endpoint with its secret.
pub(super) fn created(endpoint: &Value) -> String {
    format!(
        "{}\nsigning secret, shown once: {}\nSend a test event:\n  cargo roadcast endpoints --fleet {} test {}",
        line(endpoint),
        text(endpoint, "secret"),
        text(endpoint, "fleetId"),
        text(endpoint, "endpointId"),
    )
}

/// A new secret.
pub(super) fn rotated(rotated: &Value) -> String {
    let expiry = match rotated["secrets"][1]["expiresAt"].as_str() {
        Some(end) => format!("Requests also have a signature of the earlier secret until {end}."),
        None => "Earlier secrets are no longer used.".to_owned(),
    };
    format!("signing secret, shown once: {}\n{expiry}", text(rotated, "secret"))
}

/// An endpoint with its health and its schedule.
pub(super) fn details(endpoint: &Value) -> String {
    let health = &endpoint["health"];
    let mut lines = line(endpoint);
    let mut add = |name: &str, value: &str| {
        let _ = write!(lines, "\n{name:<12}{value}");
    };
    if let Some(description) = endpoint["description"].as_str() {
        add("description", description);
    }
    add("packages", &joined(&endpoint["packages"], "all that the fleet is entitled to"));
    add("headers", &joined(&endpoint["headerNames"], "none"));
    add("order", text(endpoint, "order"));
    let limit = endpoint["rateLimit"].as_u64().map_or_else(|| "none".to_owned(), |limit| format!("{limit} attempts/s"));
    add("rate limit", &limit);
    let secrets = endpoint["secrets"].as_array().map_or(0, Vec::len);
    let until = endpoint["secrets"][1]["expiresAt"].as_str().map(|end| format!("; the older one expires {end}"));
    add("secrets", &format!("{secrets}{}", until.unwrap_or_default()));
    let circuit = match health["openUntil"].as_str() {
        Some(until) if health["circuit"] == "open" => format!("open until {until}: deliveries wait"),
        _ => text(health, "circuit").to_owned(),
    };
    add("circuit", &circuit);
    let failing = match (health["failingSince"].as_str(), health["disabledFrom"].as_str()) {
        (Some(since), Some(end)) => {
            format!("{} since {since}; without a success, it is disabled {end}", health["consecutiveFailures"])
        }
        _ => "0".to_owned(),
    };
    add("failures", &failing);
    let times = endpoint["attemptTimes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let times: Vec<String> = times.enumerate().map(|(n, at)| format!("\n{:>4}  {at}", n + 1)).collect();
    let _ = write!(lines, "\nattempts of an event that fails from now on (each delay ±20 %):{}", times.concat());
    lines
}

/// A page of attempts, newest first.
pub(super) fn attempts(page: &Value) -> String {
    let lines: Vec<String> = items(page).map(attempt).collect();
    if lines.is_empty() { "no attempts".to_owned() } else { lines.join("\n") }
}

/// An attempt: a line, and the start of the response if it failed.
pub(super) fn attempt(attempt: &Value) -> String {
    let status = attempt["status"].as_u64().map_or_else(|| "-".to_owned(), |status| status.to_string());
    let mut line = format!(
        "{}  #{}  {}  {status}  {} ms  {}  {}  {}",
        text(attempt, "at"),
        attempt["number"],
        text(attempt, "outcome"),
        attempt["latencyMs"],
        text(attempt, "eventType"),
        attempt["vid"].as_str().unwrap_or("-"),
        text(attempt, "deliveryId"),
    );
    if let Some(next) = attempt["nextAttemptAt"].as_str() {
        let _ = write!(line, "  next {next}");
    }
    if attempt["outcome"] != "delivered"
        && let Some(excerpt) = attempt["excerpt"].as_str().filter(|excerpt| !excerpt.is_empty())
    {
        let _ = write!(line, "\n    {excerpt}");
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn details_show_health_and_schedule() {
        let endpoint = json!({"endpointId": "end_1", "url": "https://a.example/", "state": "active", "eventTypes": [],
            "packages": [], "headerNames": ["Authorization"], "order": "none", "rateLimit": 5,
            "secrets": [{"createdAt": "t"}, {"createdAt": "t", "expiresAt": "tomorrow"}],
            "health": {"circuit": "open", "openUntil": "soon", "consecutiveFailures": 7, "failingSince": "then",
                "disabledFrom": "later", "slow": false},
            "attemptTimes": ["t1", "t2"]});
        let expected = "end_1  active  https://a.example/  all types\n\
            packages    all that the fleet is entitled to\nheaders     Authorization\norder       none\n\
            rate limit  5 attempts/s\nsecrets     2; the older one expires tomorrow\n\
            circuit     open until soon: deliveries wait\nfailures    7 since then; without a success, it is disabled later\n\
            attempts of an event that fails from now on (each delay ±20 %):\n   1  t1\n   2  t2";
        assert_eq!(details(&endpoint), expected);
    }

    #[test]
    fn failed_attempt_shows_the_response() {
        let failed = json!({"at": "t", "number": 1, "outcome": "errorStatus", "status": 500, "latencyMs": 61,
            "eventType": "roadcast.diagnostic.v1", "vid": "veh_1", "deliveryId": "01", "excerpt": "locked",
            "nextAttemptAt": "soon"});
        let expected = "t  #1  errorStatus  500  61 ms  roadcast.diagnostic.v1  veh_1  01  next soon\n    locked";
        assert_eq!(attempts(&json!({ "items": [failed] })), expected);
        assert_eq!(attempts(&json!({ "items": [] })), "no attempts");
    }

    #[test]
    fn disabled_endpoint_states_why() {
        let endpoint = json!({"endpointId": "end_1", "url": "u", "state": "disabled", "eventTypes": ["a", "b"],
            "disabled": {"reason": "gone", "at": "t"}});
        assert_eq!(list(&json!({ "items": [endpoint] })), "end_1  disabled (gone, t)  u  a b");
    }
}
