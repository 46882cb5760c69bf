//! Each fleet's queue and rule: SQS and `EventBridge`.
//!
//! ```text
//! delivery bus ─ rule <prefix><fleetId> ─► queue <prefix><fleetId>
//!                                  └ failed ► queue <prefix><fleetId>-dlq
//! ```
//! The feed queue redrives to no dead-letter queue: a reader that crashes must get its messages again, however often.

use std::collections::HashMap;

use aws_sdk_eventbridge::operation::delete_rule::DeleteRuleError;
use aws_sdk_eventbridge::operation::list_targets_by_rule::ListTargetsByRuleError;
use aws_sdk_eventbridge::operation::remove_targets::RemoveTargetsError;
use aws_sdk_eventbridge::types::{DeadLetterConfig, RetryPolicy, RuleState, Tag, Target};
use aws_sdk_sqs::operation::create_queue::CreateQueueError;
use aws_sdk_sqs::operation::delete_queue::DeleteQueueError;
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;
use aws_sdk_sqs::types::QueueAttributeName;
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::FleetId;
use roadcast_domain::limits::FEED_RETENTION_S;
use roadcast_ports::provisioning::{ChannelParts, FleetChannel};
use roadcast_ports::{PortError, PortErrorKind};
use serde_json::{Value, json};

use crate::per_entry::EntryFailure;
use crate::sdk_error::{kind_of_code, port_error};

const QUEUE: &str = "making a fleet's queue";
const RULE: &str = "making a fleet's rule";
const REMOVE: &str = "removing a fleet's queue and rule";
const DRAIN: &str = "looking whether a fleet's queue is empty";
const LOOK: &str = "looking for a fleet's queue and rule";
/// The most there is: somebody has to look at these.
const DLQ_RETENTION_S: i64 = 14 * 24 * 60 * 60;
/// For a feed's reader to acknowledge; after that the messages come again.
const VISIBILITY_S: u32 = 60;
/// What a bus delivers at most in one message.
const MESSAGE_BYTES: u32 = 1024 * 1024;
const TARGET_ID: &str = "feed";
/// Whose a queue or rule is.
const FLEET_TAG: &str = "roadcast:fleetId";
/// What a fleet's rule takes of an entry: a queue holds CloudEvents batches.
pub const FEED_INPUT_PATH: &str = "$.detail.events";
/// The longest the bus tries.
const MAX_AGE_S: i32 = 24 * 60 * 60;
const MAX_RETRIES: i32 = 185;

/// Makes fleets' queues and rules.
#[derive(Clone, Debug)]
pub struct FleetChannels {
    sqs: aws_sdk_sqs::Client,
    eventbridge: aws_sdk_eventbridge::Client,
    prefix: String,
    /// `arn:<partition>:events:<region>:<account>`
    events_arn: String,
}

/// A text that is not the ARN of an event bus.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the ARN of an event bus")]
pub struct NotABusArn(String);

impl FleetChannels {
    /// Makes queues and rules whose names begin with that prefix. Rules are in the region and account of a delivery bus,
    /// each on the bus that its fleet names.
    pub fn new(
        sqs: aws_sdk_sqs::Client,
        eventbridge: aws_sdk_eventbridge::Client,
        queue_name_prefix: impl Into<String>,
        delivery_bus_arn: &str,
    ) -> Result<Self, NotABusArn> {
        let events_arn = events_arn(delivery_bus_arn).ok_or_else(|| NotABusArn(delivery_bus_arn.to_owned()))?;
        Ok(Self { sqs, eventbridge, prefix: queue_name_prefix.into(), events_arn: events_arn.to_owned() })
    }

    fn name(&self, fleet: &Fleet) -> String {
        queue_name(&self.prefix, &fleet.fleet_id)
    }

    fn dlq_name(&self, fleet: &Fleet) -> String {
        format!("{}-dlq", self.name(fleet))
    }

    fn rule_arn(&self, fleet: &Fleet) -> String {
        format!("{}:rule/{}/{}", self.events_arn, bus_name(&fleet.delivery_bus), self.name(fleet))
    }

    async fn queue_url(&self, name: &str, context: &'static str) -> Result<Option<String>, PortError> {
        match self.sqs.get_queue_url().queue_name(name).send().await {
            Ok(answer) => Ok(answer.queue_url),
            Err(error) if error.as_service_error().is_some_and(GetQueueUrlError::is_queue_does_not_exist) => Ok(None),
            Err(error) => Err(port_error(context, error)),
        }
    }

