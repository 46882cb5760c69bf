//! Throughput and peak memory of the bulk vehicle import, without AWS: the ports store nothing and return immediately.
//! `cargo bench -p roadcast-services --bench vehicle_import -- ROWS` imports one file in one process, so that the peak is
//! that of the import.

// A measurement fails on the first unexpected result.
#![allow(clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use roadcast_domain::Timestamp;
use roadcast_domain::audit::Change;
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{ChangeId, FleetId, VehicleId};
use roadcast_domain::name_history::NameHistory;
use roadcast_domain::plan::Plan;
use roadcast_domain::subject::{Subject, VehicleName};
use roadcast_domain::vehicle::Vehicle;
use roadcast_domain::vehicle_mapping::{FileVersion, ImportLedger, VehicleMapping};
use roadcast_ports::PortError;
use roadcast_ports::bulk::{BulkFile, BulkFiles, Checkpoint, FileBody, ImportProgress, PutOutcome, VehicleMappings};
use roadcast_ports::fleets::{FleetCreation, Fleets};
use roadcast_ports::vehicles::{VehicleListing, VehicleNames, VehiclePage, VehicleRegistration, Vehicles};
use roadcast_services::bulk::{DEFAULT_WINDOW_ROWS, ImportOutcome, VehicleImport};
use roadcast_services::cache::CachedFleets;
use roadcast_testbed::{ManualClock, SeededRandomness, port_set};

/// One row in this many is invalid.
const INVALID_ROW_INTERVAL: u64 = 100;
/// Rows per chunk of the file.
const ROWS_PER_CHUNK: u64 = 500;

/// Implements every port of the use case; stores only counts.
#[derive(Default)]
struct CountingPorts {
    rows: u64,
    bytes: AtomicU64,
    reported: AtomicU64,
    checkpoints: AtomicU64,
}

/// A file that is generated while it is read.
struct GeneratedFile {
    next: u64,
    rows: u64,
}

impl FileBody for GeneratedFile {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, PortError> {
        let mut chunk = String::new();
        if self.next == 0 {
            chunk.push_str("fleetId,vin,make,model,modelYear,fuelType,externalId,removed\n");
        }
        let end = (self.next + ROWS_PER_CHUNK).min(self.rows);
        for row in self.next..end {
            let fleet = FleetId::from_random_bits(u128::from(row % 50));
            let digit = if row % INVALID_ROW_INTERVAL == 0 { "O" } else { "0" };
            writeln!(chunk, "{fleet},WVWZZZ{digit}CZ{row:08},Volkswagen,Golf,2014,gasoline,depot:{row},")
                .expect("writing to a string succeeds");
        }
        self.next = end;
        Ok((!chunk.is_empty()).then(|| chunk.into_bytes()))
    }
}

impl BulkFiles for &CountingPorts {
    type Body = GeneratedFile;

    async fn open(&self, _: &BulkFile, _: u64) -> Result<GeneratedFile, PortError> {
        Ok(GeneratedFile { next: 0, rows: self.rows })
    }

