//! Every key of every table. Nothing else formats one.
//!
//! The `reference` table holds several kinds of items, told apart by their keys:
//!
//! | `pk` | `sk` | item |
//! |---|---|---|
//! | `fleet#<fleetId>` | `meta` | a fleet |
//! | `fleets` | `<fleetId>` | the same fleet, for the list of all: no scan of a table that holds much else |
//! | `fleet#<fleetId>` | `subscription#<subscriptionId>` | a subscription |
//! | `vehicle#<vid>` | `grant#<fleetId>#<subscriptionId>` | a grant, to find who may see a vehicle |
//! | `fleet#<fleetId>` | `vehicle#<vid>#<subscriptionId>` | the same grant, to find what a fleet may see |
//! | `vehicle#<vid>` | `grant#<fleetId>` | the pair's consent epoch, where it was ever raised |
//! | `fleet#<fleetId>` | `vehicle#<vid>` | the same epoch |
//! | `entitlements` | `version` | how often what fleets may see was changed |
//! | `client#<clientId>` | `meta` | a machine client |
//! | `client#<clientId>` | `vehicle#<vid>` | a vehicle that the client registered |
//! | `vin#<SHA-256 of the VIN>` | `vehicle` | whose VIN it is; the VIN itself goes into no key |
//! | `external#<scheme>#<value>` | `vehicle` | whose external id it is |
//!
//! A pair's epoch sorts right before the pair's grants, so one query reads both.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::ids::{ClientId, Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::vehicle::ExternalId;
use roadcast_domain::vin::Vin;
use roadcast_signals::Timestamp;

/// Partition key of `vehicles`, `vehicleEvents` and `vehicleState`.
pub const VID: &str = "vid";
/// Sort key of `vehicleEvents`.
pub const EID: &str = "eid";
/// Partition key of `feedIndex`.
pub const FEED: &str = "feed";
/// Sort key of `feedIndex`.
pub const STAMP: &str = "stamp";
/// Partition key of `reference`.
pub const PK: &str = "pk";
/// Sort key of `reference`.
pub const SK: &str = "sk";
/// Seconds since the epoch after which an item of `feedIndex` or `reference` is of no use.
pub const EXPIRES_AT: &str = "expiresAt";

const META: &str = "meta";
const ALL_FLEETS: &str = "fleets";
const UNIQUE: &str = "vehicle";
/// Sorts after every character that ids are made of.
const AFTER_ANY_ID: char = '~';

/// The key of one item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    partition: (&'static str, String),
    sort: Option<(&'static str, String)>,
}

/// A stretch of a partition: sort keys from `from` to `to`, both included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// Attribute and value of the partition key.
    pub partition: (&'static str, String),
    /// Attribute of the sort key.
    pub sort: &'static str,
    /// The first sort key that may come.
    pub from: String,
    /// The last sort key that may come.
    pub to: String,
    /// Whether it must show what was written just before.
    pub consistent: bool,
}

impl Key {
    /// A vehicle, in `vehicles`.
    pub fn vehicle(vid: &VehicleId) -> Self {
        Self { partition: (VID, vid.to_string()), sort: None }
    }

    /// An event or a segment of events, in `vehicleEvents`: the key begins with the (first) event's id.
    pub fn event_item(vid: &VehicleId, key: String) -> Self {
        Self { partition: (VID, vid.to_string()), sort: Some((EID, key)) }
    }

    /// A vehicle's state, in `vehicleState`.
    pub fn state(vid: &VehicleId) -> Self {
        Self { partition: (VID, vid.to_string()), sort: None }
    }

    /// A pointer, in `feedIndex`: a fleet's feed has one partition an hour.
    pub fn feed_pointer(fleet_id: &FleetId, stamp: Eid) -> Self {
        Self { partition: (FEED, format!("{fleet_id}#{}", hour(stamp.time()))), sort: Some((STAMP, stamp.to_string())) }
    }

    /// A fleet.
    pub fn fleet(fleet_id: &FleetId) -> Self {
        Self::reference(fleet_partition(fleet_id), META)
    }

    /// A fleet in the list of all.
    pub fn listed_fleet(fleet_id: &FleetId) -> Self {
        Self::reference(ALL_FLEETS, fleet_id.as_str())
    }

    /// A subscription.
    pub fn subscription(fleet_id: &FleetId, subscription_id: &SubscriptionId) -> Self {
        Self::reference(fleet_partition(fleet_id), format!("subscription#{subscription_id}"))
    }

    /// A grant, under its vehicle.
    pub fn grant_by_vehicle(vid: &VehicleId, fleet_id: &FleetId, subscription_id: &SubscriptionId) -> Self {
        Self::reference(vehicle_partition(vid), format!("grant#{fleet_id}#{subscription_id}"))
    }

    /// A grant, under its fleet.
    pub fn grant_by_fleet(fleet_id: &FleetId, vid: &VehicleId, subscription_id: &SubscriptionId) -> Self {
        Self::reference(fleet_partition(fleet_id), format!("vehicle#{vid}#{subscription_id}"))
    }

