//! The rules that send the entries of a delivery bus to the feed queues, and of a further bus to webhooks.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::BuildError;
use aws_sdk_eventbridge::operation::create_event_bus::CreateEventBusError;
use aws_sdk_eventbridge::operation::delete_rule::DeleteRuleError;
use aws_sdk_eventbridge::operation::describe_rule::DescribeRuleError;
use aws_sdk_eventbridge::operation::list_targets_by_rule::ListTargetsByRuleError;
use aws_sdk_eventbridge::operation::remove_targets::RemoveTargetsError;
use aws_sdk_eventbridge::types::{DeadLetterConfig, RetryPolicy, RuleState, Tag, Target};
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::FleetId;
use roadcast_ports::{PortError, PortErrorKind};
use serde_json::{Value, json};

use crate::batch_requests::EntryError;
use crate::eventbridge::webhook_rule::{WebhookRule, webhook_pattern};
use crate::sdk::LazyClient;
use crate::sdk_error::{kind_of_code, port_error};

const ENSURE: &str = "creating a fleet's rule";
const ENSURE_BUS: &str = "creating a delivery bus";
const DELETE: &str = "deleting a fleet's rule";
/// The tag of the delivery buses that holds the first one.
const BUS_TAG: &str = "roadcast:deliveryBus";
const TARGET_ID: &str = "feed";
/// The input path of a fleet's rule: a queue receives CloudEvents batches.
pub const FEED_INPUT_PATH: &str = "$.detail.events";
/// The maximum time for which `EventBridge` retries a delivery.
const MAX_AGE_S: i32 = 24 * 60 * 60;
const MAX_RETRIES: i32 = 185;

/// The fleets' rules in `EventBridge`.
#[derive(Clone, Debug)]
pub(crate) struct FleetRules {
    client: LazyClient<Client>,
    /// `arn:<partition>:events:<region>:<account>`
    events_arn: String,
    /// The name of the first delivery bus, which belongs to the stack.
    first_bus: String,
    dead_letter_queue_arn: String,
    webhooks: WebhookRule,
}

/// What a rule is.
struct RuleSpec<'r> {
    bus: &'r str,
    name: &'r str,
    description: &'static str,
    pattern: Value,
    target: Target,
}

/// A string that is not the ARN of an event bus.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the ARN of an event bus")]
pub struct NotABusArn(String);

impl FleetRules {
    /// Creates the adapter for rules in the region and account of the given first delivery bus.
    pub(crate) fn new(
        client: LazyClient<Client>,
        delivery_bus_arn: &str,
        dead_letter_queue_arn: String,
        webhooks: WebhookRule,
    ) -> Result<Self, NotABusArn> {
        let events_arn = events_arn(delivery_bus_arn).ok_or_else(|| NotABusArn(delivery_bus_arn.to_owned()))?.to_owned();
        let first_bus = bus_name(delivery_bus_arn).to_owned();
        Ok(Self { client, events_arn, first_bus, dead_letter_queue_arn, webhooks })
    }

    /// Returns the ARN of a rule on the fleet's delivery bus.
    pub(crate) fn arn(&self, fleet: &Fleet, name: &str) -> String {
        format!("{}:rule/{}/{name}", self.events_arn, bus_name(&fleet.delivery_bus))
    }

    /// Whether the stack has the fleet's delivery bus and its rule of webhooks. All other buses are ours.
    fn is_first_bus(&self, fleet: &Fleet) -> bool {
        bus_name(&fleet.delivery_bus) == self.first_bus
    }

    /// Ensures the fleet's delivery bus, and the rule of webhooks on it.
    pub(crate) async fn ensure_bus(&self, fleet: &Fleet) -> Result<(), PortError> {
        if self.is_first_bus(fleet) {
            return Ok(());
        }
        self.create_bus(bus_name(&fleet.delivery_bus)).await?;
        self.put(self.webhook_rule(fleet)?, None).await
    }

    async fn create_bus(&self, bus: &str) -> Result<(), PortError> {
        let tag = Tag::builder().key(BUS_TAG).value(&self.first_bus).build().map_err(incomplete)?;
        match self.client.create_event_bus().name(bus).tags(tag).send().await {
            Err(error)
                if error.as_service_error().is_some_and(CreateEventBusError::is_resource_already_exists_exception) =>
            {
                Ok(())
            }
            result => result.map(|_| ()).map_err(|error| port_error(ENSURE_BUS, error)),
        }
    }

    /// Ensures the rule and its target, with a tag.
    pub(crate) async fn ensure(
        &self,
        fleet: &Fleet,
        name: &str,
        queue_arn: String,
        (tag, value): (&str, &str),
    ) -> Result<(), PortError> {
        let tag = Tag::builder().key(tag).value(value).build().map_err(incomplete)?;
        self.put(self.feed_rule(fleet, name, queue_arn)?, Some(tag)).await
    }