    async fn store_report_part(&self, _: &BulkFile, _: u32, lines: Vec<u8>) -> Result<(), PortError> {
        self.reported.fetch_add(lines.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    async fn store_report(&self, _: &BulkFile, _: u32, lines: Vec<u8>, _: Vec<u8>) -> Result<(), PortError> {
        self.reported.fetch_add(lines.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    async fn request_resume(&self, _: &BulkFile) -> Result<(), PortError> {
        Ok(())
    }
}

impl VehicleMappings for &CountingPorts {
    async fn get(&self, pairs: &[(FleetId, VehicleId)]) -> Result<Vec<Option<VehicleMapping>>, PortError> {
        Ok(vec![None; pairs.len()])
    }

    async fn put(&self, _: &VehicleMapping) -> Result<PutOutcome, PortError> {
        Ok(PutOutcome::Stored)
    }

    async fn list(&self, _: &FleetId, _: Option<&VehicleId>, _: usize) -> Result<Vec<VehicleMapping>, PortError> {
        Ok(Vec::new())
    }
}

impl ImportProgress for &CountingPorts {
    async fn checkpoint(&self, _: &BulkFile) -> Result<Option<Checkpoint>, PortError> {
        Ok(None)
    }

    async fn save_checkpoint(&self, _: &BulkFile, checkpoint: &Checkpoint) -> Result<(), PortError> {
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
        self.bytes.store(checkpoint.offset, Ordering::Relaxed);
        Ok(())
    }

    async fn ledger(&self) -> Result<ImportLedger, PortError> {
        Ok(ImportLedger::default())
    }

    async fn replace_ledger(&self, _: &ImportLedger) -> Result<(), PortError> {
        Ok(())
    }
}

impl VehicleNames for &CountingPorts {
    async fn resolve_all(&self, names: &[VehicleName]) -> Result<Vec<Option<VehicleId>>, PortError> {
        Ok(vec![None; names.len()])
    }
}

impl Vehicles for &CountingPorts {
    async fn register(&self, _: &Vehicle) -> Result<VehicleRegistration, PortError> {
        Ok(VehicleRegistration::New)
    }

    async fn get(&self, _: &VehicleId) -> Result<Option<Vehicle>, PortError> {
        Ok(None)
    }

    async fn replace(&self, _: &Vehicle) -> Result<(), PortError> {
        Ok(())
    }

    async fn history(&self, _: &Subject) -> Result<Option<NameHistory>, PortError> {
        Ok(None)
    }

    async fn version(&self) -> Result<u64, PortError> {
        Ok(0)
    }

    async fn list(&self, _: &VehicleListing) -> Result<VehiclePage, PortError> {
        Ok(VehiclePage::default())
    }
}

impl Fleets for &CountingPorts {
    async fn update(&self, _: &Fleet, _: &Change) -> Result<(), PortError> {
        Ok(())
    }

    async fn changes(&self, _: &FleetId, _: Option<ChangeId>, _: usize) -> Result<Vec<Change>, PortError> {
        Ok(Vec::new())
    }

    async fn create_within(&self, _: &Fleet, _: u32, _: &Change) -> Result<FleetCreation, PortError> {
        Ok(FleetCreation::Created)
    }

    async fn bus_counts(&self) -> Result<BTreeMap<String, u32>, PortError> {
        Ok(BTreeMap::new())
    }

    async fn release_bus(&self, _: &Fleet, _: &Change) -> Result<(), PortError> {
        Ok(())
    }

    async fn get(&self, fleet_id: &FleetId) -> Result<Option<Fleet>, PortError> {
        let (name, delivery_bus) = (String::new(), String::new());
        let (plan, created_at) = (Plan::Standard, Timestamp::from_ms(0));
        Ok(Some(Fleet::new(fleet_id.clone(), name, delivery_bus, plan, created_at)))
    }

    async fn list(&self, _: Option<&FleetId>, _: usize) -> Result<Vec<Fleet>, PortError> {
        Ok(Vec::new())
    }
}

port_set! {
    /// Ports that store only counts.
    enum WithoutStorage {
        BulkFiles = &'static CountingPorts;
        Fleets = &'static CountingPorts;
        ImportProgress = &'static CountingPorts;
        VehicleMappings = &'static CountingPorts;
        VehicleNames = &'static CountingPorts;
        Vehicles = &'static CountingPorts;
    }
}

fn main() {
    let rows = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    // The ports live as long as the process.
    let ports: &CountingPorts = Box::leak(Box::new(CountingPorts { rows, ..CountingPorts::default() }));
    let clock = ManualClock::default();
    let import = VehicleImport::<WithoutStorage> {
        files: ports,
        mappings: ports,
        progress: ports,
        vehicles: ports,
        vehicle_names: ports,
        fleets: CachedFleets::new(ports, clock.clone()),
        clock,
        randomness: SeededRandomness::new(1),
        window_rows: DEFAULT_WINDOW_ROWS,
    };
    let version = FileVersion::new(Timestamp::from_ms(0), "", "");
    let file = BulkFile { key: "vin-map/a.csv".to_owned(), object_version: None, content: String::new(), version };
    let before_kib = peak_kib();
    let started = Instant::now();
    let outcome = futures::executor::block_on(import.import(&file, Timestamp::from_ms(i64::MAX)));
    let seconds = started.elapsed().as_secs_f64();
    let Ok(ImportOutcome::Loaded(summary, _)) = outcome else { panic!("{outcome:?}") };
    let figures = BTreeMap::from([
        ("bytes", ports.bytes.load(Ordering::Relaxed)),
        ("checkpoints", ports.checkpoints.load(Ordering::Relaxed)),
        ("peak_kib", peak_kib()),
        ("peak_kib_before", before_kib),
        ("report_bytes", ports.reported.load(Ordering::Relaxed)),
        ("rows", summary.counts.rows),
        ("invalid", summary.counts.wrong),
    ]);
    println!("{figures:?} in {seconds:.2} s");
}

/// Returns the peak resident memory of this process on Linux, in KiB; 0 on other systems.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
