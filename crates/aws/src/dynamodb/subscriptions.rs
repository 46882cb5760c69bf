//! Subscriptions and their grants, in `reference`.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::audit::Change;
use roadcast_domain::entitlement::Grant;
use roadcast_domain::ids::{FleetId, SubscriptionId, VehicleId};
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::{PortError, PortErrorKind};

use crate::dynamodb::attributes::{EPOCH, GRANT_FLEET, GRANT_VEHICLE, OFFBOARDING, VERSION};
use crate::dynamodb::item::{self, InvalidAttribute, Item};
use crate::dynamodb::keys::{Key, KeyRange};
use crate::dynamodb::transaction::{ACTIONS_PER_TRANSACTION, Condition, Transaction};
use crate::sdk_error::port_error;

const CREATE: &str = "creating a subscription";
const READ: &str = "reading subscriptions";
const REPLACE: &str = "replacing a subscription";
const UPDATE: &str = "updating a subscription";
const CLAIM: &str = "claiming a version of a subscription";
const GRANT: &str = "writing grants";
const NARROW: &str = "narrowing grants";
/// The state of the subscription. Conditions read it.
const STATE: &str = "state";

/// Subscriptions in `DynamoDB`. Grants are items of their own, two per vehicle, which exist from activation until the
/// subscription is revoked. Each transaction that changes grants checks the version of the subscription, so that grants
/// and record always come from the same change.
#[derive(Clone, Debug)]
pub struct DynamoSubscriptions {
    client: Client,
    table: String,
}

impl DynamoSubscriptions {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl Subscriptions for DynamoSubscriptions {
    async fn create(&self, subscription: &Subscription, change: &Change) -> Result<(), PortError> {
        let key = Key::subscription(&subscription.fleet_id, &subscription.subscription_id);
        Transaction::new(&self.client, CREATE)
            .put(&self.table, encode(subscription, CREATE)?, &key, Condition::Absent)?
            .check(&self.table, &Key::fleet(&subscription.fleet_id), Condition::AttributeAbsent(OFFBOARDING))?
            .record_change(&self.table, change)?
            .commit()
            .await
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
        let condition = at_version(subscription, Some(("=", from)), REPLACE)?;
        let change = Change::provisioning_step(from, subscription);
        self.put_next(subscription, condition, REPLACE)?.record_change(&self.table, &change)?.commit().await
    }

    async fn update(&self, subscription: &Subscription, change: &Change) -> Result<(), PortError> {
        let condition = at_version(subscription, None, UPDATE)?;
        self.put_next(subscription, condition, UPDATE)?.record_change(&self.table, change)?.commit().await
    }

    async fn claim_version(&self, stored: &Subscription) -> Result<(), PortError> {
        let condition = at_version(stored, None, CLAIM)?;
        self.put_next(stored, condition, CLAIM)?.commit().await
    }

    async fn write_grants(&self, subscription: &Subscription) -> Result<(), PortError> {
        let (fleet_id, id) = (&subscription.fleet_id, &subscription.subscription_id);
        let grant = Grant::for_subscription(subscription);
        let vehicles: Vec<&VehicleId> = BTreeSet::from_iter(&subscription.vehicles).into_iter().collect();
        // Two items per vehicle, and the check of the subscription.
        for chunk in vehicles.chunks((ACTIONS_PER_TRANSACTION - 1) / 2) {
            let mut writes = self.while_at_version(subscription, GRANT)?;
            for vid in chunk {
                for key in grant_keys(fleet_id, vid, id) {
                    let item = grant_item(&key, fleet_id, vid, &grant, GRANT)?;
                    writes = writes.put(&self.table, item, &key, Condition::None)?;
                }
            }
            writes.commit().await?;
        }
        // After the grants are written, because a reader of the new version must find them.
        self.raise_version(GRANT).await
    }

