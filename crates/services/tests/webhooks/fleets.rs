//! Fleets, endpoints, subscriptions and events of the simulation.

use roadcast_codec::bus_entry;
use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::subscription::{DeliveryFormat, Subscription};
use roadcast_domain::webhook::{DeliveryOrder, Endpoint, SigningSecret, TargetRules};
use roadcast_ports::clock::Clock as _;
use roadcast_services::authz::{FleetManager, Manager, Proof as _};
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::webhooks::endpoints::{EndpointManagement, EndpointSettings};
use roadcast_testbed::{InMemory, Memory, SeededRandomness, fixtures};
use serde_json::json;

pub(crate) fn manager_of(fleet_id: &FleetId) -> FleetManager {
    Manager::prove(&Caller::Fleet(fleet_id.clone())).unwrap().of_fleet(fleet_id).unwrap()
}

pub(crate) fn management(memory: &Memory, seed: u64) -> EndpointManagement<InMemory> {
    let (m, clock) = (|| memory.clone(), memory.clock().clone());
    EndpointManagement {
        endpoints: m(),
        fleets: m(),
        entitlements: CachedEntitlements::new(m(), clock.clone()),
        health: m(),
        deliveries: m(),
        queue: m(),
        sealer: m(),
        rules: TargetRules::default(),
        clock,
        randomness: SeededRandomness::new(seed),
    }
}

/// Settings of an endpoint whose URL contains `name`.
pub(crate) fn settings(name: &str, order: DeliveryOrder) -> EndpointSettings {
    let url = format!("https://{name}.example.com/hook");
    let settings = json!({"url": url, "eventTypes": ["roadcast.diagnostic.v1"]});
    EndpointSettings { order, ..serde_json::from_value(settings).unwrap() }
}

/// Creates an endpoint, and returns it with its secret.
pub(crate) async fn create(
    memory: &Memory,
    fleet_id: &FleetId,
    name: &str,
    order: DeliveryOrder,
) -> (Endpoint, SigningSecret) {
    let seed = name.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let (endpoint, secret) = management(memory, seed).create(&manager_of(fleet_id), settings(name, order)).await.unwrap();
    (endpoint, secret.parse().unwrap())
}

/// Stores a fleet with an active subscription to these vehicles.
pub(crate) async fn fleet(memory: &Memory, number: u128, vids: &[VehicleId]) -> (FleetId, Subscription) {
    let now = memory.clock().now();
    let fleet_id = FleetId::from_random_bits(number);
    fixtures::store_fleet(memory, &fleet_id, now).await;
    let packages = ["alerts", "diagnostics", "telematics", "track-and-trace"];
    let since = now.plus_ms(-3_600_000);
    let subscription = fixtures::subscription(number, &fleet_id, vids.to_vec(), &packages, since);
    fixtures::store_subscription(memory, &subscription).await;
    (fleet_id, subscription)
}

/// A diagnostic event of a vehicle that was received at `now`.
pub(crate) fn event(vehicle: u128, now: Timestamp) -> Event {
    let s = now.ms_since(fixtures::at(0)) / 1000;
    Event { received: now, ..fixtures::diagnostic_event(vehicle, s).event }
}

/// The message that a rule of the delivery bus sends.
pub(crate) fn entry(fleet_id: &FleetId, events: &[Event]) -> String {
    let events: Vec<serde_json::Value> = events
        .iter()
        .flat_map(|event| bus_entry::encode(&[event], DeliveryFormat::Json, Some(0)).unwrap())
        .map(|entry| serde_json::from_str(&entry.json).unwrap())
        .collect();
    json!({"source": "roadcast.delivery", "detail": {"fleetId": fleet_id, "webhook": true, "events": events}}).to_string()
}
