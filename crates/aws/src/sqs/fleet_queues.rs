//! Creation, status and deletion of the feed queues.
//!
//! A feed queue has no redrive policy: after a reader crashed, it must receive its messages again, however often.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::create_queue::CreateQueueError;
use aws_sdk_sqs::operation::delete_queue::DeleteQueueError;
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;
use aws_sdk_sqs::types::QueueAttributeName;
use roadcast_domain::ids::FleetId;
use roadcast_domain::limits::FEED_RETENTION_S;
use roadcast_ports::{PortError, PortErrorKind};
use serde_json::json;

use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const ENSURE: &str = "creating a fleet's queue";
const DELETE: &str = "deleting a fleet's queue";
const COUNT: &str = "counting the messages in a fleet's queue";
/// The time that a reader of the feed has to acknowledge messages before they are delivered again.
const VISIBILITY_TIMEOUT_S: u32 = 60;
/// The maximum size of a message from a bus.
const MAX_MESSAGE_BYTES: u32 = 1024 * 1024;

/// The fleets' queues in SQS.
#[derive(Clone, Debug)]
pub(crate) struct FleetQueues {
    client: LazyClient<Client>,
}

impl FleetQueues {
    pub(crate) fn new(client: LazyClient<Client>) -> Self {
        Self { client }
    }

    /// Ensures a feed queue to which only the rule may send, with a tag.
    pub(crate) async fn ensure(&self, name: &str, rule_arn: &str, (tag, value): (&str, &str)) -> Result<(), PortError> {
        let url = match self.url(name, ENSURE).await? {
            Some(url) => url,
            None => self.create(name).await?,
        };
        // A queue that was just created lacks only the policy, which names the queue's own ARN. An existing queue may lack
        // more.
        let policy = send_policy(&self.arn_of_url(&url, ENSURE).await?, rule_arn);
        let mut attributes = attributes();
        attributes.insert(QueueAttributeName::Policy, policy);
        let request = self.client.set_queue_attributes().queue_url(&url).set_attributes(Some(attributes));
        request.send().await.map_err(|error| port_error(ENSURE, error))?;
        // The tag shows on the bill which fleet has the queue.
        let request = self.client.tag_queue().queue_url(url).tags(tag, value);
        request.send().await.map(|_| ()).map_err(|error| port_error(ENSURE, error))
    }

    async fn create(&self, name: &str) -> Result<String, PortError> {
        let created = self.client.create_queue().queue_name(name).set_attributes(Some(attributes())).send().await;
        let url = match created {
            Ok(created) => created.queue_url,
            // Created concurrently, and already with its policy.
            Err(error) if error.as_service_error().is_some_and(CreateQueueError::is_queue_name_exists) => {
                self.url(name, ENSURE).await?
            }
            Err(error) => return Err(port_error(ENSURE, error)),
        };
        url.ok_or_else(|| PortError::new(PortErrorKind::Unavailable, ENSURE))
    }

    /// Returns whether the queue is empty or does not exist. The counts are approximate.
    pub(crate) async fn is_empty(&self, name: &str) -> Result<bool, PortError> {
        const COUNTS: [QueueAttributeName; 3] = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let Some(url) = self.url(name, COUNT).await? else { return Ok(true) };
        let request = self.client.get_queue_attributes().queue_url(url).set_attribute_names(Some(COUNTS.to_vec()));
        let counts = request.send().await.map_err(|error| port_error(COUNT, error))?.attributes.unwrap_or_default();
        Ok(COUNTS.iter().all(|name| counts.get(name).is_none_or(|count| count == "0")))
    }

