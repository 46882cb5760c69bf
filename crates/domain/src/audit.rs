//! The audit trails of fleets and clients: who changed which resource, and when.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::alert_rule::AlertRuleRecord;
use crate::fleet::{Client, Fleet};
use crate::ids::{ChangeId, ClientId, EndpointId, FleetId, RuleId, SubscriptionId};
use crate::subscription::{Subscription, SubscriptionState};
use crate::webhook::Endpoint;

/// A change to a fleet, a client, a subscription, a webhook endpoint or an alert rule. It is in the audit trail of its fleet; a
/// change to a client is also in the audit trail of the client. Rules of the operator have an audit trail of their own. Contains
/// neither a secret nor a VIN, because none of these resources does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Position in the audit trail: a ULID with the time of the change. The same change always has the same id.
    pub change_id: ChangeId,
    /// The fleet; absent for an ingest client and a rule of the operator, which have no fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet_id: Option<FleetId>,
    /// Time of the change.
    pub at: Timestamp,
    /// Who made the change.
    pub by: Author,
    /// The resource that was changed.
    #[serde(rename = "of")]
    pub resource: ChangedResource,
    /// The members that changed, with their old values; absent if the resource is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Map<String, Value>>,
    /// The members that changed, with their new values; all members if the resource is new, none if it was removed.
    pub after: Map<String, Value>,
}

/// Who made a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Author {
    /// An admin.
    Admin {
        /// The admin's machine client.
        client_id: ClientId,
    },
    /// A client of the fleet.
    Fleet,
    /// The workflow that provisions subscriptions.
    Provisioning,
    /// The workflow that offboards a fleet.
    Offboarding,
    /// The delivery of webhooks, which disables endpoints.
    Delivery,
    /// The erasure of vehicles, which removes them from subscriptions.
    Erasure,
}

/// The resource that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ChangedResource {
    /// The fleet itself.
    Fleet,
    /// A client of the fleet, or an ingest client.
    Client {
        /// The client.
        client_id: ClientId,
    },
    /// One of the fleet's subscriptions.
    Subscription {
        /// The subscription.
        subscription_id: SubscriptionId,
    },
    /// One of the fleet's webhook endpoints.
    Endpoint {
        /// The endpoint.
        endpoint_id: EndpointId,
    },
    /// An alert rule of the fleet, or of the operator.
    AlertRule {
        /// The rule.
        rule_id: RuleId,
    },
}

impl ChangedResource {
    fn client(client: &Client) -> Self {
        Self::Client { client_id: client.client_id.clone() }
    }

    fn endpoint(endpoint: &Endpoint) -> Self {
        Self::Endpoint { endpoint_id: endpoint.endpoint_id.clone() }
    }

    fn alert_rule(rule: &AlertRuleRecord) -> Self {
        Self::AlertRule { rule_id: rule.rule_id.clone() }
    }
}

/// Members that are omitted: they are part of the change itself or follow from it.
const OMITTED_MEMBERS: [&str; 11] = [
    "fleetId",
    "clientId",
    "subscriptionId",
    "endpointId",
    "ruleId",
    "version",
    "createdAt",
    "updatedAt",
    "deliveryBus",
    "hasBusPlace",
    // Follows from the endpoints of the fleet.
    "webhooks",
];
impl Change {
    /// A fleet was created (`before` is `None`) or updated. `before` and `after` have the version that was read; the store
    /// assigns the next one.
    pub fn fleet_changed(by: Author, before: Option<&Fleet>, after: &Fleet, at: Timestamp) -> Self {
        let sequence = after.version + u64::from(before.is_some());
        Self::new(Some(&after.fleet_id), at, by, ChangedResource::Fleet, before.map(members), members(after), sequence)
    }

    /// A client was created (`before` is `None`) or updated. `before` and `after` have the version that was read; the store
    /// assigns the next one.
    pub fn client_changed(by: Author, before: Option<&Client>, after: &Client, at: Timestamp) -> Self {
        let sequence = after.version + u64::from(before.is_some());
        Self::new(after.fleet_id(), at, by, ChangedResource::client(after), before.map(members), members(after), sequence)
    }

    /// A client was removed.
    pub fn client_removed(by: Author, client: &Client, at: Timestamp) -> Self {
        let resource = ChangedResource::client(client);
        Self::new(client.fleet_id(), at, by, resource, Some(members(client)), Map::new(), client.version + 1)
    }

    /// Returns the changed client; `None` if the change is of another resource.
    pub const fn client_id(&self) -> Option<&ClientId> {
        match &self.resource {
            ChangedResource::Client { client_id } => Some(client_id),
            ChangedResource::Fleet
            | ChangedResource::Subscription { .. }
            | ChangedResource::Endpoint { .. }
            | ChangedResource::AlertRule { .. } => None,
        }
    }

