//! Entitlements, in `reference`: the sum of the stored grants.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use roadcast_domain::entitlement::{Entitlement, MAX_EPOCH};
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::package::{CustomPackage, Packages};
use roadcast_ports::PortError;
use roadcast_ports::entitlements::Entitlements;

use crate::dynamodb::attributes::{EPOCH, GRANT_FLEET, GRANT_VEHICLE, VERSION};
use crate::dynamodb::item::{self, InvalidAttribute, Item, RECORD};
use crate::dynamodb::keys::{Key, KeyRange};

const READ: &str = "reading entitlements";

/// Entitlements in `DynamoDB`. All reads are strongly consistent, so that a grant that was just removed is never returned.
#[derive(Clone, Debug)]
pub struct DynamoEntitlements {
    client: Client,
    table: String,
}

impl DynamoEntitlements {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }

    async fn all(&self, range: &KeyRange) -> Result<Vec<Entitlement>, PortError> {
        let mut pairs = Pairs::default();
        for item in item::all(&self.client, &self.table, range, READ).await? {
            pairs.add(&item).map_err(|error| error.into_port_error(READ))?;
        }
        Ok(pairs.granted())
    }
}

impl Entitlements for DynamoEntitlements {
    async fn list_by_vehicle(&self, vid: &VehicleId) -> Result<Vec<Entitlement>, PortError> {
        self.all(&KeyRange::grants_to_vehicle(vid)).await
    }

    async fn entitlement(&self, fleet_id: &FleetId, vid: &VehicleId) -> Result<Option<Entitlement>, PortError> {
        Ok(self.all(&KeyRange::grants_of_pair(fleet_id, vid)).await?.pop())
    }

    async fn list_by_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> Result<Vec<Entitlement>, PortError> {
        let range = KeyRange::grants_of_fleet(fleet_id, after);
        let mut pairs = Pairs::default();
        let mut start = None;
        // The items of a vehicle are adjacent, but a page may end between them: only the first item of the next vehicle
        // proves that a vehicle is complete. A pair without grants does not count.
        while pairs.granted_count() <= limit {
            let items = limit.saturating_mul(2).saturating_add(1);
            let page = item::page(&self.client, &self.table, &range, Some(items), start, READ).await?;
            for item in &page.items {
                pairs.add(item).map_err(|error| error.into_port_error(READ))?;
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
        Ok(Packages::built_in().with_custom(custom.map_err(|error| error.into_port_error(READ))?))
    }
}

/// Fleet–vehicle pairs, ordered by vehicle like the partition of the fleet.
#[derive(Debug, Default)]
struct Pairs(BTreeMap<(VehicleId, FleetId), Entitlement>);

impl Pairs {
    /// Adds a grant or an epoch.
    fn add(&mut self, item: &Item) -> Result<(), InvalidAttribute> {
        let (fleet_id, vid): (FleetId, VehicleId) = (item::parsed(item, GRANT_FLEET)?, item::parsed(item, GRANT_VEHICLE)?);
        let pair = self.0.entry((vid.clone(), fleet_id.clone()));
        let entitlement = pair.or_insert(Entitlement { fleet_id, vid, epoch: 0, grants: Vec::new() });
        if let Some(epoch) = item::number(item, EPOCH)? {
            // An epoch that no CloudEvent can represent is an error: any other value could be taken for an earlier consent.
            entitlement.epoch = Some(epoch).filter(|epoch| *epoch <= MAX_EPOCH).ok_or(InvalidAttribute::new(EPOCH))?;
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
            (GRANT_FLEET.to_owned(), AttributeValue::S(FleetId::from_random_bits(1).to_string())),
            (GRANT_VEHICLE.to_owned(), AttributeValue::S(VehicleId::from_random_bits(vid).to_string())),
            (name.to_owned(), value),
        ])
    }

    fn grant(vid: u128, subscription: u128) -> Item {
        let grant = Grant {
            subscription_id: SubscriptionId::from_random_bits(subscription),
            packages: vec!["alerts".parse().unwrap()],
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
    fn epoch_beyond_the_cloudevents_integer_range_is_an_error() {
        let added = |epoch: u64| Pairs::default().add(&item(7, EPOCH, AttributeValue::N(epoch.to_string())));
        assert!(added(2_147_483_647).is_ok());
        assert!(added(2_147_483_648).is_err());
    }

    fn check(items: &[Item], expect: &[(u128, u64, usize)]) {
        let mut pairs = Pairs::default();
        for item in items {
            pairs.add(item).unwrap();
        }
        assert_eq!(pairs.granted_count(), expect.len());
        let found: Vec<_> = pairs.granted().into_iter().map(|e| (e.vid, e.epoch, e.grants.len())).collect();
        let expect: Vec<_> =
            expect.iter().map(|(vid, epoch, grants)| (VehicleId::from_random_bits(*vid), *epoch, *grants)).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn pair_without_an_epoch_item_is_in_epoch_0() {
        check(&[grant(7, 1), grant(7, 2), grant(8, 1)], &[(7, 0, 2), (8, 0, 1)]);
    }

    #[test]
    fn raised_epoch_applies_to_all_grants_of_the_pair() {
        check(&[epoch(7), grant(7, 1), grant(7, 2)], &[(7, 3, 2)]);
    }

    #[test]
    fn epoch_without_grants_entitles_to_nothing() {
        check(&[epoch(7), grant(8, 1)], &[(8, 0, 1)]);
    }

    #[test]
    fn malformed_grant_is_an_error_and_not_skipped() {
        let mut pairs = Pairs::default();
        assert!(pairs.add(&item(7, RECORD, AttributeValue::S("{}".to_owned()))).is_err());
    }
}
