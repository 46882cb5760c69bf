#![allow(clippy::unwrap_used)]

use roadcast_domain::caller::Caller;
use roadcast_domain::ids::ClientId;
use roadcast_domain::plan::Plan;
use roadcast_testbed::{InFlight, ManualClock, Memory, SeededRandomness, port_set};

use super::*;
use crate::authz::Proof as _;

port_set! {
    enum CountedPorts {
        Vehicles = InFlight<Memory>;
    }
}

fn admin() -> Admin {
    Admin::prove(&Caller::Admin(ClientId::new("admin"))).unwrap()
}

fn onboarding(memory: &Memory, vehicles: &InFlight<Memory>) -> Onboarding<CountedPorts> {
    Onboarding {
        fleets: memory.clone(),
        clients: memory.clone(),
        app_clients: memory.clone(),
        subscriptions: memory.clone(),
        vehicles: vehicles.clone(),
        entitlements: memory.clone(),
        workflow: memory.clone(),
        delivery_buses: crate::fleets::DeliveryBuses { first: "delivery".to_owned(), rules_per_bus: 300 },
        first_admin: None,
        clock: ManualClock::default(),
        randomness: SeededRandomness::new(1),
    }
}

fn vehicles(count: u128) -> Vec<VehicleId> {
    (0..count).map(VehicleId::from_random_bits).collect()
}

fn packages(names: &[&str]) -> Vec<PackageName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// Returns the faults of a request and the counts of the reads of vehicles: all reads, and those at the same time.
async fn faults(vehicles: Vec<VehicleId>, packages: Vec<PackageName>) -> (Vec<(String, String)>, (usize, usize)) {
    let memory = Memory::default();
    let counted = InFlight::new(memory.clone());
    let onboarding = onboarding(&memory, &counted);
    let fleet_id = onboarding.create_fleet(&admin(), "A fleet", Plan::Standard).await.unwrap().fleet_id;
    let delivery_format = DeliveryFormat::Json;
    let request = SubscriptionRequest { vehicles, packages, delivery_format, valid_from: None, valid_until: None };
    let refused = onboarding.subscribe(&admin(), &fleet_id, request).await;
    let Err(ServiceError::Invalid(fields)) = refused else { panic!("accepted") };
    let faults = fields.iter().map(|field| (field.pointer.to_string(), field.detail.clone())).collect();
    (faults, (counted.calls(), counted.max_in_flight()))
}

#[tokio::test]
async fn lists_of_a_subscription_have_a_maximum() {
    let repeats = vec![packages(&["telematics"])[0].clone(); 60_000];
    let (found, reads) = faults(vehicles(1001), repeats).await;
    let expected = [("/vehicles", "must contain 1 to 1000 entries"), ("/packages", "must contain 1 to 106 entries")];
    assert_eq!(found, expected.map(|(pointer, detail)| (pointer.to_owned(), detail.to_owned())));
    assert_eq!(reads.0, 0, "an invalid request causes no reads of vehicles");
    let (found, _) = faults(vec![], vec![]).await;
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn each_repeated_vehicle_and_package_is_a_fault() {
    let mut twice = vehicles(3);
    twice.extend(vehicles(1));
    let (found, _) = faults(twice, packages(&["alerts", "telematics", "alerts", "alerts"])).await;
    let expected = [
        ("/vehicles/3", "repeats /vehicles/0; remove one of them"),
        ("/packages/2", "repeats /packages/0; remove one of them"),
        ("/packages/3", "repeats /packages/0; remove one of them"),
    ];
    assert_eq!(found, expected.map(|(pointer, detail)| (pointer.to_owned(), detail.to_owned())));
}

#[tokio::test]
async fn unknown_vehicles_are_listed_in_order_and_read_concurrently() {
    let (found, reads) = faults(vehicles(100), packages(&["alerts"])).await;
    let pointers: Vec<String> = found.into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(pointers, (0..100).map(|n| format!("/vehicles/{n}")).collect::<Vec<_>>());
    assert_eq!(reads, (100, 16));
}
