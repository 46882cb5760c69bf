//! A rule as its owner sends it.

use roadcast_alerts::limits::RULE_VALUES;
use roadcast_alerts::rule::{InvalidRule, Rule};
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::strict_json::parse_strict_json;
use roadcast_ports::{PortError, PortErrorKind};
use serde_json::Value;

use crate::stored_rules::parse_definition;
use crate::{InvalidField, ServiceError};

/// A rule, and whether it is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSettings {
    /// What the rule says.
    pub rule: Rule,
    /// Whether it is evaluated; true by default.
    pub enabled: bool,
}

impl RuleSettings {
    /// Reads the body of a request: the members of a rule and `enabled`. Fails with every mistake.
    pub fn parse(json: &str) -> Result<Self, ServiceError> {
        let value = parse_strict_json(json, RULE_VALUES)
            .map_err(|error| ServiceError::Invalid(vec![InvalidField::new(error.pointer, error.detail)]))?;
        Self::from_value(value, &JsonPointer::ROOT)
    }

    /// Reads the part of a body at `pointer`.
    pub(crate) fn from_value(mut value: Value, pointer: &JsonPointer) -> Result<Self, ServiceError> {
        let enabled = value.as_object_mut().and_then(|members| members.remove("enabled")).unwrap_or(Value::Bool(true));
        let mut invalid = Vec::new();
        if !enabled.is_boolean() {
            invalid.push(InvalidField::new(pointer.child("enabled"), "must be true or false"));
        }
        let rule = Rule::from_value(&value).map_err(|InvalidRule(mistakes)| {
            let fields = mistakes.into_iter().map(|mistake| (pointer.join(&mistake.pointer), mistake.detail));
            invalid.extend(fields.map(|(pointer, detail)| InvalidField::new(pointer, detail)));
        });
        match (rule, enabled.as_bool()) {
            (Ok(rule), Some(enabled)) => Ok(Self { rule, enabled }),
            _ => Err(ServiceError::Invalid(invalid)),
        }
    }

    /// Returns the rule as it is stored. Fails with `Invalid` if it exceeds [`AlertRuleRecord::MAX_BYTES`].
    pub(crate) fn definition(&self) -> Result<String, ServiceError> {
        let definition = serde_json::to_string(&self.rule)
            .map_err(|error| PortError::new(PortErrorKind::Internal, "writing an alert rule").caused_by(error))?;
        if definition.len() > AlertRuleRecord::MAX_BYTES {
            let detail = format!("must be at most {} bytes of JSON without whitespace", AlertRuleRecord::MAX_BYTES);
            return Err(ServiceError::invalid(JsonPointer::ROOT, detail));
        }
        Ok(definition)
    }
}

/// Reads what a stored rule says.
pub fn parse_stored(rule: &AlertRuleRecord) -> Result<Rule, PortError> {
    parse_definition(&rule.definition)
}