    /// Whether the change is of a rule of the operator.
    pub const fn is_of_operator_rule(&self) -> bool {
        self.fleet_id.is_none() && matches!(self.resource, ChangedResource::AlertRule { .. })
    }

    /// A subscription was created (`before` is `None`) or updated. `before` and `after` have the version that was read; the
    /// store assigns the next one.
    pub fn subscription_changed(by: Author, before: Option<&Subscription>, after: &Subscription) -> Self {
        let resource = ChangedResource::Subscription { subscription_id: after.subscription_id.clone() };
        let (fleet_id, at) = (Some(&after.fleet_id), after.updated_at);
        let sequence = after.version + u64::from(before.is_some());
        Self::new(fleet_id, at, by, resource, before.map(members), members(after), sequence)
    }

    /// An endpoint was created (`before` is `None`) or updated. `before` and `after` have the version that was read; the store
    /// assigns the next one.
    pub fn endpoint_changed(by: Author, before: Option<&Endpoint>, after: &Endpoint, at: Timestamp) -> Self {
        let sequence = after.version + u64::from(before.is_some());
        let before = before.map(endpoint_members);
        let resource = ChangedResource::endpoint(after);
        Self::new(Some(&after.fleet_id), at, by, resource, before, endpoint_members(after), sequence)
    }

    /// An endpoint was removed.
    pub fn endpoint_removed(by: Author, endpoint: &Endpoint, at: Timestamp) -> Self {
        let (fleet_id, resource) = (Some(&endpoint.fleet_id), ChangedResource::endpoint(endpoint));
        Self::new(fleet_id, at, by, resource, Some(endpoint_members(endpoint)), Map::new(), endpoint.version + 1)
    }

    /// An alert rule was created (`before` is `None`) or replaced. `after` has the next version.
    pub fn alert_rule_changed(by: Author, before: Option<&AlertRuleRecord>, after: &AlertRuleRecord) -> Self {
        let (fleet_id, resource) = (after.owner.fleet_id(), ChangedResource::alert_rule(after));
        let (before, members) = (before.map(alert_rule_members), alert_rule_members(after));
        Self::new(fleet_id, after.updated_at, by, resource, before, members, after.version)
    }

    /// An alert rule was removed.
    pub fn alert_rule_removed(by: Author, rule: &AlertRuleRecord, at: Timestamp) -> Self {
        let (fleet_id, resource) = (rule.owner.fleet_id(), ChangedResource::alert_rule(rule));
        Self::new(fleet_id, at, by, resource, Some(alert_rule_members(rule)), Map::new(), rule.version + 1)
    }

    /// The provisioning workflow moved a subscription from state `from` to the state of `after`.
    pub fn provisioning_step(from: SubscriptionState, after: &Subscription) -> Self {
        let before = Subscription { state: from, reason: None, ..after.clone() };
        Self::subscription_changed(Author::Provisioning, Some(&before), after)
    }

    /// The new state of a subscription. `None` if this is no change of a subscription or the state did not change.
    pub fn subscription_state(&self) -> Option<SubscriptionState> {
        if !matches!(self.resource, ChangedResource::Subscription { .. }) {
            return None;
        }
        serde_json::from_value(self.after.get("state")?.clone()).ok()
    }

    fn new(
        fleet_id: Option<&FleetId>,
        at: Timestamp,
        by: Author,
        resource: ChangedResource,
        before: Option<Map<String, Value>>,
        mut after: Map<String, Value>,
        sequence: u64,
    ) -> Self {
        let before = before.map(|mut before| {
            let unchanged: Vec<String> = before
                .iter()
                .filter(|(name, value)| after.get(*name) == Some(value))
                .map(|(name, _)| name.clone())
                .collect();
            for name in unchanged {
                before.remove(&name);
                after.remove(&name);
            }
            before
        });
        // Changes of one millisecond are ordered by their sequence numbers, then by their resources.
        let resource_id = match &resource {
            ChangedResource::Fleet => fleet_id.map_or("", FleetId::as_str),
            ChangedResource::Client { client_id } => client_id.as_str(),
            ChangedResource::Subscription { subscription_id } => subscription_id.as_str(),
            ChangedResource::Endpoint { endpoint_id } => endpoint_id.as_str(),
            ChangedResource::AlertRule { rule_id } => rule_id.as_str(),
        };
        let hash = resource_id.bytes().fold(0_u64, |hash, byte| hash.rotate_left(5) ^ u64::from(byte));
        let salt = u128::from(sequence) << 64 | u128::from(hash);
        Self {
            change_id: ChangeId::from_time_and_salt(at, salt),
            fleet_id: fleet_id.cloned(),
            at,
            by,
            resource,
            before,
            after,
        }
    }
}