    /// A pair's consent epoch, under its vehicle.
    pub fn epoch_by_vehicle(vid: &VehicleId, fleet_id: &FleetId) -> Self {
        Self::reference(vehicle_partition(vid), format!("grant#{fleet_id}"))
    }

    /// A pair's consent epoch, under its fleet.
    pub fn epoch_by_fleet(fleet_id: &FleetId, vid: &VehicleId) -> Self {
        Self::reference(fleet_partition(fleet_id), format!("vehicle#{vid}"))
    }

    /// How often what fleets may see was changed.
    pub fn entitlements_version() -> Self {
        Self::reference("entitlements", "version")
    }

    /// A machine client.
    pub fn client(client_id: &ClientId) -> Self {
        Self::reference(client_partition(client_id), META)
    }

    /// A vehicle that a client registered.
    pub fn owned_vehicle(owner: &ClientId, vid: &VehicleId) -> Self {
        Self::reference(client_partition(owner), format!("vehicle#{vid}"))
    }

    /// Whose VIN it is.
    pub fn vin(vin: &Vin) -> Self {
        Self::reference(format!("vin#{}", vin.fingerprint()), UNIQUE)
    }

    /// Whose external id it is. A scheme holds no `#`, so no two ids run together.
    pub fn external_id(id: &ExternalId) -> Self {
        Self::reference(format!("external#{}#{}", id.scheme(), id.value()), UNIQUE)
    }

    fn reference(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { partition: (PK, pk.into()), sort: Some((SK, sk.into())) }
    }

    /// The name of the partition key's attribute, which every item of the table has.
    pub fn partition_attribute(&self) -> &'static str {
        self.partition.0
    }

    /// The key's attributes.
    pub fn attributes(&self) -> HashMap<String, AttributeValue> {
        let text = |(name, value): &(&'static str, String)| ((*name).to_owned(), AttributeValue::S(value.clone()));
        std::iter::once(&self.partition).chain(&self.sort).map(text).collect()
    }
}

impl KeyRange {
    /// The items of a vehicle's log from one key to another.
    pub fn events(vid: &VehicleId, from: &str, to: &str) -> Self {
        Self { partition: (VID, vid.to_string()), sort: EID, from: from.to_owned(), to: to.to_owned(), consistent: true }
    }

    /// The same, where it may lag behind by a moment, at half the price.
    #[must_use]
    pub fn lagging(self) -> Self {
        Self { consistent: false, ..self }
    }

    /// Every fleet.
    pub fn all_fleets() -> Self {
        Self::reference(ALL_FLEETS.to_owned(), String::from("flt_"))
    }

    /// The subscriptions of a fleet.
    pub fn subscriptions(fleet_id: &FleetId) -> Self {
        Self::reference(fleet_partition(fleet_id), "subscription#".to_owned())
    }

    /// Every fleet's grants and epochs to one vehicle.
    pub fn grants_to_vehicle(vid: &VehicleId) -> Self {
        Self::reference(vehicle_partition(vid), "grant#".to_owned())
    }

    /// One fleet's grants and epoch to one vehicle.
    pub fn grants_of_pair(fleet_id: &FleetId, vid: &VehicleId) -> Self {
        Self::reference(vehicle_partition(vid), format!("grant#{fleet_id}"))
    }

    /// One fleet's grants and epochs, by vehicle, after one.
    pub fn grants_of_fleet(fleet_id: &FleetId, after: Option<&VehicleId>) -> Self {
        let mut range = Self::reference(fleet_partition(fleet_id), "vehicle#".to_owned());
        if let Some(after) = after {
            range.from = format!("vehicle#{after}{AFTER_ANY_ID}");
        }
        range
    }

    /// The vehicles that a client registered, after one.
    pub fn owned_vehicles(owner: &ClientId, after: Option<&VehicleId>) -> Self {
        let mut range = Self::reference(client_partition(owner), "vehicle#".to_owned());
        if let Some(after) = after {
            range.from = format!("vehicle#{after}{AFTER_ANY_ID}");
        }
        range
    }

    /// All sort keys of a partition of `reference` that begin with a prefix.
    fn reference(pk: String, prefix: String) -> Self {
        let to = format!("{prefix}{AFTER_ANY_ID}");
        Self { partition: (PK, pk), sort: SK, from: prefix, to, consistent: true }
    }
}

fn fleet_partition(fleet_id: &FleetId) -> String {
    format!("fleet#{fleet_id}")
}

fn vehicle_partition(vid: &VehicleId) -> String {
    format!("vehicle#{vid}")
}

fn client_partition(client_id: &ClientId) -> String {
    format!("client#{client_id}")
}

/// `yyyy-mm-ddThh` of a time.
fn hour(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate("yyyy-mm-ddThh".len());
    text
}

#[cfg(test)]
#[path = "keys_test.rs"]
mod tests;
