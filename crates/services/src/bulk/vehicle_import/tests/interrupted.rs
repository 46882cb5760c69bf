//! Stores that fail half-way through a window, or complete it and lose the response.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use roadcast_domain::ids::VehicleId;
use roadcast_domain::name_history::NameHistory;
use roadcast_domain::vehicle::Vehicle;
use roadcast_domain::vehicle_mapping::VehicleMapping;
use roadcast_ports::batch_result::BatchResult;
use roadcast_ports::bulk::PutOutcome;
use roadcast_ports::vehicles::{VehicleListing, VehiclePage, VehicleRegistration};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_testbed::port_set;

use super::*;

/// A store whose every second batch call fails: alternately half-way, or after completion.
#[derive(Clone)]
struct Interrupted<Port> {
    inner: Port,
    calls: Arc<AtomicUsize>,
}

impl<Port> Interrupted<Port> {
    fn of(inner: Port) -> Self {
        Self { inner, calls: Arc::default() }
    }

    /// Returns how many of `all` items the call processes, and whether it succeeds.
    fn next_call(&self, all: usize) -> (usize, bool) {
        match self.calls.fetch_add(1, Ordering::Relaxed) % 4 {
            0 => (all / 2, false),
            2 => (all, false),
            _ => (all, true),
        }
    }
}

port_set! {
    /// Ports in memory whose writes of mappings and vehicles are interrupted.
    enum WithInterruptions {
        VehicleMappings = Interrupted<MemoryBulk>;
        Vehicles = Interrupted<Memory>;
    }
}

fn result_of<T>(result: BatchResult<T>, succeeds: bool) -> BatchResult<T> {
    if succeeds { result } else { Err(PortError::new(PortErrorKind::TimedOut, "interrupted")) }
}

impl VehicleMappings for Interrupted<MemoryBulk> {
    async fn get(&self, pairs: &[(FleetId, VehicleId)]) -> Result<Vec<Option<VehicleMapping>>, PortError> {
        self.inner.get(pairs).await
    }

    async fn put(&self, mapping: &VehicleMapping) -> Result<PutOutcome, PortError> {
        self.inner.put(mapping).await
    }

    async fn put_all(&self, mappings: &[VehicleMapping]) -> BatchResult<PutOutcome> {
        let (done, succeeds) = self.next_call(mappings.len());
        result_of(self.inner.put_all(&mappings[..done]).await, succeeds)
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

impl Vehicles for Interrupted<Memory> {
    async fn register(&self, vehicle: &Vehicle) -> Result<VehicleRegistration, PortError> {
        self.inner.register(vehicle).await
    }

    async fn register_all(&self, vehicles: &[Vehicle]) -> BatchResult<VehicleRegistration> {
        let (done, succeeds) = self.next_call(vehicles.len());
        result_of(self.inner.register_all(&vehicles[..done]).await, succeeds)
    }

    async fn get(&self, vid: &VehicleId) -> Result<Option<Vehicle>, PortError> {
        Vehicles::get(&self.inner, vid).await
    }

    async fn replace(&self, vehicle: &Vehicle) -> Result<(), PortError> {
        self.inner.replace(vehicle).await
    }

    async fn history(&self, subject: &Subject) -> Result<Option<NameHistory>, PortError> {
        self.inner.history(subject).await
    }

    async fn version(&self) -> Result<u64, PortError> {
        Vehicles::version(&self.inner).await
    }

    async fn list(&self, page: &VehicleListing) -> Result<VehiclePage, PortError> {
        Vehicles::list(&self.inner, page).await
    }
}

#[tokio::test]
async fn interrupted_windows_have_the_result_of_flawless_ones() {
    let (flawless, faulty) = (VehicleImportFixture::new().await, VehicleImportFixture::new().await);
    let mut text = "vin,fleetId,externalId\n".to_owned();
    for n in 0..1300 {
        let wrong = if n % 100 == 0 { "x" } else { "" };
        writeln!(text, "{wrong}{},{},bus:{}", vin(n % 1200), fleet(n as u128 % 3), n % 1199).unwrap();
    }
    let expected = flawless.load(&flawless.upload("a.csv", &text, 1)).await;

    let file = faulty.upload("a.csv", &text, 1);
    let import = VehicleImport::<WithInterruptions> {
        files: faulty.bulk.clone(),
        mappings: Interrupted::of(faulty.bulk.clone()),
        progress: faulty.bulk.clone(),
        vehicles: Interrupted::of(faulty.memory.clone()),
        vehicle_names: faulty.memory.clone(),
        fleets: CachedFleets::new(faulty.memory.clone(), faulty.import.clock.clone()),
        clock: faulty.import.clock.clone(),
        randomness: SeededRandomness::new(7),
        window_rows: WINDOW_ROWS,
    };
    let mut runs = 0;
    let summary = loop {
        runs += 1;
        match import.import(&file, FOREVER).await {
            Ok(ImportOutcome::Loaded(summary, _)) => break summary,
            Ok(ImportOutcome::Resumes(_)) | Err(_) => assert!(runs < 100, "the import completes"),
            other => panic!("{other:?}"),
        }
    };
    assert!(runs > 5, "{runs}");
    assert_eq!(*summary, expected);
    assert_eq!(faulty.report("a.csv"), flawless.report("a.csv"));
    assert_eq!(faulty.stored().await, flawless.stored().await);
}
