//! What stored alert rules say, as the evaluation reads it.

use roadcast_alerts::RuleVersion;
use roadcast_alerts::rule::Rule;
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_domain::back_test::BackTest;
use roadcast_ports::{PortError, PortErrorKind};

/// Reads the stored definition of a rule. It was parsed when it was stored, so a failure means that another version of Roadcast
/// stored it.
pub(crate) fn parse_definition(definition: &str) -> Result<Rule, PortError> {
    Rule::parse(definition)
        .map_err(|error| PortError::new(PortErrorKind::Internal, "reading an alert rule").caused_by(error))
}

/// Returns a stored rule for the evaluation.
pub(crate) fn stored_version(record: &AlertRuleRecord) -> Result<RuleVersion, PortError> {
    Ok(RuleVersion {
        owner: record.owner.clone(),
        rule_id: record.rule_id.clone(),
        version: record.version,
        active_from: record.active_from,
        rule: parse_definition(&record.definition)?.into(),
    })
}

/// Returns the rule of a back-test for the evaluation: it is active from the start of the time that is evaluated.
pub(crate) fn tested_version(back_test: &BackTest) -> Result<RuleVersion, PortError> {
    Ok(RuleVersion {
        owner: back_test.owner.clone(),
        rule_id: back_test.rule_id.clone(),
        version: back_test.version,
        active_from: back_test.from,
        rule: parse_definition(&back_test.definition)?.into(),
    })
}
