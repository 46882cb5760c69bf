//! Keys of `reference`, which holds several kinds of items, distinguished by their keys:
//!
//! | `pk` | `sk` | item |
//! |---|---|---|
//! | `fleet#<fleetId>` | `meta` | a fleet |
//! | `fleets` | `<fleetId>` | a copy of the fleet, so that listing all fleets does not scan a table that holds much else |
//! | `fleet#<fleetId>` | `feed` | whether events pass to the feed of the fleet |
//! | `buses` | `bus#<name>` | the number of fleets that have a place on a delivery bus |
//! | `fleet#<fleetId>` | `subscription#<subscriptionId>` | a subscription |
//! | `vehicle#<vid>` | `grant#<fleetId>#<subscriptionId>` | a grant, to find which fleets may see a vehicle |
//! | `fleet#<fleetId>` | `vehicle#<vid>#<subscriptionId>` | a copy of the grant, to find which vehicles a fleet may see |
//! | `vehicle#<vid>` | `grant#<fleetId>` | the consent epoch of the fleet–vehicle pair, if it was ever raised |
//! | `fleet#<fleetId>` | `vehicle#<vid>` | a copy of the epoch |
//! | `entitlements` | `version` | the number of changes to entitlements |
//! | `audit#<fleetId>` | `audit#<changeId>` | an audit record: a change of the fleet or of its clients, subscriptions or endpoints |
//! | `client#<clientId>` | `meta` | a machine client |
//! | `client#<credentialId>` | `meta` | a copy of the client with this credential, so that a token is checked with one read |
//! | `clients` | `<kind>#<clientId>` | a copy of the client, for the list of all clients |
//! | `client#<clientId>` | `audit#<changeId>` | an audit record: a change of the client; also in the trail of its fleet |
//! | `fleet#<fleetId>` | `client#<clientId>` | a copy of the client, for the list of the fleet's clients |
//! | `endpoints#<fleetId>` | `<endpointId>` | a webhook endpoint |
//! | `alertRules#<fleetId>`, `alertRules#operator` | `<ruleId>` | an alert rule of the fleet, or of the operator |
//! | `alertRules#<fleetId>`, `alertRules#operator` | `version` | the number of changes to these rules |
//! | `alertRules` | `version` | the number of changes to all alert rules |
//! | `backTests#<fleetId>`, `backTests#operator` | `<backTestId>` | a back-test of the fleet, or of the operator; expires |
//! | `backTest#<backTestId>` | `<page>` | a page of the alerts of a back-test; expires |
//! | `operatorAudit` | `audit#<changeId>` | an audit record: a change of an alert rule of the operator |
//! | `owned#<clientId>` | `<vid>` | a vehicle that the client registered |
//! | `vin#<HMAC of the VIN>` | `vehicle` | the vehicles that have and had this VIN; the key of the HMAC is derived from the secret of the stack; may expire |
//! | `external#<scheme>#<value>` | `vehicle` | the vehicles that have and had this external id; may expire |
//! | `vehicles` | `version` | the number of changes to names, owners and retirements of registered vehicles |
//! | `packages` | `package#<name>` | a custom package |
//! | `schema#<type>` | `<version, ten digits>` | a version of the schema of a custom event type |
//! | `schemas` | `type#<type>` | the latest version, for the list of all schemas |
//! | `schemas` | `version` | the number of schema versions ever stored |
//! | `mapped#<fleetId>` | `<vid>` | a vehicle mapping: whether the fleet has the vehicle, by a bulk file |
//! | `bulk#<version of a file>` | `meta` | the import checkpoint of a bulk file; expires |
//! | `bulk` | `ledger` | the import ledger of all bulk files |
//! | `requests#<fleetId>` | `<start of the minute>` | the number of requests of the fleet in that minute; expires |
//! | `request#<digest>` | `meta` | a request with an `Idempotency-Key`, and its response; expires |
//!
//! The epoch of a pair sorts directly before its grants, so one query reads both.