    async fn queue_arn(&self, url: &str, context: &'static str) -> Result<String, PortError> {
        let request = self.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::QueueArn);
        let answer = request.send().await.map_err(|error| port_error(context, error))?;
        let arn = answer.attributes.and_then(|mut attributes| attributes.remove(&QueueAttributeName::QueueArn));
        arn.ok_or_else(|| PortError::new(PortErrorKind::Unavailable, context))
    }

    /// The ARN of a queue that is there.
    async fn made_queue_arn(&self, name: &str) -> Result<String, PortError> {
        let url = self.queue_url(name, RULE).await?.ok_or_else(|| PortError::new(PortErrorKind::Unavailable, RULE))?;
        self.queue_arn(&url, RULE).await
    }

    /// The queue with these attributes, to which only the rule may send.
    async fn ensure(&self, fleet: &Fleet, name: &str, rule_arn: &str, attributes: &Attributes) -> Result<(), PortError> {
        let url = match self.queue_url(name, QUEUE).await? {
            Some(url) => url,
            None => self.create(name, attributes).await?,
        };
        // What was made just now lacks only the policy, which names the queue's own ARN. What was there may lack more.
        let policy = send_policy(&self.queue_arn(&url, QUEUE).await?, rule_arn);
        let mut attributes = attributes.clone();
        attributes.insert(QueueAttributeName::Policy, policy);
        let request = self.sqs.set_queue_attributes().queue_url(&url).set_attributes(Some(attributes));
        request.send().await.map_err(|error| port_error(QUEUE, error))?;
        // For whoever looks at a bill, and asks whose queue it is.
        let request = self.sqs.tag_queue().queue_url(url).tags(FLEET_TAG, fleet.fleet_id.as_str());
        request.send().await.map(|_| ()).map_err(|error| port_error(QUEUE, error))
    }

    async fn create(&self, name: &str, attributes: &Attributes) -> Result<String, PortError> {
        let made = self.sqs.create_queue().queue_name(name).set_attributes(Some(attributes.clone())).send().await;
        let url = match made {
            Ok(made) => made.queue_url,
            // Made meanwhile, and given its policy meanwhile.
            Err(error) if error.as_service_error().is_some_and(CreateQueueError::is_queue_name_exists) => {
                self.queue_url(name, QUEUE).await?
            }
            Err(error) => return Err(port_error(QUEUE, error)),
        };
        url.ok_or_else(|| PortError::new(PortErrorKind::Unavailable, QUEUE))
    }
}

impl FleetChannel for FleetChannels {
    async fn ensure_queue(&self, fleet: &Fleet) -> Result<(), PortError> {
        let rule_arn = self.rule_arn(fleet);
        self.ensure(fleet, &self.dlq_name(fleet), &rule_arn, &attributes(DLQ_RETENTION_S)).await?;
        self.ensure(fleet, &self.name(fleet), &rule_arn, &attributes(FEED_RETENTION_S)).await
    }

    async fn ensure_rule(&self, fleet: &Fleet) -> Result<(), PortError> {
        let incomplete = |error| PortError::new(PortErrorKind::Rejected, RULE).caused_by(error);
        let name = self.name(fleet);
        let (queue_arn, dlq_arn) = (self.made_queue_arn(&name).await?, self.made_queue_arn(&self.dlq_name(fleet)).await?);
        self.eventbridge
            .put_rule()
            .name(&name)
            .event_bus_name(&fleet.delivery_bus)
            .description("One fleet's events go to its feed queue.")
            .event_pattern(feed_pattern(&fleet.fleet_id).to_string())
            .state(RuleState::Enabled)
            .tags(Tag::builder().key(FLEET_TAG).value(fleet.fleet_id.as_str()).build().map_err(incomplete)?)
            .send()
            .await
            .map_err(|error| port_error(RULE, error))?;
        let target = Target::builder()
            .id(TARGET_ID)
            .arn(queue_arn)
            .input_path(FEED_INPUT_PATH)
            .dead_letter_config(DeadLetterConfig::builder().arn(dlq_arn).build())
            .retry_policy(
                RetryPolicy::builder().maximum_event_age_in_seconds(MAX_AGE_S).maximum_retry_attempts(MAX_RETRIES).build(),
            )
            .build()
            .map_err(incomplete)?;
        let request = self.eventbridge.put_targets().rule(&name).event_bus_name(&fleet.delivery_bus).targets(target);
        let answer = request.send().await.map_err(|error| port_error(RULE, error))?;
        let Some(failed) = answer.failed_entries.unwrap_or_default().into_iter().next() else { return Ok(()) };
        let code = failed.error_code.unwrap_or_default();
        let kind = kind_of_code(&code);
        Err(EntryFailure { code, message: failed.error_message.unwrap_or_default() }.into_error(kind, RULE))
    }

    async fn remove_rule(&self, fleet: &Fleet) -> Result<(), PortError> {
        let (name, bus) = (self.name(fleet), &fleet.delivery_bus);
        // A rule with a target cannot be deleted. Where there is no rule, both calls say so, and that is what is wanted.
        let removed = self.eventbridge.remove_targets().rule(&name).event_bus_name(bus).ids(TARGET_ID).send().await;
        match removed {
            Err(error) if error.as_service_error().is_some_and(RemoveTargetsError::is_resource_not_found_exception) => {}
            Err(error) => return Err(port_error(REMOVE, error)),
            Ok(_) => {}
        }
        match self.eventbridge.delete_rule().name(&name).event_bus_name(bus).send().await {
            Err(error) if error.as_service_error().is_some_and(DeleteRuleError::is_resource_not_found_exception) => Ok(()),
            done => done.map(|_| ()).map_err(|error| port_error(REMOVE, error)),
        }
    }

