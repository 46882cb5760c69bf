#![allow(clippy::unwrap_used, clippy::panic)]
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_testbed::{ManualClock, Memory};

use super::*;
use crate::catalogue::event_schemas::SchemaRegistration;

const TYRE: &str = "com.example.tyre.v1";

type VehicleRegistry = PackageCatalogue<Memory, Memory, ManualClock>;

fn admin() -> Caller {
    Caller::Admin(ClientId::new("admin"))
}

fn register() -> VehicleRegistry {
    let clock = ManualClock::default();
    let memory = Memory::new(clock.clone());
    PackageCatalogue { packages: memory.clone(), schemas: memory, clock }
}

fn speed() -> PackageRequest {
    PackageRequest { signals: vec!["Vehicle.Speed".to_owned()], event_types: Vec::new() }
}

fn pointers(refused: Result<CustomPackage, ServiceError>) -> Vec<String> {
    match refused {
        Err(ServiceError::Invalid(wrong)) => wrong.into_iter().map(|wrong| wrong.pointer).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_package_is_made_once_and_replaced_by_who_read_its_last_version() {
    let register = register();
    let made = register.put(&admin(), "speed", speed(), None).await.unwrap();
    assert_eq!((made.version, made.created_at), (1, register.clock.now()));
    register.clock.advance_ms(1000);
    for replaced in [None, Some(0), Some(2)] {
        let refused = register.put(&admin(), "speed", speed(), replaced).await;
        assert!(matches!(refused, Err(ServiceError::Stale)), "{replaced:?}: {refused:?}");
    }
    let replaced = register.put(&admin(), "speed", speed(), Some(1)).await.unwrap();
    assert_eq!((replaced.version, replaced.created_at, replaced.updated_at), (2, made.created_at, register.clock.now()));
    assert_eq!(register.get(&admin(), "speed").await.unwrap(), PackageRecord::Custom(replaced));
    assert!(matches!(register.put(&admin(), "other", speed(), Some(1)).await, Err(ServiceError::NotFound)));
    assert!(matches!(register.get(&admin(), "other").await, Err(ServiceError::NotFound)));
    assert!(matches!(register.get(&admin(), "no name").await, Err(ServiceError::NotFound)));
}

#[tokio::test]
async fn the_packages_of_the_first_day_are_listed_with_the_others_and_stay_as_they_are() {
    let register = register();
    register.put(&admin(), "speed", speed(), None).await.unwrap();
    let listed = register.list(&admin()).await.unwrap();
    let names: Vec<&str> = listed.iter().map(|known| known.package().name.as_str()).collect();
    assert!(names.is_sorted() && names.len() == Packages::built_in().iter().count() + 1, "{names:?}");
    for built_in in Packages::built_in().iter() {
        for replaced in [None, Some(0), Some(1)] {
            let refused = register.put(&admin(), &built_in.name, speed(), replaced).await;
            assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{}: {refused:?}", built_in.name);
        }
        assert_eq!(register.get(&admin(), &built_in.name).await.unwrap(), PackageRecord::BuiltIn(built_in.clone()));
    }
}

#[tokio::test]
async fn what_cannot_be_a_package_is_refused_where_it_is_wrong() {
    let register = register();
    assert_eq!(pointers(register.put(&admin(), "Speed", speed(), None).await), ["/name"]);
    assert_eq!(pointers(register.put(&admin(), "a", PackageRequest::default(), None).await), [""]);
    let unknown = PackageRequest { signals: vec!["Vehicle.Speed".to_owned(), "Oem.*".to_owned()], ..speed() };
    assert_eq!(pointers(register.put(&admin(), "a", unknown, None).await), ["/signals/1"]);

    let tyres = PackageRequest { signals: Vec::new(), event_types: EventType::from_name(TYRE).into_iter().collect() };
    assert_eq!(pointers(register.put(&admin(), "tyres", tyres.clone(), None).await), ["/eventTypes/0"]);
    let schemas = SchemaRegistration { schemas: register.schemas.clone(), clock: register.clock.clone() };
    schemas.register(&admin(), TYRE, "{}").await.unwrap();
    register.put(&admin(), "tyres", tyres, None).await.unwrap();
}

#[tokio::test]
async fn there_are_only_so_many_packages_but_any_of_them_may_be_replaced() {
    let register = register();
    for n in 0..limits::CUSTOM_PACKAGES {
        register.put(&admin(), &format!("p{n}"), speed(), None).await.unwrap();
    }
    assert_eq!(pointers(register.put(&admin(), "more", speed(), None).await), ["/name"]);
    register.put(&admin(), "p0", speed(), Some(1)).await.unwrap();
}

#[tokio::test]
async fn only_admins_keep_packages() {
    let register = register();
    for caller in [Caller::Fleet(FleetId::from_random(1)), Caller::Ingest(ClientId::new("c"))] {
        let refused = register.put(&caller, "speed", speed(), None).await;
        assert!(matches!(refused, Err(ServiceError::Forbidden(_))));
    }
}
