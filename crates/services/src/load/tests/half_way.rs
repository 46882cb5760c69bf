//! Stores that stop half-way through a window, or do all of it and lose the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use roadcast_domain::ids::VehicleId;
use roadcast_domain::mapping::Mapping;
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::bulk::Put;
use roadcast_ports::each::Each;
use roadcast_ports::vehicles::{Registered, VehicleListing, VehiclePage};
use roadcast_ports::{PortError, PortErrorKind};

use super::*;

/// A store whose every second call for many stops half-way, or, every fourth, at its end.
#[derive(Clone)]
struct HalfWay<P> {
    inner: P,
    calls: Arc<AtomicUsize>,
}

impl<P> HalfWay<P> {
    fn of(inner: P) -> Self {
        Self { inner, calls: Arc::default() }
    }

    /// Of how many the call is done, and whether it answers.
    fn reach(&self, all: usize) -> (usize, bool) {
        match self.calls.fetch_add(1, Ordering::Relaxed) % 4 {
            0 => (all / 2, false),
            2 => (all, false),
            _ => (all, true),
        }
    }
}

fn answered<T>(each: Each<T>, answers: bool) -> Each<T> {
    if answers { each } else { Err(PortError::new(PortErrorKind::TimedOut, "half-way")) }
}

impl VehicleMap for HalfWay<MemoryBulk> {
    async fn get(&self, pairs: &[(FleetId, VehicleId)]) -> Result<Vec<Option<Mapping>>, PortError> {
        self.inner.get(pairs).await
    }

    async fn put(&self, mapping: &Mapping) -> Result<Put, PortError> {
        self.inner.put(mapping).await
    }

    async fn put_all(&self, mappings: &[Mapping]) -> Each<Put> {
        let (done, answers) = self.reach(mappings.len());
        answered(self.inner.put_all(&mappings[..done]).await, answers)
    }

    async fn list(&self, fleet_id: &FleetId, after: Option<&VehicleId>, limit: usize) -> Result<Vec<Mapping>, PortError> {
        self.inner.list(fleet_id, after, limit).await
    }
}

impl Names for HalfWay<Memory> {
    async fn resolve_all(&self, names: &[Subject]) -> Result<Vec<Option<VehicleId>>, PortError> {
        self.inner.resolve_all(names).await
    }
}

impl Vehicles for HalfWay<Memory> {
    async fn register(&self, vehicle: &Vehicle) -> Result<Registered, PortError> {
        self.inner.register(vehicle).await
    }

    async fn register_all(&self, vehicles: &[Vehicle]) -> Each<Registered> {
        let (done, answers) = self.reach(vehicles.len());
        answered(self.inner.register_all(&vehicles[..done]).await, answers)
    }

    async fn get(&self, vid: &VehicleId) -> Result<Option<Vehicle>, PortError> {
        Vehicles::get(&self.inner, vid).await
    }

    async fn replace(&self, vehicle: &Vehicle) -> Result<(), PortError> {
        self.inner.replace(vehicle).await
    }

    async fn resolve(&self, subject: &Subject) -> Result<Option<VehicleId>, PortError> {
        self.inner.resolve(subject).await
    }

    async fn list(&self, page: &VehicleListing) -> Result<VehiclePage, PortError> {
        Vehicles::list(&self.inner, page).await
    }
}

#[tokio::test]
async fn a_window_that_stops_half_way_is_loaded_as_if_it_had_not() {
    let (flawless, faulty) = (World::new().await, World::new().await);
    let mut text = "vin,fleetId,externalId\n".to_owned();
    for n in 0..1300 {
        let wrong = if n % 100 == 0 { "x" } else { "" };
        writeln!(text, "{wrong}{},{},bus:{}", vin(n % 1200), fleet(n as u128 % 3), n % 1199).unwrap();
    }
    let expect = flawless.load(&flawless.upload("a.csv", &text, 1)).await;

    let file = faulty.upload("a.csv", &text, 1);
    let load = Load {
        files: faulty.bulk.clone(),
        map: HalfWay::of(faulty.bulk.clone()),
        loads: faulty.bulk.clone(),
        vehicles: HalfWay::of(faulty.memory.clone()),
        fleets: CachedFleets::new(faulty.memory.clone(), faulty.load.clock.clone()),
        clock: faulty.load.clock.clone(),
        randomness: SeededRandomness::new(7),
    };
    let mut runs = 0;
    let summary = loop {
        runs += 1;
        match load.vin_map(&file, FOREVER).await {
            Ok(Outcome::Loaded(summary, _)) => break summary,
            Ok(Outcome::GoesOn(_)) | Err(_) => assert!(runs < 100, "it comes to its end"),
            other => panic!("{other:?}"),
        }
    };
    assert!(runs > 5, "{runs}");
    assert_eq!(*summary, expect);
    assert_eq!(faulty.report("a.csv"), flawless.report("a.csv"));
    assert_eq!(faulty.kept().await, flawless.kept().await);
}
