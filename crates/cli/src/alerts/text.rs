//! Alert rules, alerts and back-tests as text for people.

use serde_json::Value;

use crate::console::{Cell, Properties, Style, Table, printable};
use crate::json_text::text;

/// Alerts that are printed of a back-test. All of them are in the JSON.
const PRINTED_ALERTS: usize = 50;

fn state(rule: &Value) -> &'static str {
    if rule["enabled"] == false { "disabled" } else { "enabled" }
}

/// A rule in one line.
pub(super) fn line(rule: &Value) -> String {
    let version = rule["version"].as_u64().unwrap_or_default();
    let (id, severity, name) = (text(rule, "ruleId"), text(rule, "severity"), text(rule, "name"));
    printable(&format!("{id}  version {version}  {}  {severity}  {name}", state(rule)))
}

/// The rules of an owner.
pub(super) fn list(list: &Value) -> Table {
    let mut table = Table::new(&["rule", "version", "state", "severity", "name"], "no alert rules");
    for rule in list["items"].as_array().into_iter().flatten() {
        table.row([
            Cell::text(text(rule, "ruleId")),
            Cell::number(&rule["version"].as_u64().unwrap_or_default()),
            Cell::state(state(rule)),
            Cell::text(text(rule, "severity")),
            Cell::text(text(rule, "name")),
        ]);
    }
    table
}

/// A rule with what it says.
pub(super) fn details(rule: &Value, style: Style) -> String {
    let mut properties = Properties::default();
    properties.add("rule", Cell::text(text(rule, "ruleId")));
    properties.add("name", Cell::text(text(rule, "name")));
    properties.add("severity", Cell::text(text(rule, "severity")));
    properties.add("state", Cell::state(state(rule)));
    properties.add("version", Cell::number(&rule["version"].as_u64().unwrap_or_default()));
    properties.add("active from", Cell::time(text(rule, "activeFrom")));
    let json = |name: &str| rule.get(name).map(|value| Cell::text(value.to_string()));
    properties.add_some("scope", json("scope"));
    properties.add_some("condition", json("condition"));
    properties.add_some("cooldown, s", json("cooldownS"));
    properties.add_some("schedule", json("schedule"));
    properties.render(style)
}

/// The result of a back-test.
pub(super) fn result(result: &Value, style: Style) -> String {
    let mut table = Table::new(&["at", "change", "vehicle", "values"], "no alerts");
    let alerts = result["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    for alert in alerts.iter().take(PRINTED_ALERTS) {
        table.row([
            Cell::time(text(alert, "at")),
            Cell::state(text(alert, "change")),
            Cell::text(text(alert, "vid")),
            Cell::text(values(alert)),
        ]);
    }
    let raised = result["raised"].as_u64().unwrap_or_default();
    let (from, until) = (text(result, "from"), text(result, "until"));
    let mut lines = format!("{}\nwould have raised {raised} alerts from {from} to {until}", table.render(style));
    if alerts.len() > PRINTED_ALERTS {
        lines.extend(["; the first ", &PRINTED_ALERTS.to_string(), " changes are shown, --json prints all"]);
    }
    if result["truncated"] == true {
        lines.push_str("; it ended at the limit of alerts: name fewer vehicles, or a shorter time");
    }
    lines
}

/// An event in one line.
pub(super) fn event(event: &Value) -> String {
    let alert = &event["data"];
    let (severity, name) = (text(&alert["rule"], "severity"), text(&alert["rule"], "name"));
    let (at, change, vehicle) = (text(alert, "at"), text(alert, "change"), text(event, "subject"));
    printable(&format!("{at}  {change:<9}  {severity:<8}  {vehicle}  {name}  {}", values(alert)))
}

/// What an alert was computed from.
fn values(alert: &Value) -> String {
    let signals = alert["signals"].as_array().into_iter().flatten();
    let signals = signals.map(|signal| {
        let name = text(signal, "path").rsplit('.').next().unwrap_or_default();
        let value = signal.get("value").map_or_else(|| "no value".to_owned(), Value::to_string);
        format!("{name} {value}")
    });
    let codes = alert["diagnostic"]["dtcs"].as_array().into_iter().flatten();
    let codes = codes.filter_map(|dtc| dtc["code"].as_str()).map(str::to_owned);
    signals.chain(codes).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn alert_is_one_line_with_its_values() {
        let event = json!({"subject": "veh_1", "data": {
            "at": "2026-01-01T00:00:00.000Z", "change": "raised", "rule": {"name": "Low\u{1b}", "severity": "warning"},
            "signals": [{"path": "Vehicle.Speed", "value": 3.5}, {"path": "Vehicle.X"}],
            "diagnostic": {"dtcs": [{"code": "P0301", "status": "active"}]}
        }});
        let line = super::event(&event);
        assert!(line.starts_with("2026-01-01T00:00:00.000Z  raised     warning   veh_1  Low"), "{line}");
        assert!(line.ends_with("Speed 3.5, X no value, P0301") && !line.contains('\u{1b}'), "{line}");
    }
}
