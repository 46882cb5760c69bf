//! Entitlements, in `reference`: what the grants that are there add up to.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use roadcast_domain::entitlement::{Entitlement, LAST_EPOCH};
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::package::{CustomPackage, Packages};
use roadcast_ports::PortError;
use roadcast_ports::entitlements::Entitlements;

use crate::item::{self, Item, RECORD, Unreadable};
use crate::keys::{Key, KeyRange};
use crate::subscriptions::{GRANT_FLEET, GRANT_VEHICLE};

const READ: &str = "reading entitlements";
/// The consent epoch, on the pair's own item, so that writing a grant again never turns it back.
pub(crate) const EPOCH: &str = "epoch";
/// Counts the changes to what any fleet may see.
pub(crate) const VERSION: &str = "version";

/// Entitlements in `DynamoDB`. All are read consistently: what was taken away a moment ago must not be handed out.
#[derive(Clone, Debug)]
pub struct DynamoEntitlements {
    client: Client,
    table: String,
}

impl DynamoEntitlements {
    /// The entitlements in that table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }

    async fn all(&self, range: &KeyRange) -> Result<Vec<Entitlement>, PortError> {
        let mut pairs = Pairs::default();
        for item in item::all(&self.client, &self.table, range, READ).await? {
            pairs.take(&item).map_err(|error| error.into_port_error(READ))?;
        }
        Ok(pairs.granted())
    }
}

impl Entitlements for DynamoEntitlements {
    async fn to_vehicle(&self, vid: &VehicleId) -> Result<Vec<Entitlement>, PortError> {
        self.all(&KeyRange::grants_to_vehicle(vid)).await
    }

    async fn of_fleet_to_vehicle(&self, fleet_id: &FleetId, vid: &VehicleId) -> Result<Option<Entitlement>, PortError> {
        Ok(self.all(&KeyRange::grants_of_pair(fleet_id, vid)).await?.pop())
    }

    async fn of_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> Result<Vec<Entitlement>, PortError> {
        let range = KeyRange::grants_of_fleet(fleet_id, after);
        let mut pairs = Pairs::default();
        let mut start = None;
        // A vehicle's items lie together, but a page may end among them: only the next vehicle's first shows that one is
        // complete. A pair without grants does not count.
        while pairs.granted_count() <= limit {
            let items = limit.saturating_mul(2).saturating_add(1);
            let page = item::page(&self.client, &self.table, &range, Some(items), start, READ).await?;
            for item in &page.items {
                pairs.take(item).map_err(|error| error.into_port_error(READ))?;
            }
            start = page.next;
            if start.is_none() {
                break;
            }
        }
        let mut entitlements = pairs.granted();
        entitlements.truncate(limit);
        Ok(entitlements)
    }

    async fn version(&self) -> Result<u64, PortError> {
        let Some(item) = item::get(&self.client, &self.table, &Key::entitlements_version(), READ).await? else {
            return Ok(0);
        };
        let version = item::number(&item, VERSION).map_err(|error| error.into_port_error(READ))?;
        Ok(version.unwrap_or_default())
    }

    async fn packages(&self) -> Result<Packages, PortError> {
        let items = item::all(&self.client, &self.table, &KeyRange::packages(), READ).await?;
        let custom = items.iter().map(item::record).collect::<Result<Vec<CustomPackage>, _>>();
        Ok(Packages::built_in().and_custom(custom.map_err(|error| error.into_port_error(READ))?))
    }
}

/// Fleet–vehicle pairs, ordered by vehicle as the fleet's partition is.
#[derive(Debug, Default)]
struct Pairs(BTreeMap<(VehicleId, FleetId), Entitlement>);