    async fn is_drained(&self, fleet: &Fleet) -> Result<bool, PortError> {
        const COUNTS: [QueueAttributeName; 3] = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let Some(url) = self.queue_url(&self.name(fleet), DRAIN).await? else { return Ok(true) };
        let request = self.sqs.get_queue_attributes().queue_url(url).set_attribute_names(Some(COUNTS.to_vec()));
        let counted = request.send().await.map_err(|error| port_error(DRAIN, error))?.attributes.unwrap_or_default();
        Ok(COUNTS.iter().all(|name| counted.get(name).is_none_or(|count| count == "0")))
    }

    async fn remove_queue(&self, fleet: &Fleet) -> Result<(), PortError> {
        for name in [self.name(fleet), self.dlq_name(fleet)] {
            let Some(url) = self.queue_url(&name, REMOVE).await? else { continue };
            match self.sqs.delete_queue().queue_url(url).send().await {
                Err(error) if error.as_service_error().is_some_and(DeleteQueueError::is_queue_does_not_exist) => {}
                Err(error) => return Err(port_error(REMOVE, error)),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    async fn status(&self, fleet: &Fleet) -> Result<ChannelParts, PortError> {
        let name = self.name(fleet);
        let rule = self.eventbridge.list_targets_by_rule().rule(&name).event_bus_name(&fleet.delivery_bus).send().await;
        let rule = match rule {
            Ok(targets) => targets.targets().iter().any(|target| target.id() == TARGET_ID),
            Err(error) if error.as_service_error().is_some_and(ListTargetsByRuleError::is_resource_not_found_exception) => {
                false
            }
            Err(error) => return Err(port_error(LOOK, error)),
        };
        Ok(ChannelParts {
            queue: self.queue_url(&name, LOOK).await?.is_some(),
            dead_letter_queue: self.queue_url(&self.dlq_name(fleet), LOOK).await?.is_some(),
            rule,
        })
    }
}

/// What a fleet's queue is called, and its rule: who makes them and who reads must agree.
pub(crate) fn queue_name(prefix: &str, fleet_id: &FleetId) -> String {
    format!("{prefix}{fleet_id}")
}

/// Which entries of a delivery bus a fleet's rule takes.
pub fn feed_pattern(fleet_id: &FleetId) -> Value {
    json!({ "detail": { "fleetId": [fleet_id] } })
}

type Attributes = HashMap<QueueAttributeName, String>;

fn attributes(retention_s: i64) -> Attributes {
    Attributes::from([
        (QueueAttributeName::MessageRetentionPeriod, retention_s.to_string()),
        (QueueAttributeName::VisibilityTimeout, VISIBILITY_S.to_string()),
        (QueueAttributeName::MaximumMessageSize, MESSAGE_BYTES.to_string()),
        (QueueAttributeName::SqsManagedSseEnabled, "true".to_owned()),
    ])
}

/// Lets one rule send to one queue, and nobody else of this account's buses.
fn send_policy(queue_arn: &str, rule_arn: &str) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "OneRule",
            "Effect": "Allow",
            "Principal": { "Service": "events.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": { "ArnEquals": { "aws:SourceArn": rule_arn } }
        }]
    })
    .to_string()
}

/// `arn:<partition>:events:<region>:<account>` of a bus's ARN.
fn events_arn(bus_arn: &str) -> Option<&str> {
    let (events_arn, resource) = bus_arn.rsplit_once(':')?;
    let parts: Vec<&str> = events_arn.split(':').collect();
    let well_formed = matches!(parts[..], ["arn", _, "events", _, _]) && resource.starts_with("event-bus/");
    well_formed.then_some(events_arn)
}

/// A fleet may name its bus by name or ARN.
fn bus_name(bus: &str) -> &str {
    bus.rsplit_once("event-bus/").map_or(bus, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const BUS: &str = "arn:aws:events:eu-central-1:123456789012:event-bus/roadcast-dev-delivery";

    #[test]
    fn a_rules_arn_follows_from_its_buss() {
        assert_eq!(events_arn(BUS), Some("arn:aws:events:eu-central-1:123456789012"));
        assert_eq!(bus_name(BUS), "roadcast-dev-delivery");
        assert_eq!(bus_name("roadcast-dev-delivery"), "roadcast-dev-delivery");
        for text in ["", "roadcast-dev-delivery", "arn:aws:sqs:eu-central-1:123456789012:queue"] {
            assert_eq!(events_arn(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_fleets_own_rule_may_send() {
        let policy: serde_json::Value = serde_json::from_str(&send_policy("queue", "rule")).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 1);
        assert_eq!(statements[0]["Principal"], json!({ "Service": "events.amazonaws.com" }));
        assert_eq!(statements[0]["Condition"], json!({ "ArnEquals": { "aws:SourceArn": "rule" } }));
        assert_eq!((&statements[0]["Action"], &statements[0]["Resource"]), (&json!("sqs:SendMessage"), &json!("queue")));
    }

    #[test]
    fn a_crashing_reader_sends_nothing_to_the_dead_letter_queue() {
        assert!(!attributes(FEED_RETENTION_S).contains_key(&QueueAttributeName::RedrivePolicy));
    }
}
