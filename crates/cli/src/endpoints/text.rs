//! Endpoints and attempts as text for people.

use serde_json::Value;

use crate::console::{Cell, Properties, Style, Table, printable};
use crate::json_text::{joined, text};

fn items(page: &Value) -> impl Iterator<Item = &Value> {
    page["items"].as_array().into_iter().flatten()
}

/// The state of an endpoint, with the reason if Roadcast disabled it.
fn state(endpoint: &Value) -> String {
    match &endpoint["disabled"] {
        Value::Null => text(endpoint, "state").to_owned(),
        disabled => format!("disabled ({}, {})", text(disabled, "reason"), text(disabled, "at")),
    }
}

/// An endpoint in one line.
pub(super) fn line(endpoint: &Value) -> String {
    let types = joined(&endpoint["eventTypes"], "all types");
    printable(&format!("{}  {}  {}  {types}", text(endpoint, "endpointId"), state(endpoint), text(endpoint, "url")))
}

/// The endpoints of a fleet.
pub(super) fn list(list: &Value) -> Table {
    let mut table = Table::new(&["endpoint", "state", "url", "event types"], "no endpoints");
    for endpoint in items(list) {
        table.row([
            Cell::text(text(endpoint, "endpointId")),
            Cell::state(state(endpoint)),
            Cell::text(text(endpoint, "url")),
            Cell::text(joined(&endpoint["eventTypes"], "all")),
        ]);
    }
    table
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
pub(super) fn details(endpoint: &Value, style: Style) -> String {
    let health = &endpoint["health"];
    let mut properties = Properties::default();
    properties.add("endpoint", Cell::text(text(endpoint, "endpointId")));
    properties.add("state", Cell::state(state(endpoint)));
    properties.add("url", Cell::text(text(endpoint, "url")));
    properties.add_some("description", endpoint["description"].as_str().map(Cell::text));
    properties.add("event types", Cell::text(joined(&endpoint["eventTypes"], "all")));
    properties.add("packages", Cell::text(joined(&endpoint["packages"], "all that the fleet is entitled to")));
    properties.add("headers", Cell::text(joined(&endpoint["headerNames"], "none")));
    properties.add("order", Cell::text(text(endpoint, "order")));
    let limit = endpoint["rateLimit"].as_u64().map_or_else(|| "none".to_owned(), |limit| format!("{limit} attempts/s"));
    properties.add("rate limit", Cell::text(limit));
    let secrets = endpoint["secrets"].as_array().map_or(0, Vec::len);
    let until = endpoint["secrets"][1]["expiresAt"].as_str().map(|end| format!("; the older one expires {end}"));
    properties.add("secrets", Cell::text(format!("{secrets}{}", until.unwrap_or_default())));
    let circuit = match health["openUntil"].as_str() {
        Some(until) if health["circuit"] == "open" => format!("open until {until}: deliveries wait"),
        _ => text(health, "circuit").to_owned(),
    };
    properties.add("circuit", Cell::state(circuit));
    let failing = match (health["failingSince"].as_str(), health["disabledFrom"].as_str()) {
        (Some(since), Some(end)) => {
            format!("{} since {since}; without a success, it is disabled {end}", health["consecutiveFailures"])
        }
        _ => "0".to_owned(),
    };
    properties.add("failures", Cell::text(failing));
    let times = endpoint["attemptTimes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let times: Vec<String> = times.enumerate().map(|(n, at)| format!("\n{:>4}  {at}", n + 1)).collect();
    format!(
        "{}\nattempts of an event that fails from now on (each delay ±20 %):{}",
        properties.render(style),
        times.concat()
    )
}

/// A page of attempts, newest first. Below a failed one is the start of the response.
pub(super) fn attempts(page: &Value) -> Table {
    let titles = ["at", "#", "outcome", "status", "ms", "event type", "vehicle", "delivery", "next"];
    let mut table = Table::new(&titles, "no attempts");
    for attempt in items(page) {
        table.row([
            Cell::time(text(attempt, "at")),
            Cell::number(&attempt["number"]),
            Cell::state(text(attempt, "outcome")),
            Cell::number(&attempt["status"].as_u64().map_or_else(|| "-".to_owned(), |status| status.to_string())),
            Cell::number(&attempt["latencyMs"]),
            Cell::text(text(attempt, "eventType")),
            Cell::text(attempt["vid"].as_str().unwrap_or("-")),
            Cell::text(text(attempt, "deliveryId")),
            Cell::time(text(attempt, "nextAttemptAt")),
        ]);
        if attempt["outcome"] != "delivered"
            && let Some(excerpt) = attempt["excerpt"].as_str().filter(|excerpt| !excerpt.is_empty())
        {
            table.note(excerpt);
        }
    }
    table
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
        let expected = "endpoint     end_1\nstate        active\nurl          https://a.example/\nevent types  all\n\
            packages     all that the fleet is entitled to\nheaders      Authorization\norder        none\n\
            rate limit   5 attempts/s\nsecrets      2; the older one expires tomorrow\n\
            circuit      open until soon: deliveries wait\nfailures     7 since then; without a success, it is disabled later\n\
            attempts of an event that fails from now on (each delay ±20 %):\n   1  t1\n   2  t2";
        assert_eq!(details(&endpoint, Style::PLAIN), expected);
    }

    #[test]
    fn failed_attempt_shows_the_response() {
        let failed = json!({"at": "t", "number": 1, "outcome": "errorStatus", "status": 500, "latencyMs": 61,
            "eventType": "roadcast.diagnostic.v1", "vid": "veh_1", "deliveryId": "01", "excerpt": "locked",
            "nextAttemptAt": "soon"});
        let expected = "AT  #  OUTCOME      STATUS  MS  EVENT TYPE              VEHICLE  DELIVERY  NEXT\n\
            t   1  errorStatus     500  61  roadcast.diagnostic.v1  veh_1    01        soon\n    locked";
        assert_eq!(attempts(&json!({ "items": [failed] })).render(Style::PLAIN), expected);
        assert_eq!(attempts(&json!({ "items": [] })).render(Style::PLAIN), "no attempts");
    }

    #[test]
    fn disabled_endpoint_states_why() {
        let endpoint = json!({"endpointId": "end_1", "url": "u", "state": "disabled", "eventTypes": ["a", "b"],
            "disabled": {"reason": "gone", "at": "t"}});
        let expected = "ENDPOINT  STATE               URL  EVENT TYPES\nend_1     disabled (gone, t)  u    a b";
        assert_eq!(list(&json!({ "items": [endpoint.clone()] })).render(Style::PLAIN), expected);
        assert_eq!(line(&endpoint), "end_1  disabled (gone, t)  u  a b");
    }
}
