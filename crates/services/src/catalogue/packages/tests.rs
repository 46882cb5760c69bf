#![allow(clippy::unwrap_used, clippy::panic)]
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::ClientId;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_testbed::{InMemory, ManualClock, Memory};

use super::*;
use crate::authz::Proof as _;
use crate::catalogue::event_schemas::SchemaRegistration;

const TYRE: &str = "com.example.tyre.v1";

type MemoryCatalogue = PackageCatalogue<InMemory>;

fn admin() -> Admin {
    Admin::prove(&Caller::Admin(ClientId::new("admin"))).unwrap()
}

fn catalogue() -> MemoryCatalogue {
    let clock = ManualClock::default();
    let memory = Memory::new(clock.clone());
    PackageCatalogue { packages: memory.clone(), schemas: memory, clock }
}

fn speed() -> PackageRequest {
    PackageRequest { signals: vec!["Vehicle.Speed".to_owned()], event_types: Vec::new() }
}

/// The condition of a request that creates a package.
fn new() -> VersionCondition {
    VersionCondition::default()
}

fn version(version: u64) -> VersionCondition {
    version.into()
}

fn pointers(result: Result<CustomPackage, ServiceError>) -> Vec<JsonPointer> {
    match result {
        Err(ServiceError::Invalid(fields)) => fields.into_iter().map(|field| field.pointer).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn package_is_replaced_only_at_its_latest_version() {
    let catalogue = catalogue();
    let created = catalogue.put(&admin(), "speed", speed(), &new()).await.unwrap();
    assert_eq!((created.version, created.created_at), (1, catalogue.clock.now()));
    catalogue.clock.advance_ms(1000);
    for replaced in [new(), version(0), version(2)] {
        let refused = catalogue.put(&admin(), "speed", speed(), &replaced).await;
        assert!(matches!(refused, Err(ServiceError::Stale)), "{replaced:?}: {refused:?}");
    }
    let replaced = catalogue.put(&admin(), "speed", speed(), &version(1)).await.unwrap();
    assert_eq!((replaced.version, replaced.created_at, replaced.updated_at), (2, created.created_at, catalogue.clock.now()));
    assert_eq!(catalogue.get("speed").await.unwrap(), PackageRecord::Custom(replaced));
    assert!(matches!(catalogue.put(&admin(), "other", speed(), &version(1)).await, Err(ServiceError::NotFound)));
    assert!(matches!(catalogue.get("other").await, Err(ServiceError::NotFound)));
    assert!(matches!(catalogue.get("no name").await, Err(ServiceError::NotFound)));
}

#[tokio::test]
async fn built_in_packages_are_listed_and_cannot_be_modified() {
    let catalogue = catalogue();
    catalogue.put(&admin(), "speed", speed(), &new()).await.unwrap();
    let listed = catalogue.list().await.unwrap();
    let names: Vec<&str> = listed.iter().map(|record| record.package().name.as_str()).collect();
    assert!(names.is_sorted() && names.len() == Packages::built_in().iter().count() + 1, "{names:?}");
    for built_in in Packages::built_in().iter() {
        for replaced in [new(), version(0), version(1)] {
            let refused = catalogue.put(&admin(), built_in.name.as_str(), speed(), &replaced).await;
            assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{}: {refused:?}", built_in.name);
        }
        assert_eq!(catalogue.get(built_in.name.as_str()).await.unwrap(), PackageRecord::BuiltIn(built_in.clone()));
    }
}

#[tokio::test]
async fn invalid_packages_are_refused_with_pointers() {
    let catalogue = catalogue();
    assert_eq!(pointers(catalogue.put(&admin(), "Speed", speed(), &new()).await), ["/name"]);
    assert_eq!(pointers(catalogue.put(&admin(), "a", PackageRequest::default(), &new()).await), [""]);
    let unknown = PackageRequest { signals: vec!["Vehicle.Speed".to_owned(), "Oem.*".to_owned()], ..speed() };
    assert_eq!(pointers(catalogue.put(&admin(), "a", unknown, &new()).await), ["/signals/1"]);

    let tyres = PackageRequest { signals: Vec::new(), event_types: EventType::from_name(TYRE).into_iter().collect() };
    assert_eq!(pointers(catalogue.put(&admin(), "tyres", tyres.clone(), &new()).await), ["/eventTypes/0"]);
    let schemas = SchemaRegistration::<InMemory> { schemas: catalogue.schemas.clone(), clock: catalogue.clock.clone() };
    schemas.register(&admin(), TYRE, "{}").await.unwrap();
    catalogue.put(&admin(), "tyres", tyres, &new()).await.unwrap();
}

#[tokio::test]
async fn number_of_packages_is_limited_but_existing_ones_are_replaceable() {
    let catalogue = catalogue();
    for n in 0..limits::CUSTOM_PACKAGES {
        catalogue.put(&admin(), &format!("p{n}"), speed(), &new()).await.unwrap();
    }
    assert_eq!(pointers(catalogue.put(&admin(), "more", speed(), &new()).await), ["/name"]);
    catalogue.put(&admin(), "p0", speed(), &version(1)).await.unwrap();
}
