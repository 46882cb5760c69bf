//! Fixtures with new ids: vehicles, fleets, events and others.

use std::collections::BTreeMap;

use roadcast_domain::audit::{Author, Change, ChangedResource};
use roadcast_domain::diagnostic::{Diagnostic, DtcStatus, TroubleCode};
use roadcast_domain::event::{Body, Event, Origin, StoredEvent, Telemetry};
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::fleet::{Client, ClientRole, Fleet};
use roadcast_domain::ids::{ChangeId, ClientId, Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::plan::Plan;
use roadcast_domain::subscription::{DeliveryFormat, Subscription, SubscriptionState, Validity};
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_domain::vin::Vin;
use roadcast_signals::{Sample, SignalPath, Signals, Timestamp, Value};

use crate::clock::Randomness;

/// 2024-05-01T12:00:00Z. Suites use fixed times, so that the result does not depend on the current time.
pub(super) const NOON: Timestamp = Timestamp::from_ms(1_714_564_800_000);

/// Creates fixtures with new random ids.
#[derive(Debug)]
pub struct Fixtures<'r, Random>(&'r Random);

impl<'r, Random: Randomness> Fixtures<'r, Random> {
    /// Creates a source of fixtures. `random` provides the ids.
    pub const fn new(random: &'r Random) -> Self {
        Self(random)
    }

    /// A new vehicle id.
    pub fn vid(&self) -> VehicleId {
        VehicleId::from_random_bits(self.0.bits())
    }

    /// A new fleet id.
    pub fn fleet_id(&self) -> FleetId {
        FleetId::from_random_bits(self.0.bits())
    }

    /// A new client id.
    pub fn client_id(&self) -> ClientId {
        ClientId::new(self.word())
    }

    /// A new text of 26 letters and digits.
    pub fn word(&self) -> String {
        Eid::from_time_and_salt(Timestamp::from_ms(0), self.0.bits()).to_string().to_ascii_lowercase()
    }

    /// A new European VIN, which needs no valid check digit.
    pub fn vin(&self) -> Vin {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPRSTUVWXYZ123456789";
        let bits = self.0.bits();
        let tail = (0..16).map(|index| char::from(ALPHABET[(bits >> (5 * index) & 31) as usize]));
        std::iter::once('W').chain(tail).collect::<String>().parse().expect("17 characters of the VIN's alphabet")
    }

    /// A new external id.
    pub fn external_id(&self) -> ExternalId {
        ExternalId::new("suite", &self.word()).expect("a valid scheme and value")
    }

    /// A new vehicle with a VIN and one external id, in version 1.
    pub fn vehicle(&self) -> Vehicle {
        Vehicle {
            vid: self.vid(),
            details: VehicleDetails {
                vin: Some(self.vin()),
                external_ids: vec![self.external_id()],
                make: Some("Renault".to_owned()),
                model: Some("Twizy \"Cargo\" é".to_owned()),
                model_year: Some(2015),
                fuel_type: Some("electric".to_owned()),
                attributes: BTreeMap::from([
                    ("depot".to_owned(), "north".to_owned()),
                    (" odd key.".to_owned(), String::new()),
                ]),
            },
            version: 1,
            owner: Some(self.client_id()),
            retired_at: None,
            created_at: NOON,
            updated_at: NOON,
        }
    }

    /// A new fleet on this delivery bus.
    pub fn fleet(&self, delivery_bus: &str) -> Fleet {
        Fleet::new(self.fleet_id(), "Suite & Söhne".to_owned(), delivery_bus.to_owned(), Plan::Plus, NOON)
    }

    /// A new change of this fleet, for suites that store a resource and do not read the audit trail.
    pub fn change(&self, fleet_id: &FleetId) -> Change {
        Change {
            change_id: ChangeId::from_time_and_salt(NOON, self.0.bits()),
            fleet_id: Some(fleet_id.clone()),
            at: NOON,
            by: Author::Provisioning,
            resource: ChangedResource::Fleet,
            before: None,
            after: serde_json::Map::new(),
        }
    }

    /// A new client with this role.
    pub fn client(&self, role: ClientRole) -> Client {
        Client::new(self.client_id(), "Gerät 7".to_owned(), role, NOON)
    }

    /// A new pending subscription of this fleet to these vehicles.
    pub fn subscription(&self, fleet_id: &FleetId, vehicles: Vec<VehicleId>, packages: &[&str]) -> Subscription {
        Subscription {
            subscription_id: SubscriptionId::from_random_bits(self.0.bits()),
            fleet_id: fleet_id.clone(),
            vehicles,
            packages: packages.iter().map(|name| name.parse().expect("a package name")).collect(),
            delivery_format: DeliveryFormat::Blocks,
            validity: Validity { valid_from: NOON, valid_until: Some(NOON.plus_ms(1000)) },
            state: SubscriptionState::Pending,
            attempts: 1,
            reason: None,
            version: 1,
            created_at: NOON,
            updated_at: NOON,
        }
    }

    /// A new telemetry event with one sample of this vehicle.
    pub fn telemetry(&self, vid: &VehicleId, at: Timestamp) -> StoredEvent {
        let signals = signals([("Vehicle.Speed", Value::Number(45.4))]);
        self.event(vid, at, Body::Telemetry(Telemetry { samples: [Sample { at, signals }].into() }))
    }

    /// A new event of this vehicle with this body.
    pub fn event(&self, vid: &VehicleId, at: Timestamp, body: Body) -> StoredEvent {
        let origin = Origin { source: "urn:suite".to_owned(), id: self.word(), extensions: BTreeMap::new() };
        let eid = Eid::for_event(vid, &origin.source, &origin.id, at);
        let received = at.plus_ms(700);
        StoredEvent { event: Event { eid, vid: vid.clone(), received, body }, origin }
    }
}

/// A diagnostic with two trouble codes.
pub(super) fn diagnosis(at: Timestamp) -> Body {
    let code = |code: &str, status| TroubleCode { code: code.parse().expect("a trouble code"), status };
    let dtcs = vec![code("P0301", DtcStatus::Active), code("U0100", DtcStatus::Pending)];
    Body::Diagnostic(Diagnostic { at, mil: Some(true), dtcs })
}

/// Signals by path.
pub(super) fn signals<'p>(values: impl IntoIterator<Item = (&'p str, Value)>) -> Signals {
    values.into_iter().map(|(path, value)| (SignalPath::parse(path).expect("a signal path"), value)).collect()
}
