//! The limits of the rules of one owner.

use roadcast_alerts::limits::RULES_PER_VEHICLE;
use roadcast_alerts::rule::{Rule, Scope};
use roadcast_domain::alert_rule::AlertRuleRecord;

use super::settings::parse_stored;
use crate::ServiceError;

const TOO_MANY: ServiceError = ServiceError::Conflict("the owner has 500 alert rules, which is the maximum; delete one");
const TOO_LARGE: ServiceError =
    ServiceError::Conflict("all alert rules of an owner may have 2 MiB of JSON together; delete or simplify one");
const TOO_MANY_FOR_A_VEHICLE: ServiceError = ServiceError::Conflict(
    "more than 200 enabled alert rules could concern the same vehicle; disable one, or let rules name vehicles or attributes",
);

/// Fails with `Conflict` if the owner of `others` cannot also have a rule.
pub(super) fn check_limits(record: &AlertRuleRecord, rule: &Rule, others: &[AlertRuleRecord]) -> Result<(), ServiceError> {
    if others.len() >= AlertRuleRecord::MAX_PER_OWNER {
        return Err(TOO_MANY);
    }
    let bytes: usize = others.iter().map(|other| other.definition.len()).sum();
    if bytes + record.definition.len() > AlertRuleRecord::MAX_BYTES_PER_OWNER {
        return Err(TOO_LARGE);
    }
    if !record.enabled {
        return Ok(());
    }
    let enabled = others.iter().filter(|other| other.enabled).map(parse_stored).collect::<Result<Vec<Rule>, _>>()?;
    let scopes = enabled.iter().chain([rule]).map(|rule| &rule.scope);
    if Scope::most_rules_of_one_vehicle(scopes) > RULES_PER_VEHICLE { Err(TOO_MANY_FOR_A_VEHICLE) } else { Ok(()) }
}
