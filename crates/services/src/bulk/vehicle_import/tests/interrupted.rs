//! Stores that stop half-way through a window, or do all of it and lose the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use roadcast_domain::ids::VehicleId;
use roadcast_domain::vehicle::Vehicle;
use roadcast_domain::vehicle_mapping::VehicleMapping;
use roadcast_ports::batch_result::BatchResult;
use roadcast_ports::bulk::PutOutcome;
use roadcast_ports::vehicles::{VehicleListing, VehiclePage, VehicleRegistration};
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

fn answered<T>(each: BatchResult<T>, answers: bool) -> BatchResult<T> {
    if answers { each } else { Err(PortError::new(PortErrorKind::TimedOut, "half-way")) }
}

impl VehicleMappings for HalfWay<MemoryBulk> {
    async fn get(&self, pairs: &[(FleetId, VehicleId)]) -> Result<Vec<Option<VehicleMapping>>, PortError> {
        self.inner.get(pairs).await
    }

    async fn put(&self, mapping: &VehicleMapping) -> Result<PutOutcome, PortError> {
        self.inner.put(mapping).await
    }

    async fn put_all(&self, mappings: &[VehicleMapping]) -> BatchResult<PutOutcome> {
        let (done, answers) = self.reach(mappings.len());
        answered(self.inner.put_all(&mappings[..done]).await, answers)
    }

    async fn list(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> Result<Vec<VehicleMapping>, PortError> {
        self.inner.list(fleet_id, after, limit).await
    }
}

impl VehicleNames for HalfWay<Memory> {
    async fn resolve_all(&self, names: &[Subject]) -> Result<Vec<Option<VehicleId>>, PortError> {
        self.inner.resolve_all(names).await
    }
}

impl Vehicles for HalfWay<Memory> {
    async fn register(&self, vehicle: &Vehicle) -> Result<VehicleRegistration, PortError> {
        self.inner.register(vehicle).await
    }

    async fn register_all(&self, vehicles: &[Vehicle]) -> BatchResult<VehicleRegistration> {
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
    let load = VehicleImport {
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
            Ok(ImportOutcome::Loaded(summary, _)) => break summary,
            Ok(ImportOutcome::Resumes(_)) | Err(_) => assert!(runs < 100, "it comes to its end"),
            other => panic!("{other:?}"),
        }
    };
    assert!(runs > 5, "{runs}");
    assert_eq!(*summary, expect);
    assert_eq!(faulty.report("a.csv"), flawless.report("a.csv"));
    assert_eq!(faulty.kept().await, flawless.kept().await);
}