    /// Deletes the queue if it exists.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), PortError> {
        let Some(url) = self.url(name, DELETE).await? else { return Ok(()) };
        match self.client.delete_queue().queue_url(url).send().await {
            Err(error) if error.as_service_error().is_some_and(DeleteQueueError::is_queue_does_not_exist) => Ok(()),
            result => result.map(|_| ()).map_err(|error| port_error(DELETE, error)),
        }
    }

    /// Returns the ARN of the queue if it exists with the attributes and the policy that [`ensure`](Self::ensure) sets.
    pub(crate) async fn current_arn(
        &self,
        name: &str,
        rule_arn: &str,
        context: &'static str,
    ) -> Result<Option<String>, PortError> {
        let Some(url) = self.url(name, context).await? else { return Ok(None) };
        let request = self.client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
        let output = request.send().await.map_err(|error| port_error(context, error))?;
        let stored = output.attributes.unwrap_or_default();
        let Some(arn) = stored.get(&QueueAttributeName::QueueArn) else { return Ok(None) };
        Ok(is_current(&stored, arn, rule_arn).then(|| arn.clone()))
    }

    /// Returns whether the queue exists.
    pub(crate) async fn exists(&self, name: &str, context: &'static str) -> Result<bool, PortError> {
        Ok(self.url(name, context).await?.is_some())
    }

    /// Returns the ARN of a queue. Fails with `Unavailable` if the queue does not exist.
    pub(crate) async fn arn(&self, name: &str, context: &'static str) -> Result<String, PortError> {
        let url = self.url(name, context).await?.ok_or_else(|| PortError::new(PortErrorKind::Unavailable, context))?;
        self.arn_of_url(&url, context).await
    }

    async fn url(&self, name: &str, context: &'static str) -> Result<Option<String>, PortError> {
        match self.client.get_queue_url().queue_name(name).send().await {
            Ok(output) => Ok(output.queue_url),
            Err(error) if error.as_service_error().is_some_and(GetQueueUrlError::is_queue_does_not_exist) => Ok(None),
            Err(error) => Err(port_error(context, error)),
        }
    }

    async fn arn_of_url(&self, url: &str, context: &'static str) -> Result<String, PortError> {
        let request = self.client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::QueueArn);
        let output = request.send().await.map_err(|error| port_error(context, error))?;
        let arn = output.attributes.and_then(|mut attributes| attributes.remove(&QueueAttributeName::QueueArn));
        arn.ok_or_else(|| PortError::new(PortErrorKind::Unavailable, context))
    }
}

/// The name of a fleet's feed queue. The fleet's rule has the same name.
pub(crate) fn queue_name(prefix: &str, fleet_id: &FleetId) -> String {
    format!("{prefix}{fleet_id}")
}

type Attributes = HashMap<QueueAttributeName, String>;

fn attributes() -> Attributes {
    Attributes::from([
        (QueueAttributeName::MessageRetentionPeriod, FEED_RETENTION_S.to_string()),
        (QueueAttributeName::VisibilityTimeout, VISIBILITY_TIMEOUT_S.to_string()),
        (QueueAttributeName::MaximumMessageSize, MAX_MESSAGE_BYTES.to_string()),
        (QueueAttributeName::SqsManagedSseEnabled, "true".to_owned()),
    ])
}

/// Whether the stored attributes contain those that a feed queue has, and its policy.
fn is_current(stored: &Attributes, queue_arn: &str, rule_arn: &str) -> bool {
    let parsed = |policy: &str| serde_json::from_str::<serde_json::Value>(policy).ok();
    let policy = stored.get(&QueueAttributeName::Policy).and_then(|policy| parsed(policy));
    attributes().iter().all(|(name, value)| stored.get(name) == Some(value))
        && policy.is_some_and(|policy| Some(policy) == parsed(&send_policy(queue_arn, rule_arn)))
}

/// The queue policy that allows one rule, and no other rule of the account, to send to the queue.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_rule_of_the_fleet_may_send() {
        let policy: serde_json::Value = serde_json::from_str(&send_policy("queue", "rule")).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 1);
        assert_eq!(statements[0]["Principal"], json!({ "Service": "events.amazonaws.com" }));
        assert_eq!(statements[0]["Condition"], json!({ "ArnEquals": { "aws:SourceArn": "rule" } }));
        assert_eq!((&statements[0]["Action"], &statements[0]["Resource"]), (&json!("sqs:SendMessage"), &json!("queue")));
    }

    #[test]
    fn queue_is_current_only_with_its_attributes_and_policy() {
        let mut stored = attributes();
        assert!(!is_current(&stored, "queue", "rule"), "without a policy");
        let policy: serde_json::Value = serde_json::from_str(&send_policy("queue", "rule")).unwrap();
        stored.insert(QueueAttributeName::Policy, format!("{policy:#}"));
        assert!(is_current(&stored, "queue", "rule"), "spaces do not matter");
        assert!(!is_current(&stored, "queue", "rule on another bus"));
        stored.insert(QueueAttributeName::VisibilityTimeout, "1".to_owned());
        assert!(!is_current(&stored, "queue", "rule"), "another visibility timeout");
    }

    #[test]
    fn feed_queue_has_no_redrive_policy() {
        assert!(!attributes().contains_key(&QueueAttributeName::RedrivePolicy));
    }
}