    async fn narrow_grants(
        &self,
        subscription: &Subscription,
        vehicles: &[VehicleId],
        remaining: Option<&Grant>,
    ) -> Result<(), PortError> {
        let (fleet_id, id) = (&subscription.fleet_id, &subscription.subscription_id);
        let vehicles: Vec<&VehicleId> = BTreeSet::from_iter(vehicles).into_iter().collect();
        // Two grants and two epochs per vehicle, and the check of the subscription.
        for chunk in vehicles.chunks((ACTIONS_PER_TRANSACTION - 1) / 4) {
            let mut writes = self.while_at_version(subscription, NARROW)?;
            for vid in chunk {
                for key in grant_keys(fleet_id, vid, id) {
                    writes = match remaining {
                        Some(remaining) => {
                            let item = grant_item(&key, fleet_id, vid, remaining, NARROW)?;
                            writes.put(&self.table, item, &key, Condition::None)?
                        }
                        None => writes.delete(&self.table, &key, Condition::None)?,
                    };
                }
                for key in [Key::epoch_by_vehicle(vid, fleet_id), Key::epoch_by_fleet(fleet_id, vid)] {
                    writes = writes.increment(&self.table, &key, EPOCH, pair_attributes(fleet_id, vid))?;
                }
            }
            writes.commit().await?;
        }
        // After the grants are narrowed, because a reader of the new version must not find the removed ones.
        self.raise_version(NARROW).await
    }
}

impl DynamoSubscriptions {
    /// Starts a transaction that stores the subscription as its next version.
    fn put_next(
        &self,
        subscription: &Subscription,
        condition: Condition,
        context: &'static str,
    ) -> Result<Transaction, PortError> {
        let next = Subscription { version: subscription.version + 1, ..subscription.clone() };
        let key = Key::subscription(&next.fleet_id, &next.subscription_id);
        Transaction::new(&self.client, context).put(&self.table, encode(&next, context)?, &key, condition)
    }

    /// Starts a transaction that fails with `Conflict` once the subscription was changed or revoked.
    fn while_at_version(&self, subscription: &Subscription, context: &'static str) -> Result<Transaction, PortError> {
        let key = Key::subscription(&subscription.fleet_id, &subscription.subscription_id);
        let condition = at_version(subscription, Some(("<>", SubscriptionState::Revoked)), context)?;
        Transaction::new(&self.client, context).check(&self.table, &key, condition)
    }

    async fn raise_version(&self, context: &'static str) -> Result<(), PortError> {
        let raise = self.client.update_item().table_name(&self.table);
        let raise = raise.set_key(Some(Key::entitlements_version().attributes()));
        let raise = raise.update_expression("ADD #version :one").expression_attribute_names("#version", VERSION);
        let raise = raise.expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        raise.send().await.map(|_| ()).map_err(|error| port_error(context, error))
    }
}

fn encode(subscription: &Subscription, context: &'static str) -> Result<Item, PortError> {
    let key = Key::subscription(&subscription.fleet_id, &subscription.subscription_id);
    let mut item = item::with_record(&key, subscription, context)?;
    item.insert(STATE.to_owned(), state_value(subscription.state, context)?);
    item.insert(VERSION.to_owned(), AttributeValue::N(subscription.version.to_string()));
    Ok(item)
}

/// Requires that the stored subscription has this version, and that its state satisfies the comparison, if one is given. A
/// subscription that was stored before versions existed has version 1.
fn at_version(
    subscription: &Subscription,
    state: Option<(&str, SubscriptionState)>,
    context: &'static str,
) -> Result<Condition, PortError> {
    let mut names = HashMap::from([("#version".to_owned(), VERSION.to_owned()), ("#state".to_owned(), STATE.to_owned())]);
    let mut values = Item::from([(":version".to_owned(), AttributeValue::N(subscription.version.to_string()))]);
    let mut text = "#version = :version".to_owned();
    if subscription.version == 1 {
        text = format!("({text} OR (attribute_exists(#state) AND attribute_not_exists(#version)))");
    }
    if let Some((operator, state)) = state {
        text = format!("#state {operator} :state AND {text}");
        values.insert(":state".to_owned(), state_value(state, context)?);
    } else if subscription.version != 1 {
        names.remove("#state");
    }
    Ok(Condition::Expression(text, values, names))
}

fn state_value(state: SubscriptionState, context: &'static str) -> Result<AttributeValue, PortError> {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(name)) => Ok(AttributeValue::S(name)),
        Ok(_) => Err(PortError::new(PortErrorKind::Internal, context)),
        Err(error) => Err(InvalidAttribute::with_source(STATE, error).into_port_error(context)),
    }
}

/// Returns the two keys of a grant: by vehicle and by fleet.
fn grant_keys(fleet_id: &FleetId, vid: &VehicleId, id: &SubscriptionId) -> [Key; 2] {
    [Key::grant_by_vehicle(vid, fleet_id, id), Key::grant_by_fleet(fleet_id, vid, id)]
}

fn grant_item(
    key: &Key,
    fleet_id: &FleetId,
    vid: &VehicleId,
    grant: &Grant,
    context: &'static str,
) -> Result<Item, PortError> {
    let mut item = item::with_record(key, grant, context)?;
    item.extend(pair_attributes(fleet_id, vid));
    Ok(item)
}

/// Returns the attributes that identify the fleet–vehicle pair.
fn pair_attributes(fleet_id: &FleetId, vid: &VehicleId) -> Item {
    Item::from([
        (GRANT_FLEET.to_owned(), AttributeValue::S(fleet_id.to_string())),
        (GRANT_VEHICLE.to_owned(), AttributeValue::S(vid.to_string())),
    ])
}
