//! The channel of each fleet: a queue in SQS and a rule in `EventBridge`.
//!
//! ```text
//! delivery bus ─ rule <prefix><fleetId> ─► queue <prefix><fleetId>
//!                                  └ failed ► the dead-letter queue of the stack
//! ```

use roadcast_domain::fleet::Fleet;
use roadcast_ports::PortError;
use roadcast_ports::provisioning::{ChannelParts, FleetChannel};

use crate::eventbridge::fleet_rules::FleetRules;
use crate::eventbridge::{NotABusArn, WebhookRule};
use crate::sdk::LazyClient;
use crate::sqs::fleet_queues::{FleetQueues, queue_name};

const TARGET_QUEUE: &str = "looking up the queue for a fleet's rule";
const STATUS: &str = "looking up a fleet's queue and rule";
/// The tag of queues and rules that holds the fleet id.
const FLEET_TAG: &str = "roadcast:fleetId";

/// Creates and deletes the queues and rules of fleets.
#[derive(Clone, Debug)]
pub struct FleetChannels {
    queues: FleetQueues,
    rules: FleetRules,
    prefix: String,
}

impl FleetChannels {
    /// Creates the adapter for queues and rules with the given name prefix. Rules are in the region and account of the given
    /// first delivery bus, each on the bus that its fleet names. What they cannot deliver is sent to the given dead-letter
    /// queue. On a further delivery bus, there is also the rule of webhooks.
    pub fn new(
        sqs: LazyClient<aws_sdk_sqs::Client>,
        eventbridge: LazyClient<aws_sdk_eventbridge::Client>,
        queue_name_prefix: impl Into<String>,
        delivery_bus_arn: &str,
        dead_letter_queue_arn: impl Into<String>,
        webhooks: WebhookRule,
    ) -> Result<Self, NotABusArn> {
        let rules = FleetRules::new(eventbridge, delivery_bus_arn, dead_letter_queue_arn.into(), webhooks)?;
        Ok(Self { queues: FleetQueues::new(sqs), rules, prefix: queue_name_prefix.into() })
    }

    fn name(&self, fleet: &Fleet) -> String {
        queue_name(&self.prefix, &fleet.fleet_id)
    }
}

fn tag(fleet: &Fleet) -> (&'static str, &str) {
    (FLEET_TAG, fleet.fleet_id.as_str())
}

impl FleetChannel for FleetChannels {
    async fn ensure_queue(&self, fleet: &Fleet) -> Result<(), PortError> {
        let name = self.name(fleet);
        self.queues.ensure(&name, &self.rules.arn(fleet, &name), tag(fleet)).await
    }

    async fn ensure_rule(&self, fleet: &Fleet) -> Result<(), PortError> {
        let name = self.name(fleet);
        let queue_arn = self.queues.arn(&name, TARGET_QUEUE).await?;
        self.rules.ensure_bus(fleet).await?;
        self.rules.ensure(fleet, &name, queue_arn, tag(fleet)).await
    }

    async fn remove_rule(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.rules.delete(fleet, &self.name(fleet)).await
    }

    async fn is_drained(&self, fleet: &Fleet) -> Result<bool, PortError> {
        self.queues.is_empty(&self.name(fleet)).await
    }

    async fn remove_queue(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.queues.delete(&self.name(fleet)).await
    }

    async fn status(&self, fleet: &Fleet) -> Result<ChannelParts, PortError> {
        let name = self.name(fleet);
        let rule = self.rules.exists(fleet, &name, STATUS).await?;
        Ok(ChannelParts { queue: self.queues.exists(&name, STATUS).await?, rule })
    }

    async fn is_current(&self, fleet: &Fleet) -> Result<bool, PortError> {
        let name = self.name(fleet);
        let Some(queue_arn) = self.queues.current_arn(&name, &self.rules.arn(fleet, &name), STATUS).await? else {
            return Ok(false);
        };
        self.rules.is_current(fleet, &name, queue_arn, STATUS).await
    }
}
