//! The import of bulk files: 512 MiB.

use std::io::Write as _;

use roadcast_domain::Timestamp;
use roadcast_ports::clock::Clock as _;
use roadcast_services::bulk::{DEFAULT_WINDOW_ROWS, VehicleImport};
use roadcast_services::cache::CachedFleets;
use roadcast_testbed::{InMemory, MemoryBulk, SeededRandomness};

use crate::fixture::Fixture;
use crate::peak::{MIB, assert_peak, peak};

const BOUND: usize = 128 * MIB;

/// Imports a file whose content is compressed by `compress`.
fn import(input: &str, name: &str, bytes: &[u8]) {
    let fixture = peak(Fixture::new()).0;
    let bulk = MemoryBulk::default();
    let import = VehicleImport::<InMemory> {
        files: bulk.clone(),
        mappings: bulk.clone(),
        progress: bulk.clone(),
        vehicles: fixture.memory.clone(),
        vehicle_names: fixture.memory.clone(),
        fleets: CachedFleets::new(fixture.memory.clone(), fixture.clock.clone()),
        clock: fixture.clock.clone(),
        randomness: SeededRandomness::new(3),
        window_rows: DEFAULT_WINDOW_ROWS,
    };
    let file = bulk.upload(&format!("vin-map/{name}"), bytes, fixture.clock.now());
    // A refused file is reported as well.
    assert_peak(input, BOUND, import.import(&file, Timestamp::from_ms(i64::MAX))).unwrap();
}

/// The first line of a file of mappings.
const HEADER: &str = "vin,fleet_id\n";

#[test]
fn rows_of_the_maximum_length_are_bounded() {
    let row = format!("{},x\n", "v".repeat(16 * 1024 - 8));
    // More than one window.
    let text = format!("{HEADER}{}", row.repeat(DEFAULT_WINDOW_ROWS + 100));
    import("rows of 16 KiB", "rows.csv", text.as_bytes());
}

#[test]
fn line_without_an_end_is_bounded() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(HEADER.as_bytes()).unwrap();
    let zeros = vec![b'0'; MIB];
    for _ in 0..64 {
        encoder.write_all(&zeros).unwrap();
    }
    import("a line of 64 MiB", "bomb.csv.zst", &encoder.finish().unwrap());
}