/// The members of a resource that belong into the audit trail.
fn members(resource: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(resource) {
        Ok(Value::Object(mut members)) => {
            members.retain(|name, _| !OMITTED_MEMBERS.contains(&name.as_str()));
            members
        }
        _ => Map::new(),
    }
}

/// The members of an endpoint that belong into the audit trail: of its secrets their times, and of its sealed headers a digest,
/// which shows that they changed.
fn endpoint_members(endpoint: &Endpoint) -> Map<String, Value> {
    let mut members = members(endpoint);
    if let Some(Value::String(sealed)) = members.remove("sealedHeaders") {
        let digest = Sha256::digest(sealed.as_bytes());
        members.insert("headersDigest".to_owned(), Value::String(hex_of(&digest[..8])));
    }
    for secret in members.get_mut("secrets").and_then(Value::as_array_mut).into_iter().flatten() {
        secret.as_object_mut().map(|secret| secret.remove("sealed"));
    }
    members
}

/// Maximum bytes of the definition of an alert rule in the audit trail. A page of changes must fit into a response.
const DEFINITION_BYTES: usize = 4096;

/// The members of an alert rule that belong into the audit trail. Of a long definition there is a digest, which shows that it changed.
fn alert_rule_members(rule: &AlertRuleRecord) -> Map<String, Value> {
    let mut members = members(rule);
    if rule.definition.len() > DEFINITION_BYTES {
        let digest = format!("sha256:{}", hex_of(&Sha256::digest(rule.definition.as_bytes())));
        members.insert("definition".to_owned(), Value::String(digest));
    }
    members
}

fn hex_of(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::subscription::{DeliveryFormat, Validity};

    fn subscription() -> Subscription {
        let at = Timestamp::from_ms(1000);
        Subscription {
            subscription_id: SubscriptionId::from_random_bits(1),
            fleet_id: FleetId::from_random_bits(2),
            vehicles: vec![],
            packages: vec!["alerts".parse().unwrap()],
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
    fn change_contains_only_the_members_that_differ() {
        let before = subscription();
        let validity = Validity { valid_until: None, ..before.validity };
        let after = Subscription { state: SubscriptionState::Suspended, validity, version: 4, ..before.clone() };
        let by = Author::Admin { client_id: ClientId::new("a") };
        let change = Change::subscription_changed(by, Some(&before), &after);
        let written = serde_json::to_value(&change).unwrap();
        assert_eq!(written["by"], json!({"kind": "admin", "clientId": "a"}));
        assert_eq!(written["of"], json!({"kind": "subscription", "subscriptionId": after.subscription_id}));
        assert_eq!(written["before"], json!({"state": "active", "validUntil": before.validity.valid_until}));
        assert_eq!(written["after"], json!({"state": "suspended"}));
        assert_eq!(change.subscription_state(), Some(SubscriptionState::Suspended));
        assert_eq!(serde_json::from_value::<Change>(written).unwrap(), change);
    }

    #[test]
    fn change_of_an_endpoint_contains_no_sealed_text() {
        let endpoint = |header: &str| -> Endpoint {
            let endpoint = json!({
                "endpointId": EndpointId::from_random_bits(1), "fleetId": FleetId::from_random_bits(2),
                "url": "https://hooks.example.com/", "headerNames": ["authorization"], "sealedHeaders": header,
                "secrets": [{"sealed": "AAAA", "createdAt": "2026-01-01T00:00:00Z"}], "version": 1,
                "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z"
            });
            serde_json::from_value(endpoint).unwrap()
        };
        let at = Timestamp::from_ms(0);
        let created = Change::endpoint_changed(Author::Fleet, None, &endpoint("BBBB"), at);
        assert_eq!(created.after["secrets"], json!([{"createdAt": "2026-01-01T00:00:00.000Z"}]));
        let text = serde_json::to_string(&created).unwrap();
        assert!(!text.contains("AAAA") && !text.contains("BBBB"), "{text}");
        let changed = Change::endpoint_changed(Author::Fleet, Some(&endpoint("BBBB")), &endpoint("CCCC"), at);
        assert_eq!(changed.after.keys().collect::<Vec<_>>(), ["headersDigest"]);
    }

    #[test]
    fn change_ids_of_one_millisecond_are_distinct_and_repeatable() {
        let before = subscription();
        let change_id = |version, id| {
            let after = Subscription { version, subscription_id: SubscriptionId::from_random_bits(id), ..subscription() };
            Change::subscription_changed(Author::Provisioning, Some(&before), &after).change_id
        };
        assert_eq!(change_id(3, 1), change_id(3, 1));
        let change_ids: std::collections::BTreeSet<ChangeId> = (1..40)
            .flat_map(|version| (1..40).map(move |id| (version, id)))
            .map(|(version, id)| change_id(version, id))
            .collect();
        assert_eq!(change_ids.len(), 39 * 39);
    }
}
