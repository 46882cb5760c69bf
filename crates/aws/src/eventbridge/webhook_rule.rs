//! The rule of webhooks on further delivery buses. That of the first one, `WebhookRule`, is in the template.

use serde_json::{Value, json};

/// The rule that sends entries of a delivery bus to the fan-out of webhooks, and its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRule {
    /// The name, which is the same on each bus.
    pub name: String,
    /// The ARN of the queue of entries. Its policy allows the rules of this name.
    pub queue_arn: String,
}

/// The event pattern of the rule: the entries of which an endpoint wants an event.
pub(crate) fn webhook_pattern() -> Value {
    json!({ "detail": { "webhook": [true] } })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");

    #[test]
    fn further_buses_have_the_rule_of_the_template() {
        let text = std::fs::read_to_string(TEMPLATE).unwrap();
        let template: serde_norway::Value = serde_norway::from_str(&text).unwrap();
        // The template has tags, which JSON has not. The pattern has none.
        let pattern = &template["Resources"]["WebhookRule"]["Properties"]["EventPattern"];
        assert_eq!(serde_json::to_value(pattern).unwrap(), webhook_pattern());
    }
}
