//! Subscriptions and their grants, in `reference`.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::entitlement::Grant;
use roadcast_domain::ids::{FleetId, SubscriptionId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::{PortError, PortErrorKind};

use crate::batch_write;
use crate::entitlements::VERSION;
use crate::item::{self, Item, Unreadable};
use crate::keys::{Key, KeyRange, PK};
use crate::sdk_error::port_error;

const CREATE: &str = "creating a subscription";
const READ: &str = "reading subscriptions";
const REPLACE: &str = "replacing a subscription";
const GRANT: &str = "writing grants";
/// The state once more, for conditions to look at.
const STATE: &str = "state";
/// Whose grant it is.
pub(crate) const GRANT_FLEET: &str = "fleetId";
/// Which vehicle's grant it is.
pub(crate) const GRANT_VEHICLE: &str = "vid";

/// Subscriptions in `DynamoDB`. Grants are items of their own, two for each vehicle: they are there from activation on, so
/// a grant that is there is one of an active subscription.
#[derive(Clone, Debug)]
pub struct DynamoSubscriptions {
    client: Client,
    table: String,
}

impl DynamoSubscriptions {
    /// The subscriptions in that table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl Subscriptions for DynamoSubscriptions {
    async fn create(&self, subscription: &Subscription) -> Result<(), PortError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(encode(subscription, CREATE)?));
        let put = put.condition_expression("attribute_not_exists(#pk)").expression_attribute_names("#pk", PK);
        put.send().await.map(|_| ()).map_err(|error| port_error(CREATE, error))
    }

    async fn get(&self, fleet_id: &FleetId, subscription_id: &SubscriptionId) -> Result<Option<Subscription>, PortError> {
        let item = item::get(&self.client, &self.table, &Key::subscription(fleet_id, subscription_id), READ).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))
    }

    async fn list(
        &self,
        fleet_id: &FleetId,
        after: Option<&SubscriptionId>,
        limit: usize,
    ) -> Result<Vec<Subscription>, PortError> {
        item::records(&self.client, &self.table, &KeyRange::subscriptions(fleet_id, after), limit, READ).await
    }

    async fn replace(&self, subscription: &Subscription, from: SubscriptionState) -> Result<(), PortError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(encode(subscription, REPLACE)?));
        let put = put.condition_expression("#state = :from").expression_attribute_names("#state", STATE);
        let put = put.expression_attribute_values(":from", state_value(from, REPLACE)?);
        put.send().await.map(|_| ()).map_err(|error| port_error(REPLACE, error))
    }

    async fn write_grants(&self, subscription: &Subscription) -> Result<(), PortError> {
        batch_write::put_all(&self.client, &self.table, grants(subscription)?, GRANT).await?;
        // Afterwards: who sees the new version must find the grants.
        let raise = self.client.update_item().table_name(&self.table);
        let raise = raise.set_key(Some(Key::entitlements_version().attributes()));
        let raise = raise.update_expression("ADD #version :one").expression_attribute_names("#version", VERSION);
        let raise = raise.expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        raise.send().await.map(|_| ()).map_err(|error| port_error(GRANT, error))
    }
}

fn encode(subscription: &Subscription, context: &'static str) -> Result<Item, PortError> {
    let key = Key::subscription(&subscription.fleet_id, &subscription.subscription_id);
    let mut item = item::with_record(&key, subscription, context)?;
    item.insert(STATE.to_owned(), state_value(subscription.state, context)?);
    Ok(item)
}

fn state_value(state: SubscriptionState, context: &'static str) -> Result<AttributeValue, PortError> {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(name)) => Ok(AttributeValue::S(name)),
        Ok(_) => Err(PortError::new(PortErrorKind::Rejected, context)),
        Err(error) => Err(Unreadable::because(STATE, error).into_port_error(context)),
    }
}

/// The items of a subscription's grants, by vehicle and by fleet.
fn grants(subscription: &Subscription) -> Result<BTreeMap<Key, Item>, PortError> {
    let (fleet_id, id) = (&subscription.fleet_id, &subscription.subscription_id);
    let grant = Grant::of(subscription);
    let mut items = BTreeMap::new();
    for vid in &subscription.vehicles {
        for key in [Key::grant_by_vehicle(vid, fleet_id, id), Key::grant_by_fleet(fleet_id, vid, id)] {
            let mut item = item::with_record(&key, &grant, GRANT)?;
            item.insert(GRANT_FLEET.to_owned(), AttributeValue::S(fleet_id.to_string()));
            item.insert(GRANT_VEHICLE.to_owned(), AttributeValue::S(vid.to_string()));
            items.insert(key, item);
        }
    }
    Ok(items)
}
