//! The channel of each fleet: a queue in SQS and a rule in `EventBridge`.
//!
//! ```text
//! delivery bus ─ rule <prefix><fleetId> ─► queue <prefix><fleetId>
//!                                  └ failed ► queue <prefix><fleetId>-dlq
//! ```

use roadcast_domain::fleet::Fleet;
use roadcast_ports::PortError;
use roadcast_ports::provisioning::{ChannelParts, FleetChannel};

use crate::eventbridge::NotABusArn;
use crate::eventbridge::fleet_rules::FleetRules;
use crate::sqs::fleet_queues::{FleetQueues, queue_name};

const TARGET_QUEUES: &str = "looking up the queues for a fleet's rule";
const STATUS: &str = "looking up a fleet's queues and rule";
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
    /// delivery bus, each on the bus that its fleet names.
    pub fn new(
        sqs: aws_sdk_sqs::Client,
        eventbridge: aws_sdk_eventbridge::Client,
        queue_name_prefix: impl Into<String>,
        delivery_bus_arn: &str,
    ) -> Result<Self, NotABusArn> {
        let rules = FleetRules::new(eventbridge, delivery_bus_arn)?;
        Ok(Self { queues: FleetQueues::new(sqs), rules, prefix: queue_name_prefix.into() })
    }

    fn name(&self, fleet: &Fleet) -> String {
        queue_name(&self.prefix, &fleet.fleet_id)
    }

    fn dlq_name(&self, fleet: &Fleet) -> String {
        format!("{}-dlq", self.name(fleet))
    }
}

fn tag(fleet: &Fleet) -> (&'static str, &str) {
    (FLEET_TAG, fleet.fleet_id.as_str())
}

impl FleetChannel for FleetChannels {
    async fn ensure_queue(&self, fleet: &Fleet) -> Result<(), PortError> {
        let name = self.name(fleet);
        let rule_arn = self.rules.arn(fleet, &name);
        self.queues.ensure_dlq(&self.dlq_name(fleet), &rule_arn, tag(fleet)).await?;
        self.queues.ensure_feed(&name, &rule_arn, tag(fleet)).await
    }

    async fn ensure_rule(&self, fleet: &Fleet) -> Result<(), PortError> {
        let name = self.name(fleet);
        let queue_arn = self.queues.arn(&name, TARGET_QUEUES).await?;
        let dlq_arn = self.queues.arn(&self.dlq_name(fleet), TARGET_QUEUES).await?;
        self.rules.ensure(fleet, &name, queue_arn, dlq_arn, tag(fleet)).await
    }

    async fn remove_rule(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.rules.delete(fleet, &self.name(fleet)).await
    }

    async fn is_drained(&self, fleet: &Fleet) -> Result<bool, PortError> {
        self.queues.is_empty(&self.name(fleet)).await
    }

    async fn remove_queue(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.queues.delete(&self.name(fleet)).await?;
        self.queues.delete(&self.dlq_name(fleet)).await
    }

    async fn status(&self, fleet: &Fleet) -> Result<ChannelParts, PortError> {
        let name = self.name(fleet);
        let rule = self.rules.exists(fleet, &name, STATUS).await?;
        Ok(ChannelParts {
            queue: self.queues.exists(&name, STATUS).await?,
            dead_letter_queue: self.queues.exists(&self.dlq_name(fleet), STATUS).await?,
            rule,
        })
    }
}
