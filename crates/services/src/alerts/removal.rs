//! Deletes the alert rules of a fleet that is offboarded.

use roadcast_domain::alert::RuleOwner;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::ids::FleetId;
use roadcast_ports::alerts::AlertRules;
use roadcast_ports::clock::Clock;

use crate::ServiceError;

/// Deletes all alert rules of a fleet. Fails with `Conflict` if one is modified concurrently.
pub(crate) async fn remove_all_rules(
    rules: &impl AlertRules,
    clock: &impl Clock,
    author: &Author,
    fleet_id: &FleetId,
) -> Result<(), ServiceError> {
    for rule in rules.list(&RuleOwner::Fleet(fleet_id.clone())).await? {
        let change = Change::alert_rule_removed(author.clone(), &rule, clock.now());
        let removed = rules.remove(&rule, &change).await;
        removed.map_err(|error| ServiceError::or_conflict(error, "the fleet is being modified concurrently; retry"))?;
    }
    Ok(())
}