    fn feed_rule<'r>(&self, fleet: &'r Fleet, name: &'r str, queue_arn: String) -> Result<RuleSpec<'r>, PortError> {
        let target = target(queue_arn, &self.dead_letter_queue_arn, Some(FEED_INPUT_PATH)).map_err(incomplete)?;
        let (bus, description) = (fleet.delivery_bus.as_str(), "One fleet's events go to its feed queue.");
        Ok(RuleSpec { bus, name, description, pattern: feed_pattern(&fleet.fleet_id), target })
    }

    fn webhook_rule<'r>(&'r self, fleet: &'r Fleet) -> Result<RuleSpec<'r>, PortError> {
        let WebhookRule { name, queue_arn } = &self.webhooks;
        let target = target(queue_arn.clone(), &self.dead_letter_queue_arn, None).map_err(incomplete)?;
        let (bus, description) = (fleet.delivery_bus.as_str(), "Entries that webhook endpoints want go to their fan-out.");
        Ok(RuleSpec { bus, name, description, pattern: webhook_pattern(), target })
    }

    /// Stores a rule and its target.
    async fn put(&self, rule: RuleSpec<'_>, tag: Option<Tag>) -> Result<(), PortError> {
        self.client
            .put_rule()
            .name(rule.name)
            .event_bus_name(rule.bus)
            .description(rule.description)
            .event_pattern(rule.pattern.to_string())
            .state(RuleState::Enabled)
            .set_tags(tag.map(|tag| vec![tag]))
            .send()
            .await
            .map_err(|error| port_error(ENSURE, error))?;
        let request = self.client.put_targets().rule(rule.name).event_bus_name(rule.bus).targets(rule.target);
        let output = request.send().await.map_err(|error| port_error(ENSURE, error))?;
        let Some(failed) = output.failed_entries.unwrap_or_default().into_iter().next() else { return Ok(()) };
        let (code, message) = (failed.error_code.unwrap_or_default(), failed.error_message.unwrap_or_default());
        let kind = kind_of_code(&code, &message);
        Err(EntryError { code, message }.into_port_error(kind, ENSURE))
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

    /// Returns whether the rule exists with the pattern, the state and the only target that [`ensure`](Self::ensure) sets, and
    /// with it the rule of webhooks that [`ensure_bus`](Self::ensure_bus) sets.
    pub(crate) async fn is_current(
        &self,
        fleet: &Fleet,
        name: &str,
        queue_arn: String,
        context: &'static str,
    ) -> Result<bool, PortError> {
        Ok(self.is_stored(self.feed_rule(fleet, name, queue_arn)?, context).await?
            && (self.is_first_bus(fleet) || self.is_stored(self.webhook_rule(fleet)?, context).await?))
    }

    async fn is_stored(&self, expected: RuleSpec<'_>, context: &'static str) -> Result<bool, PortError> {
        let RuleSpec { bus, name, .. } = expected;
        let rule = match self.client.describe_rule().name(name).event_bus_name(bus).send().await {
            Ok(rule) => rule,
            Err(error) if error.as_service_error().is_some_and(DescribeRuleError::is_resource_not_found_exception) => {
                return Ok(false);
            }
            Err(error) => return Err(port_error(context, error)),
        };
        if rule.state() != Some(&RuleState::Enabled) || !is_same_json(rule.event_pattern(), &expected.pattern) {
            return Ok(false);
        }
        let targets = self.client.list_targets_by_rule().rule(name).event_bus_name(bus).send().await;
        let targets = targets.map_err(|error| port_error(context, error))?;
        Ok(targets.targets() == [expected.target])
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

/// Whether two texts are the same JSON.
fn is_same_json(text: Option<&str>, expected: &Value) -> bool {
    text.and_then(|text| serde_json::from_str::<Value>(text).ok()).is_some_and(|value| value == *expected)
}

/// The event pattern of a fleet's rule.
pub fn feed_pattern(fleet_id: &FleetId) -> Value {
    json!({ "detail": { "fleetId": [fleet_id] } })
}

/// The target of a rule: the entire event without an input path.
fn target(queue_arn: String, dead_letter_queue_arn: &str, input_path: Option<&str>) -> Result<Target, BuildError> {
    let retries = RetryPolicy::builder().maximum_event_age_in_seconds(MAX_AGE_S).maximum_retry_attempts(MAX_RETRIES);
    Target::builder()
        .id(TARGET_ID)
        .arn(queue_arn)
        .set_input_path(input_path.map(str::to_owned))
        .dead_letter_config(DeadLetterConfig::builder().arn(dead_letter_queue_arn).build())
        .retry_policy(retries.build())
        .build()
}

fn incomplete(error: BuildError) -> PortError {
    PortError::new(PortErrorKind::Internal, ENSURE).caused_by(error)
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
