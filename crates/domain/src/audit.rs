//! The audit trail: who changed what of a fleet, and when.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fleet::{Client, Fleet};
use crate::ids::{ClientId, Eid, FleetId, SubscriptionId};
use crate::subscription::{Subscription, SubscriptionState};

/// A change of a fleet, a client of it or a subscription. It holds neither a secret nor a VIN, as nothing of which it tells does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Its place in the trail: a ULID of its time. The same change always has the same one.
    pub change_id: Eid,
    /// The fleet.
    pub fleet_id: FleetId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Author,
    /// What.
    pub of: Changed,
    /// The members that changed, as they were; none where it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Map<String, Value>>,
    /// The members that changed, as they are now; all where it is new, none where it is gone.
    pub after: Map<String, Value>,
}

/// Who changes things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Author {
    /// An admin's client.
    Admin {
        /// The client.
        client_id: ClientId,
    },
    /// The workflow that provisions subscriptions.
    Provisioning,
    /// The workflow that removes what a leaving fleet has.
    Offboarding,
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Changed {
    /// The fleet itself.
    Fleet,
    /// A client of it.
    Client {
        /// The client.
        client_id: ClientId,
    },
    /// A subscription of it.
    Subscription {
        /// The subscription.
        subscription_id: SubscriptionId,
    },
}

/// Members that tell nothing: they stand in the change itself, or follow from it.
const LEFT_OUT: [&str; 7] = ["fleetId", "clientId", "subscriptionId", "version", "createdAt", "updatedAt", "deliveryBus"];

impl Change {
    /// A fleet was created, or became another. Both are as they were read or asked for: the next version is the store's.
    pub fn of_fleet(by: Author, before: Option<&Fleet>, after: &Fleet, at: Timestamp) -> Self {
        let turn = after.version + u64::from(before.is_some());
        Self::new(&after.fleet_id, at, by, Changed::Fleet, before.map(members), members(after), turn)
    }

    /// A client was created; nothing where it is no fleet's.
    pub fn of_client(by: Author, client: &Client) -> Option<Self> {
        Self::of_known_client(by, client.created_at, client, None, members(client), 1)
    }

    /// A client's secret was shown; nothing where it is no fleet's.
    pub fn of_shown_secret(by: Author, before: &Client, after: &Client, at: Timestamp) -> Option<Self> {
        Self::of_known_client(by, at, before, Some(members(before)), members(after), 2)
    }

    /// A client was removed; nothing where it was no fleet's.
    pub fn of_removed_client(by: Author, client: &Client, at: Timestamp) -> Option<Self> {
        Self::of_known_client(by, at, client, Some(members(client)), Map::new(), 3)
    }

    fn of_known_client(
        by: Author,
        at: Timestamp,
        client: &Client,
        before: Option<Map<String, Value>>,
        after: Map<String, Value>,
        turn: u64,
    ) -> Option<Self> {
        let of = Changed::Client { client_id: client.client_id.clone() };
        Some(Self::new(client.fleet_id()?, at, by, of, before, after, turn))
    }

    /// A subscription was created, or became another. Both are as they were read or asked for: the next version is the store's.
    pub fn of_subscription(by: Author, before: Option<&Subscription>, after: &Subscription) -> Self {
        let of = Changed::Subscription { subscription_id: after.subscription_id.clone() };
        let (fleet_id, at) = (&after.fleet_id, after.updated_at);
        let turn = after.version + u64::from(before.is_some());
        Self::new(fleet_id, at, by, of, before.map(members), members(after), turn)
    }

    /// A step of the workflow that provisions a subscription.
    pub fn of_provisioning(from: SubscriptionState, after: &Subscription) -> Self {
        let before = Subscription { state: from, reason: None, ..after.clone() };
        Self::of_subscription(Author::Provisioning, Some(&before), after)
    }

    /// The state that a subscription got into by this change, if it is one of a subscription and got it into another.
    pub fn state(&self) -> Option<SubscriptionState> {
        if !matches!(self.of, Changed::Subscription { .. }) {
            return None;
        }
        serde_json::from_value(self.after.get("state")?.clone()).ok()
    }

    fn new(
        fleet_id: &FleetId,
        at: Timestamp,
        by: Author,
        of: Changed,
        before: Option<Map<String, Value>>,
        mut after: Map<String, Value>,
        turn: u64,
    ) -> Self {
        let before = before.map(|mut before| {
            let same: Vec<String> = before
                .iter()
                .filter(|(name, value)| after.get(*name) == Some(value))
                .map(|(name, _)| name.clone())
                .collect();
            for name in same {
                before.remove(&name);
                after.remove(&name);
            }
            before
        });
        // Changes of one millisecond lie by their turns, and by what they are of.
        let named = match &of {
            Changed::Fleet => fleet_id.as_str(),
            Changed::Client { client_id } => client_id.as_str(),
            Changed::Subscription { subscription_id } => subscription_id.as_str(),
        };
        let name = named.bytes().fold(0_u64, |name, byte| name.rotate_left(5) ^ u64::from(byte));
        let salt = u128::from(turn) << 64 | u128::from(name);
        Self { change_id: Eid::stamped(at, salt), fleet_id: fleet_id.clone(), at, by, of, before, after }
    }
}

/// What is to tell of a record.
fn members(record: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(record) {
        Ok(Value::Object(mut members)) => {
            members.retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
            members
        }
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::subscription::{DeliveryFormat, Validity};

    fn subscription() -> Subscription {
        let at = Timestamp::from_ms(1000);
        Subscription {
            subscription_id: SubscriptionId::from_random(1),
            fleet_id: FleetId::from_random(2),
            vehicles: vec![],
            packages: vec!["alerts".to_owned()],
            delivery_format: DeliveryFormat::Json,
            validity: Validity { valid_from: at, valid_until: Some(at.plus_ms(9)) },
            state: SubscriptionState::Active,
            attempts: 1,
            reason: None,
            version: 3,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn a_change_tells_what_differs_and_nothing_else() {
        let before = subscription();
        let validity = Validity { valid_until: None, ..before.validity };
        let after = Subscription { state: SubscriptionState::Suspended, validity, version: 4, ..before.clone() };
        let by = Author::Admin { client_id: ClientId::new("a") };
        let change = Change::of_subscription(by, Some(&before), &after);
        let told = serde_json::to_value(&change).unwrap();
        assert_eq!(told["by"], json!({"kind": "admin", "clientId": "a"}));
        assert_eq!(told["of"], json!({"kind": "subscription", "subscriptionId": after.subscription_id}));
        assert_eq!(told["before"], json!({"state": "active", "validUntil": before.validity.valid_until}));
        assert_eq!(told["after"], json!({"state": "suspended"}));
        assert_eq!(change.state(), Some(SubscriptionState::Suspended));
        assert_eq!(serde_json::from_value::<Change>(told).unwrap(), change);
    }

    #[test]
    fn changes_of_one_millisecond_have_places_of_their_own_and_the_same_change_the_same() {
        let before = subscription();
        let place = |version, id| {
            let after = Subscription { version, subscription_id: SubscriptionId::from_random(id), ..subscription() };
            Change::of_subscription(Author::Provisioning, Some(&before), &after).change_id
        };
        assert_eq!(place(3, 1), place(3, 1));
        let places: std::collections::BTreeSet<Eid> = (1..40)
            .flat_map(|version| (1..40).map(move |id| (version, id)))
            .map(|(version, id)| place(version, id))
            .collect();
        assert_eq!(places.len(), 39 * 39);
    }
}
