//! The rules that send the entries of a delivery bus to the feed queues.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::BuildError;
use aws_sdk_eventbridge::operation::delete_rule::DeleteRuleError;
use aws_sdk_eventbridge::operation::list_targets_by_rule::ListTargetsByRuleError;
use aws_sdk_eventbridge::operation::remove_targets::RemoveTargetsError;
use aws_sdk_eventbridge::types::{DeadLetterConfig, RetryPolicy, RuleState, Tag, Target};
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::FleetId;
use roadcast_ports::{PortError, PortErrorKind};
use serde_json::{Value, json};

use crate::batch_requests::EntryError;
use crate::sdk_error::{kind_of_code, port_error};

const ENSURE: &str = "creating a fleet's rule";
const DELETE: &str = "deleting a fleet's rule";
const TARGET_ID: &str = "feed";
/// The input path of a fleet's rule: a queue receives CloudEvents batches.
pub const FEED_INPUT_PATH: &str = "$.detail.events";
/// The maximum time for which `EventBridge` retries a delivery.
const MAX_AGE_S: i32 = 24 * 60 * 60;
const MAX_RETRIES: i32 = 185;

/// The fleets' rules in `EventBridge`.
#[derive(Clone, Debug)]
pub(crate) struct FleetRules {
    client: Client,
    /// `arn:<partition>:events:<region>:<account>`
    events_arn: String,
}

/// A string that is not the ARN of an event bus.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the ARN of an event bus")]
pub struct NotABusArn(String);

impl FleetRules {
    /// Creates the adapter for rules in the region and account of the given bus.
    pub(crate) fn new(client: Client, delivery_bus_arn: &str) -> Result<Self, NotABusArn> {
        let events_arn = events_arn(delivery_bus_arn).ok_or_else(|| NotABusArn(delivery_bus_arn.to_owned()))?;
        Ok(Self { client, events_arn: events_arn.to_owned() })
    }

    /// Returns the ARN of a rule on the fleet's delivery bus.
    pub(crate) fn arn(&self, fleet: &Fleet, name: &str) -> String {
        format!("{}:rule/{}/{name}", self.events_arn, bus_name(&fleet.delivery_bus))
    }

    /// Ensures the rule and its target, with a tag.
    pub(crate) async fn ensure(
        &self,
        fleet: &Fleet,
        name: &str,
        queue_arn: String,
        dlq_arn: String,
        (tag, value): (&str, &str),
    ) -> Result<(), PortError> {
        self.client
            .put_rule()
            .name(name)
            .event_bus_name(&fleet.delivery_bus)
            .description("One fleet's events go to its feed queue.")
            .event_pattern(feed_pattern(&fleet.fleet_id).to_string())
            .state(RuleState::Enabled)
            .tags(Tag::builder().key(tag).value(value).build().map_err(incomplete)?)
            .send()
            .await
            .map_err(|error| port_error(ENSURE, error))?;
        let target = target(queue_arn, dlq_arn).map_err(incomplete)?;
        let request = self.client.put_targets().rule(name).event_bus_name(&fleet.delivery_bus).targets(target);
        let output = request.send().await.map_err(|error| port_error(ENSURE, error))?;
        let Some(failed) = output.failed_entries.unwrap_or_default().into_iter().next() else { return Ok(()) };
        let code = failed.error_code.unwrap_or_default();
        let kind = kind_of_code(&code);
        Err(EntryError { code, message: failed.error_message.unwrap_or_default() }.into_port_error(kind, ENSURE))
    }

    /// Deletes the rule and its target if they exist.
    pub(crate) async fn delete(&self, fleet: &Fleet, name: &str) -> Result<(), PortError> {
        let bus = &fleet.delivery_bus;
        // A rule with a target cannot be deleted. If there is no rule, both calls report that, which is the desired state.
        let removed = self.client.remove_targets().rule(name).event_bus_name(bus).ids(TARGET_ID).send().await;
        match removed {
            Err(error) if error.as_service_error().is_some_and(RemoveTargetsError::is_resource_not_found_exception) => {}
            Err(error) => return Err(port_error(DELETE, error)),
            Ok(_) => {}
        }
        match self.client.delete_rule().name(name).event_bus_name(bus).send().await {
            Err(error) if error.as_service_error().is_some_and(DeleteRuleError::is_resource_not_found_exception) => Ok(()),
            result => result.map(|_| ()).map_err(|error| port_error(DELETE, error)),
        }
    }

    /// Returns whether the rule exists with its target.
    pub(crate) async fn exists(&self, fleet: &Fleet, name: &str, context: &'static str) -> Result<bool, PortError> {
        match self.client.list_targets_by_rule().rule(name).event_bus_name(&fleet.delivery_bus).send().await {
            Ok(targets) => Ok(targets.targets().iter().any(|target| target.id() == TARGET_ID)),
            Err(error) if error.as_service_error().is_some_and(ListTargetsByRuleError::is_resource_not_found_exception) => {
                Ok(false)
            }
            Err(error) => Err(port_error(context, error)),
        }
    }
}

/// The event pattern of a fleet's rule.
pub fn feed_pattern(fleet_id: &FleetId) -> Value {
    json!({ "detail": { "fleetId": [fleet_id] } })
}

fn target(queue_arn: String, dlq_arn: String) -> Result<Target, BuildError> {
    let retries = RetryPolicy::builder().maximum_event_age_in_seconds(MAX_AGE_S).maximum_retry_attempts(MAX_RETRIES);
    Target::builder()
        .id(TARGET_ID)
        .arn(queue_arn)
        .input_path(FEED_INPUT_PATH)
        .dead_letter_config(DeadLetterConfig::builder().arn(dlq_arn).build())
        .retry_policy(retries.build())
        .build()
}

fn incomplete(error: BuildError) -> PortError {
    PortError::new(PortErrorKind::Rejected, ENSURE).caused_by(error)
}

/// Returns `arn:<partition>:events:<region>:<account>` of a bus ARN.
fn events_arn(bus_arn: &str) -> Option<&str> {
    let (events_arn, resource) = bus_arn.rsplit_once(':')?;
    let parts: Vec<&str> = events_arn.split(':').collect();
    let well_formed = matches!(parts[..], ["arn", _, "events", _, _]) && resource.starts_with("event-bus/");
    well_formed.then_some(events_arn)
}

/// Returns the name of a bus, which a fleet's record holds as a name or an ARN.
fn bus_name(bus: &str) -> &str {
    bus.rsplit_once("event-bus/").map_or(bus, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUS: &str = "arn:aws:events:eu-central-1:123456789012:event-bus/roadcast-dev-delivery";

    #[test]
    fn rule_arn_is_derived_from_the_bus_arn() {
        assert_eq!(events_arn(BUS), Some("arn:aws:events:eu-central-1:123456789012"));
        assert_eq!(bus_name(BUS), "roadcast-dev-delivery");
        assert_eq!(bus_name("roadcast-dev-delivery"), "roadcast-dev-delivery");
        for text in ["", "roadcast-dev-delivery", "arn:aws:sqs:eu-central-1:123456789012:queue"] {
            assert_eq!(events_arn(text), None, "{text}");
        }
    }
}
