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
//! | `fleet#<fleetId>` | `audit#<changeId>` | a change of the fleet, a client or a subscription of it |
//! | `client#<clientId>` | `meta` | a machine client |
//! | `fleet#<fleetId>` | `client#<clientId>` | the same client, for the list of its fleet's |
//! | `client#<clientId>` | `vehicle#<vid>` | a vehicle that the client registered |
//! | `vin#<SHA-256 of the VIN>` | `vehicle` | whose VIN it is; the VIN itself goes into no key |
//! | `external#<scheme>#<value>` | `vehicle` | whose external id it is |
//! | `packages` | `package#<name>` | a package that an admin made |
//! | `schema#<type>` | `<version, ten digits>` | a version of the schema of a custom event type |
//! | `schemas` | `type#<type>` | the latest version, for the list of all |
//! | `schemas` | `version` | how many versions were ever kept |
//! | `mapped#<fleetId>` | `<vid>` | that the customer has the vehicle, or no longer has it, as a file of bulk data says |
//! | `bulk#<version of a file>` | `meta` | how far a file of bulk data is loaded; expires |
//! | `bulk` | `ledger` | what is known of the files that came |
//! | `requests#<fleetId>` | `<start of the minute>` | how many requests the fleet made in it; expires |
//! | `request#<digest>` | `meta` | a request with an `Idempotency-Key`, and its answer; expires |
//!
//! A pair's epoch sorts right before the pair's grants, so one query reads both.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::event::CustomType;
use roadcast_domain::ids::{ClientId, Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::vehicle::ExternalId;
use roadcast_domain::vehicle_mapping::FileVersion;
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
const ALL_PACKAGES: &str = "packages";
const ALL_SCHEMAS: &str = "schemas";
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
    /// Whether the last sort key comes first.
    pub backwards: bool,
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
        Self { partition: (FEED, feed_partition(fleet_id, stamp.time())), sort: Some((STAMP, stamp.to_string())) }
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

    /// A change of what is kept of a fleet.
    pub fn change(fleet_id: &FleetId, change_id: Eid) -> Self {
        Self::reference(fleet_partition(fleet_id), format!("audit#{change_id}"))
    }

    /// A machine client.
    pub fn client(client_id: &ClientId) -> Self {
        Self::reference(client_partition(client_id), META)
    }

    /// A machine client in the list of its fleet's.
    pub fn listed_client(fleet_id: &FleetId, client_id: &ClientId) -> Self {
        Self::reference(fleet_partition(fleet_id), format!("client#{client_id}"))
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

    /// A package that an admin made. All are in one partition, since they are read all at once.
    pub fn package(name: &str) -> Self {
        Self::reference(ALL_PACKAGES, format!("package#{name}"))
    }

    /// A version of the schema of a custom event type.
    pub fn schema(event_type: &CustomType, version: u32) -> Self {
        Self::reference(schema_partition(event_type), format!("{version:010}"))
    }

    /// The latest version of the schema of a custom event type, in the list of all.
    pub fn listed_schema(event_type: &CustomType) -> Self {
        Self::reference(ALL_SCHEMAS, format!("type#{event_type}"))
    }

    /// How many versions of schemas were ever kept.
    pub fn schemas_version() -> Self {
        Self::reference(ALL_SCHEMAS, "version")
    }

    /// That a customer has a vehicle. A partition of its own: a file of one customer's vehicles is written as fast as one
    /// partition takes it, and must not slow down what is read of the fleet.
    pub fn mapping(fleet_id: &FleetId, vid: &VehicleId) -> Self {
        Self::reference(mapped_partition(fleet_id), vid.as_str())
    }

    /// How far a file of bulk data is loaded.
    pub fn bulk_checkpoint(version: &FileVersion) -> Self {
        Self::reference(format!("bulk#{}", version.as_str()), META)
    }

    /// What is known of the files of bulk data that came.
    pub fn bulk_ledger() -> Self {
        Self::reference("bulk", "ledger")
    }

    /// How many requests a fleet made in a time window.
    pub fn request_count(fleet_id: &FleetId, window: Timestamp) -> Self {
        Self::reference(format!("requests#{fleet_id}"), window.to_string())
    }

    /// A request that carries a key of its caller's, by their digest.
    pub fn keyed_request(digest: &str) -> Self {
        Self::reference(format!("request#{digest}"), META)
    }

    fn reference(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { partition: (PK, pk.into()), sort: Some((SK, sk.into())) }
    }

    /// The name of the partition key's attribute, which every item of the table has.
    pub fn partition_attribute(&self) -> &'static str {
        self.partition.0
    }

    /// The partition key itself.
    pub fn partition_value(&self) -> &str {
        &self.partition.1
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
        Self {
            partition: (VID, vid.to_string()),
            sort: EID,
            from: from.to_owned(),
            to: to.to_owned(),
            consistent: true,
            backwards: false,
        }
    }

    /// The same, where it may lag behind by a moment, at half the price.
    #[must_use]
    pub fn lagging(self) -> Self {
        Self { consistent: false, ..self }
    }

    /// A fleet's pointers of the hour of `from`, from there on and up to `to`.
    pub fn feed_pointers(fleet_id: &FleetId, from: Eid, to: Eid) -> Self {
        let partition = (FEED, feed_partition(fleet_id, from.time()));
        Self { partition, sort: STAMP, from: from.to_string(), to: to.to_string(), consistent: true, backwards: false }
    }

    /// Every fleet after one.
    pub fn fleets(after: Option<&FleetId>) -> Self {
        Self::reference(ALL_FLEETS.to_owned(), "flt_".to_owned()).after(after)
    }

    /// The subscriptions of a fleet, after one.
    pub fn subscriptions(fleet_id: &FleetId, after: Option<&SubscriptionId>) -> Self {
        let after = after.map(|after| format!("subscription#{after}"));
        Self::reference(fleet_partition(fleet_id), "subscription#".to_owned()).after(after)
    }

    /// The clients of a fleet, after one.
    pub fn clients(fleet_id: &FleetId, after: Option<&ClientId>) -> Self {
        let after = after.map(|after| format!("client#{after}"));
        Self::reference(fleet_partition(fleet_id), "client#".to_owned()).after(after)
    }

    /// What was changed of a fleet, the newest first, before one.
    pub fn changes(fleet_id: &FleetId, before: Option<Eid>) -> Self {
        let mut range = Self { backwards: true, ..Self::reference(fleet_partition(fleet_id), "audit#".to_owned()) };
        if let Some(before) = before {
            // The largest id that is smaller; a place before the first is none of a change's.
            range.to = format!("audit#{}", Eid::from_bits(before.bits().saturating_sub(1)));
        }
        range
    }

    /// The vehicles that a customer has or had, as files of bulk data say, after one.
    pub fn mappings(fleet_id: &FleetId, after: Option<&VehicleId>) -> Self {
        Self::reference(mapped_partition(fleet_id), "veh_".to_owned()).after(after)
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
        let after = after.map(|after| format!("vehicle#{after}"));
        Self::reference(fleet_partition(fleet_id), "vehicle#".to_owned()).after(after)
    }

    /// The vehicles that a client registered, after one.
    pub fn owned_vehicles(owner: &ClientId, after: Option<&VehicleId>) -> Self {
        let after = after.map(|after| format!("vehicle#{after}"));
        Self::reference(client_partition(owner), "vehicle#".to_owned()).after(after)
    }

    /// Every package that an admin made.
    pub fn packages() -> Self {
        Self::reference(ALL_PACKAGES.to_owned(), "package#".to_owned())
    }

    /// The latest version of every schema.
    pub fn schemas() -> Self {
        Self::reference(ALL_SCHEMAS.to_owned(), "type#".to_owned())
    }

    /// Every version of a type's schema.
    pub fn schema_versions(event_type: &CustomType) -> Self {
        // A range may not begin with an empty text.
        Self { from: "0".to_owned(), ..Self::reference(schema_partition(event_type), String::new()) }
    }

    /// The range without what comes up to `after`, and what begins with it.
    fn after(mut self, after: Option<impl std::fmt::Display>) -> Self {
        if let Some(after) = after {
            self.from = format!("{after}{AFTER_ANY_ID}");
        }
        self
    }

    /// All sort keys of a partition of `reference` that begin with a prefix.
    fn reference(pk: String, prefix: String) -> Self {
        let to = format!("{prefix}{AFTER_ANY_ID}");
        Self { partition: (PK, pk), sort: SK, from: prefix, to, consistent: true, backwards: false }
    }
}

fn fleet_partition(fleet_id: &FleetId) -> String {
    format!("fleet#{fleet_id}")
}

fn mapped_partition(fleet_id: &FleetId) -> String {
    format!("mapped#{fleet_id}")
}

fn vehicle_partition(vid: &VehicleId) -> String {
    format!("vehicle#{vid}")
}

fn client_partition(client_id: &ClientId) -> String {
    format!("client#{client_id}")
}

fn schema_partition(event_type: &CustomType) -> String {
    format!("schema#{event_type}")
}

fn feed_partition(fleet_id: &FleetId, at: Timestamp) -> String {
    format!("{fleet_id}#{}", hour(at))
}

/// When the hour after that of a time begins.
pub fn next_hour(at: Timestamp) -> Timestamp {
    const HOUR_MS: i64 = 60 * 60 * 1000;
    Timestamp::from_ms((at.ms().div_euclid(HOUR_MS) + 1) * HOUR_MS)
}

/// `yyyy-mm-ddThh` of a time.
fn hour(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate("yyyy-mm-ddThh".len());
    text
}

#[cfg(test)]
mod tests;
