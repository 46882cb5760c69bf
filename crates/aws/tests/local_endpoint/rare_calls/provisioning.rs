//! Fleets on further delivery buses, which only a deployment of hundreds of fleets has.

use roadcast_aws::{DynamoFleets, FleetChannels, OsRandomness, Sdk, WebhookRule};
use roadcast_domain::ids::FleetId;
use roadcast_ports::conformance::{self as suites, Fixtures};
use roadcast_ports::provisioning::FleetChannel as _;

use super::REFERENCE;
use crate::stack::REGION;

/// Counts places on buses, and provisions a fleet on the second bus. Returns the fleet.
pub(super) async fn make(onboarding: &Sdk, provisioner: &Sdk) -> FleetId {
    suites::places_on_buses(&DynamoFleets::new(onboarding.dynamodb(), REFERENCE), &OsRandomness).await;

    let bus_arn = format!("arn:aws:events:{REGION}:000000000000:event-bus/roadcast-local-delivery");
    let dead_letters = format!("arn:aws:sqs:{REGION}:000000000000:roadcast-local-dead-letters");
    let queue_arn = format!("arn:aws:sqs:{REGION}:000000000000:roadcast-local-webhook-events");
    let webhooks = WebhookRule { name: "roadcast-local-webhooks".to_owned(), queue_arn };
    let (sqs, events) = (provisioner.sqs(), provisioner.eventbridge());
    let channels = FleetChannels::new(sqs, events, "roadcast-local-feed-", &bus_arn, dead_letters, webhooks).unwrap();
    let fleet = Fixtures::new(&OsRandomness).fleet("roadcast-local-delivery-2");
    channels.ensure_queue(&fleet).await.unwrap();
    channels.ensure_rule(&fleet).await.unwrap();
    assert!(channels.is_current(&fleet).await.unwrap());
    fleet.fleet_id
}