impl Pairs {
    /// Takes in a grant or an epoch.
    fn take(&mut self, item: &Item) -> Result<(), Unreadable> {
        let (fleet_id, vid): (FleetId, VehicleId) = (item::parsed(item, GRANT_FLEET)?, item::parsed(item, GRANT_VEHICLE)?);
        let pair = self.0.entry((vid.clone(), fleet_id.clone()));
        let entitlement = pair.or_insert(Entitlement { fleet_id, vid, epoch: 0, grants: Vec::new() });
        if let Some(epoch) = item::number(item, EPOCH)? {
            // One that cannot be told hands out nothing: told as another, it would pass for an earlier consent.
            entitlement.epoch = Some(epoch).filter(|epoch| *epoch <= LAST_EPOCH).ok_or(Unreadable::at(EPOCH))?;
        }
        if item.contains_key(RECORD) {
            entitlement.grants.push(item::record(item)?);
        }
        Ok(())
    }

    fn granted_count(&self) -> usize {
        self.0.values().filter(|entitlement| !entitlement.grants.is_empty()).count()
    }

    fn granted(self) -> Vec<Entitlement> {
        self.0.into_values().filter(|entitlement| !entitlement.grants.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aws_sdk_dynamodb::types::AttributeValue;
    use roadcast_domain::entitlement::Grant;
    use roadcast_domain::ids::SubscriptionId;
    use roadcast_domain::subscription::{DeliveryFormat, Validity};
    use roadcast_signals::Timestamp;

    use super::*;

    fn item(vid: u128, name: &str, value: AttributeValue) -> Item {
        Item::from([
            (GRANT_FLEET.to_owned(), AttributeValue::S(FleetId::from_random(1).to_string())),
            (GRANT_VEHICLE.to_owned(), AttributeValue::S(VehicleId::from_random(vid).to_string())),
            (name.to_owned(), value),
        ])
    }

    fn grant(vid: u128, subscription: u128) -> Item {
        let grant = Grant {
            subscription_id: SubscriptionId::from_random(subscription),
            packages: vec!["alerts".to_owned()],
            delivery_format: DeliveryFormat::Json,
            validity: Validity { valid_from: Timestamp::from_ms(0), valid_until: None },
            suspended: false,
        };
        item(vid, RECORD, AttributeValue::S(serde_json::to_string(&grant).unwrap()))
    }

    fn epoch(vid: u128) -> Item {
        item(vid, EPOCH, AttributeValue::N("3".to_owned()))
    }

    #[test]
    fn an_epoch_that_no_cloudevent_can_tell_is_an_error() {
        let taken = |epoch: u64| Pairs::default().take(&item(7, EPOCH, AttributeValue::N(epoch.to_string())));
        assert!(taken(2_147_483_647).is_ok());
        assert!(taken(2_147_483_648).is_err());
    }

    fn check(items: &[Item], expect: &[(u128, u64, usize)]) {
        let mut pairs = Pairs::default();
        for item in items {
            pairs.take(item).unwrap();
        }
        assert_eq!(pairs.granted_count(), expect.len());
        let found: Vec<_> = pairs.granted().into_iter().map(|e| (e.vid, e.epoch, e.grants.len())).collect();
        let expect: Vec<_> =
            expect.iter().map(|(vid, epoch, grants)| (VehicleId::from_random(*vid), *epoch, *grants)).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn a_pair_that_nothing_was_ever_taken_from_is_in_epoch_0() {
        check(&[grant(7, 1), grant(7, 2), grant(8, 1)], &[(7, 0, 2), (8, 0, 1)]);
    }

    #[test]
    fn a_raised_epoch_holds_for_all_grants_of_the_pair() {
        check(&[epoch(7), grant(7, 1), grant(7, 2)], &[(7, 3, 2)]);
    }

    #[test]
    fn an_epoch_alone_entitles_to_nothing() {
        check(&[epoch(7), grant(8, 1)], &[(8, 0, 1)]);
    }

    #[test]
    fn a_grant_that_cannot_be_read_is_an_error_and_not_left_out() {
        let mut pairs = Pairs::default();
        assert!(pairs.take(&item(7, RECORD, AttributeValue::S("{}".to_owned()))).is_err());
    }
}