use roadcast_domain::event::CustomType;
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::fleet::{ClientKind, ClientPosition};
use roadcast_domain::ids::{ChangeId, ClientId, EndpointId, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::package::PackageName;
use roadcast_domain::secret::{KeyPurpose, Secret};
use roadcast_domain::vehicle_mapping::FileVersion;
use roadcast_domain::vin::Vin;
use roadcast_signals::Timestamp;

use super::{Key, KeyRange, PK, SK};

const META: &str = "meta";
const ALL_CLIENTS: &str = "clients";
const ALL_FLEETS: &str = "fleets";
const ALL_BUSES: &str = "buses";
/// The prefix of the sort key of a delivery bus.
const BUS: &str = "bus#";
const ALL_PACKAGES: &str = "packages";
const ALL_SCHEMAS: &str = "schemas";
const UNIQUE: &str = "vehicle";
/// Sorts after every character that occurs in ids.
const AFTER_ANY_ID: char = '~';

impl Key {
    /// Returns the name of the delivery bus in a sort key of [`delivery_bus`](Self::delivery_bus).
    pub fn bus_name(sort_key: &str) -> Option<&str> {
        sort_key.strip_prefix(BUS)
    }

    /// A fleet.
    pub fn fleet(fleet_id: &FleetId) -> Self {
        Self::reference(fleet_partition(fleet_id), META)
    }

    /// A fleet in the list of all fleets.
    pub fn listed_fleet(fleet_id: &FleetId) -> Self {
        Self::reference(ALL_FLEETS, fleet_id.as_str())
    }

    /// The proof that events pass to the feed of a fleet.
    pub fn feed_proof(fleet_id: &FleetId) -> Self {
        Self::reference(fleet_partition(fleet_id), "feed")
    }

    /// The number of fleets on a delivery bus.
    pub fn delivery_bus(name: &str) -> Self {
        Self::reference(ALL_BUSES, format!("{BUS}{name}"))
    }

    /// A subscription.
    pub fn subscription(fleet_id: &FleetId, subscription_id: &SubscriptionId) -> Self {
        Self::reference(fleet_partition(fleet_id), format!("subscription#{subscription_id}"))
    }

    /// A grant, in the partition of its vehicle.
    pub fn grant_by_vehicle(vid: &VehicleId, fleet_id: &FleetId, subscription_id: &SubscriptionId) -> Self {
        Self::reference(vehicle_partition(vid), format!("grant#{fleet_id}#{subscription_id}"))
    }

    /// A grant, in the partition of its fleet.
    pub fn grant_by_fleet(fleet_id: &FleetId, vid: &VehicleId, subscription_id: &SubscriptionId) -> Self {
        Self::reference(fleet_partition(fleet_id), format!("vehicle#{vid}#{subscription_id}"))
    }

    /// The consent epoch of a fleet–vehicle pair, in the partition of the vehicle.
    pub fn epoch_by_vehicle(vid: &VehicleId, fleet_id: &FleetId) -> Self {
        Self::reference(vehicle_partition(vid), format!("grant#{fleet_id}"))
    }

    /// The consent epoch of a fleet–vehicle pair, in the partition of the fleet.
    pub fn epoch_by_fleet(fleet_id: &FleetId, vid: &VehicleId) -> Self {
        Self::reference(fleet_partition(fleet_id), format!("vehicle#{vid}"))
    }

    /// The counter of changes to entitlements.
    pub fn entitlements_version() -> Self {
        Self::reference("entitlements", "version")
    }

    /// An audit record of a client.
    pub fn client_change(client_id: &ClientId, change_id: ChangeId) -> Self {
        Self::reference(client_partition(client_id), format!("audit#{change_id}"))
    }

    /// An audit record of a fleet. It has a partition of its own, so that a function that changes endpoints needs no right to
    /// write the records, subscriptions and grants of the fleet.
    pub fn change(fleet_id: &FleetId, change_id: ChangeId) -> Self {
        Self::reference(audit_partition(fleet_id), format!("audit#{change_id}"))
    }

    /// A webhook endpoint. It has a partition of its own, for the same reason.
    pub fn endpoint(fleet_id: &FleetId, endpoint_id: &EndpointId) -> Self {
        Self::reference(endpoint_partition(fleet_id), endpoint_id.as_str())
    }

    /// A machine client, by its id or the id of one of its credentials.
    pub fn client(client_id: &ClientId) -> Self {
        Self::reference(client_partition(client_id), META)
    }

    /// A machine client in the list of all clients.
    pub fn listed_client(position: &ClientPosition) -> Self {
        Self::reference(ALL_CLIENTS, listed_client(position))
    }

    /// A machine client in the list of its fleet's clients.
    pub fn client_of_fleet(fleet_id: &FleetId, client_id: &ClientId) -> Self {
        Self::reference(fleet_partition(fleet_id), format!("client#{client_id}"))
    }

    /// A vehicle in the list of the vehicles that a client registered. It has a partition of its own, so that the function that
    /// registers vehicles needs no right to write the client.
    pub fn owned_vehicle(owner: &ClientId, vid: &VehicleId) -> Self {
        Self::reference(owned_partition(owner), vid.as_str())
    }

    /// The unique entry of a VIN, by its digest under a secret of the stack: a digest without a secret could be reversed by
    /// trying all VINs.
    pub fn vin(vin: &Vin, secret: &Secret) -> Self {
        let digest = hex::encode(secret.key(KeyPurpose::VinDigests).mac(vin.as_str().as_bytes()));
        Self::reference(format!("vin#{digest}"), UNIQUE)
    }

    /// The unique entry of an external id. A scheme contains no `#`, so different ids have different keys.
    pub fn external_id(id: &ExternalId) -> Self {
        Self::reference(format!("external#{}#{}", id.scheme(), id.value()), UNIQUE)
    }

    /// The counter of changes to names, owners and retirements of registered vehicles.
    pub fn vehicles_version() -> Self {
        Self::reference("vehicles", "version")
    }

    /// A custom package. All packages share one partition, because they are read together.
    pub fn package(name: &PackageName) -> Self {
        Self::reference(ALL_PACKAGES, format!("package#{name}"))
    }

    /// A version of the schema of a custom event type.
    pub fn schema(event_type: &CustomType, version: u32) -> Self {
        Self::reference(schema_partition(event_type), format!("{version:010}"))
    }

    /// The latest version of the schema of a custom event type, in the list of all schemas.
    pub fn listed_schema(event_type: &CustomType) -> Self {
        Self::reference(ALL_SCHEMAS, format!("type#{event_type}"))
    }

    /// The counter of schema versions ever stored.
    pub fn schemas_version() -> Self {
        Self::reference(ALL_SCHEMAS, "version")
    }

    /// A vehicle mapping. It has a partition of its own: the mappings of one fleet are written as fast as one partition
    /// accepts, and must not slow down reads of the fleet.
    pub fn mapping(fleet_id: &FleetId, vid: &VehicleId) -> Self {
        Self::reference(mapping_partition(fleet_id), vid.as_str())
    }

    /// The import checkpoint of a bulk file.
    pub fn bulk_checkpoint(version: &FileVersion) -> Self {
        Self::reference(format!("bulk#{}", version.as_str()), META)
    }

    /// The import ledger of all bulk files.
    pub fn bulk_ledger() -> Self {
        Self::reference("bulk", "ledger")
    }

    /// The number of requests of a fleet in a time window.
    pub fn request_count(fleet_id: &FleetId, window: Timestamp) -> Self {
        Self::reference(format!("requests#{fleet_id}"), window.to_string())
    }

    /// A request with an idempotency key, by the digest of its caller, operation and key.
    pub fn keyed_request(digest: &str) -> Self {
        Self::reference(format!("request#{digest}"), META)
    }

    pub(super) fn reference(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { partition: (PK, pk.into()), sort: Some((SK, sk.into())) }
    }
}

impl KeyRange {
    /// All fleets after `after`.
    pub fn fleets(after: Option<&FleetId>) -> Self {
        Self::reference(ALL_FLEETS.to_owned(), "flt_".to_owned()).after(after)
    }

    /// The numbers of fleets on all delivery buses.
    pub fn delivery_buses() -> Self {
        Self::reference(ALL_BUSES.to_owned(), BUS.to_owned())
    }

    /// The subscriptions of a fleet after `after`.
    pub fn subscriptions(fleet_id: &FleetId, after: Option<&SubscriptionId>) -> Self {
        let after = after.map(|after| format!("subscription#{after}"));
        Self::reference(fleet_partition(fleet_id), "subscription#".to_owned()).after(after)
    }

    /// All clients, or those of one kind, after `after`.
    pub fn clients(kind: Option<ClientKind>, after: Option<&ClientPosition>) -> Self {
        let first = kind.unwrap_or(ClientKind::Admin);
        let last = kind.unwrap_or(ClientKind::Ingest);
        let to = format!("{}#{AFTER_ANY_ID}", last.as_str());
        let range = Self { to, ..Self::reference(ALL_CLIENTS.to_owned(), format!("{}#", first.as_str())) };
        range.after(after.map(listed_client))
    }

    /// The clients of a fleet after `after`.
    pub fn clients_of_fleet(fleet_id: &FleetId, after: Option<&ClientId>) -> Self {
        let after = after.map(|after| format!("client#{after}"));
        Self::reference(fleet_partition(fleet_id), "client#".to_owned()).after(after)
    }

    /// The audit records of a fleet before `before`, newest first.
    pub fn changes(fleet_id: &FleetId, before: Option<ChangeId>) -> Self {
        Self::audit_records(audit_partition(fleet_id), before)
    }

    /// The webhook endpoints of a fleet.
    pub fn endpoints(fleet_id: &FleetId) -> Self {
        Self::reference(endpoint_partition(fleet_id), "end_".to_owned())
    }

    /// The audit records of a client before `before`, newest first.
    pub fn client_changes(client_id: &ClientId, before: Option<ChangeId>) -> Self {
        Self::audit_records(client_partition(client_id), before)
    }

    pub(super) fn audit_records(partition: String, before: Option<ChangeId>) -> Self {
        let mut range = Self { descending: true, ..Self::reference(partition, "audit#".to_owned()) };
        if let Some(before) = before {
            // The largest smaller id. If `before` is the smallest id, this is `before` itself, which no change has.
            range.to = format!("audit#{}", before.previous().unwrap_or(before));
        }
        range
    }

    /// The vehicle mappings of a fleet after `after`, including those of vehicles that the fleet no longer has.
    pub fn mappings(fleet_id: &FleetId, after: Option<&VehicleId>) -> Self {
        Self::reference(mapping_partition(fleet_id), "veh_".to_owned()).after(after)
    }

    /// The grants and epochs of all fleets for one vehicle.
    pub fn grants_to_vehicle(vid: &VehicleId) -> Self {
        Self::reference(vehicle_partition(vid), "grant#".to_owned())
    }

    /// The grants and the epoch of one fleet–vehicle pair.
    pub fn grants_of_pair(fleet_id: &FleetId, vid: &VehicleId) -> Self {
        Self::reference(vehicle_partition(vid), format!("grant#{fleet_id}"))
    }

    /// The grants and epochs of one fleet, ordered by vehicle, after the vehicle `after`.
    pub fn grants_of_fleet(fleet_id: &FleetId, after: Option<&VehicleId>) -> Self {
        let after = after.map(|after| format!("vehicle#{after}"));
        Self::reference(fleet_partition(fleet_id), "vehicle#".to_owned()).after(after)
    }

    /// The vehicles that a client registered, after `after`.
    pub fn owned_vehicles(owner: &ClientId, after: Option<&VehicleId>) -> Self {
        Self::reference(owned_partition(owner), "veh_".to_owned()).after(after)
    }

    /// All custom packages.
    pub fn packages() -> Self {
        Self::reference(ALL_PACKAGES.to_owned(), "package#".to_owned())
    }

    /// The latest version of every schema.
    pub fn schemas() -> Self {
        Self::reference(ALL_SCHEMAS.to_owned(), "type#".to_owned())
    }

    /// All versions of the schema of one event type.
    pub fn schema_versions(event_type: &CustomType) -> Self {
        // The lower bound of a range must not be an empty string.
        Self { from: "0".to_owned(), ..Self::reference(schema_partition(event_type), String::new()) }
    }

    /// Excludes all sort keys up to `after`, and all that begin with it.
    fn after(mut self, after: Option<impl std::fmt::Display>) -> Self {
        if let Some(after) = after {
            self.from = format!("{after}{AFTER_ANY_ID}");
        }
        self
    }

    /// All sort keys of a partition that begin with `prefix`.
    pub(super) fn reference(pk: String, prefix: String) -> Self {
        let to = format!("{prefix}{AFTER_ANY_ID}");
        Self { partition: (PK, pk), sort: SK, from: prefix, to, consistent: true, descending: false }
    }
}

fn fleet_partition(fleet_id: &FleetId) -> String {
    format!("fleet#{fleet_id}")
}

fn audit_partition(fleet_id: &FleetId) -> String {
    format!("audit#{fleet_id}")
}

fn endpoint_partition(fleet_id: &FleetId) -> String {
    format!("endpoints#{fleet_id}")
}

fn mapping_partition(fleet_id: &FleetId) -> String {
    format!("mapped#{fleet_id}")
}

fn vehicle_partition(vid: &VehicleId) -> String {
    format!("vehicle#{vid}")
}

fn client_partition(client_id: &ClientId) -> String {
    format!("client#{client_id}")
}

fn owned_partition(owner: &ClientId) -> String {
    format!("owned#{owner}")
}

fn listed_client(position: &ClientPosition) -> String {
    format!("{}#{}", position.kind.as_str(), position.client_id)
}

fn schema_partition(event_type: &CustomType) -> String {
    format!("schema#{event_type}")
}
