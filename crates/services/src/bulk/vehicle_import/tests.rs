#![allow(clippy::unwrap_used)]
mod interrupted;
mod spreadsheets;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;
use roadcast_domain::fleet::{FeedDisposition, Fleet};
use roadcast_domain::ids::FleetId;
use roadcast_domain::plan::Plan;
use roadcast_domain::subject::Subject;
use roadcast_domain::vin::Vin;
use roadcast_testbed::{InMemory, ManualClock, Memory, MemoryBulk, SeededRandomness, fixtures};
use serde_json::{Value, json};

use roadcast_ports::bulk::{Checkpoint, RowCounts, VehicleMappings};
use roadcast_ports::fleets::Fleets;
use roadcast_ports::vehicles::Vehicles;

use super::*;
use crate::bulk::Summary;
use crate::bulk::reader::MAX_RUNS;

type MemoryImport = VehicleImport<InMemory>;

const FOREVER: Timestamp = Timestamp::from_ms(i64::MAX);
/// A deadline in the past: a run ends after its first window.
const PAST: Timestamp = Timestamp::from_ms(0);
/// A fourth of the default, so that files with several windows are small.
const WINDOW_ROWS: usize = DEFAULT_WINDOW_ROWS / 4;

struct VehicleImportFixture {
    bulk: MemoryBulk,
    memory: Memory,
    import: MemoryImport,
}

impl VehicleImportFixture {
    async fn new() -> Self {
        let (bulk, clock) = (MemoryBulk::default(), ManualClock::default());
        let memory = Memory::new(clock.clone());
        for n in 0..3 {
            let (fleet_id, name, delivery_bus) = (fleet(n), "fleet".to_owned(), "bus".to_owned());
            let fleet = Fleet::new(fleet_id, name, delivery_bus, Plan::Standard, clock.now());
            Fleets::create(&memory, &fleet, &fixtures::change(&fleet.fleet_id)).await.unwrap();
        }
        let import = VehicleImport {
            files: bulk.clone(),
            mappings: bulk.clone(),
            progress: bulk.clone(),
            vehicles: memory.clone(),
            vehicle_names: memory.clone(),
            fleets: CachedFleets::new(memory.clone(), clock.clone()),
            clock,
            randomness: SeededRandomness::new(1),
            window_rows: WINDOW_ROWS,
        };
        Self { bulk, memory, import }
    }

    fn upload(&self, name: &str, text: impl AsRef<[u8]>, second: i64) -> BulkFile {
        self.bulk.upload(&format!("vin-map/{name}"), text.as_ref(), Timestamp::from_ms(second * 1000))
    }

    async fn load(&self, file: &BulkFile) -> Summary {
        match self.import.import(file, FOREVER).await.unwrap() {
            ImportOutcome::Loaded(summary, _) => *summary,
            other => panic!("{other:?}"),
        }
    }

    fn report(&self, name: &str) -> Vec<Value> {
        let text = self.bulk.object(&format!("reports/vin-map/{name}.report.ndjson")).unwrap();
        String::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Returns the make and the removal mark of each mapping, by fleet and VIN.
    async fn stored(&self) -> BTreeMap<(FleetId, String), (Option<String>, bool)> {
        let mut stored = BTreeMap::new();
        for mapping in self.bulk.mappings() {
            let vehicle = Vehicles::get(&self.memory, &mapping.vid).await.unwrap().unwrap();
            let vin = vehicle.details.vin.unwrap().as_str().to_owned();
            let before = stored.insert((mapping.fleet_id, vin), (mapping.details.make, mapping.removed));
            assert_eq!(before, None, "one vehicle for each VIN");
        }
        stored
    }
}

fn fleet(n: u128) -> FleetId {
    FleetId::from_random_bits(n)
}

fn vin(n: usize) -> String {
    format!("WVWZZZ3CZEE{n:06}")
}

fn counts(loaded: u64, unchanged: u64, superseded: u64, wrong: u64) -> RowCounts {
    RowCounts { rows: loaded + unchanged + superseded + wrong, loaded, unchanged, superseded, wrong }
}

#[tokio::test]
async fn fleet_being_offboarded_gets_no_vehicles() {
    let fixture = VehicleImportFixture::new().await;
    let offboarding =
        Fleets::get(&fixture.memory, &fleet(0)).await.unwrap().unwrap().begin_offboarding(FeedDisposition::Drain, FOREVER);
    Fleets::update(&fixture.memory, &offboarding, &fixtures::change(&offboarding.fleet_id)).await.unwrap();
    let text = format!("fleetId,vin\n{},{}\n{},{}\n", fleet(0), vin(1), fleet(1), vin(2));
    let summary = fixture.load(&fixture.upload("a.csv", &text, 1)).await;
    assert_eq!(summary.counts, counts(1, 0, 0, 1));
    assert_eq!(fixture.report("a.csv")[0]["reason"], "fleet_unknown");
}

#[tokio::test]
async fn valid_rows_are_loaded_and_invalid_rows_reported_without_values() {
    let fixture = VehicleImportFixture::new().await;
    let (f, unknown) = (fleet(0), fleet(99));
    let (v1, v2) = (vin(1), vin(2));
    let text = format!(
        "fleetId,vin,make,externalId,removed\r\n\
         {f},{v1},VW,bus:1,\r\n\
         \r\n\
         {f},1M8GDM9A1KP042788,,,\n\
         {unknown},{v2},,,\n\
         {f},{v2}\n\
         {f},WVWZZZ3CZEE14028O,,,\n\
         {f},{v2},,bus:1,\n\
         {f},{v1},VW,bus:1,true\n\
         {f},{v1},VW,bus:1,\n\
         {f},{v2},,,true"
    );
    let summary = fixture.load(&fixture.upload("a.csv", &text, 1)).await;
    assert_eq!(summary.counts, counts(2, 1, 0, 6));
    let reported: Vec<_> = fixture
        .report("a.csv")
        .into_iter()
        .map(|line| (line["line"].as_u64().unwrap(), line["pointer"].clone(), line["reason"].clone()))
        .collect();
    let expected = [
        (4, "/vin", "vin_check_digit"),
        (5, "/fleetId", "fleet_unknown"),
        (6, "", "columns"),
        (7, "/vin", "vin_character"),
        (8, "/externalId", "external_id_taken"),
        (9, "", "contradicts"),
    ];
    assert_eq!(reported, expected.map(|(line, pointer, reason)| (line, json!(pointer), json!(reason))));
    let stored = fixture.stored().await;
    assert_eq!(stored[&(f.clone(), v1.clone())], (Some("VW".to_owned()), false));
    assert_eq!(stored[&(f, v2)], (None, true));

    let report = fixture.bulk.object("reports/vin-map/a.csv.report.ndjson").unwrap();
    let summary = fixture.bulk.object("reports/vin-map/a.csv.summary.json").unwrap();
    let texts = String::from_utf8([report, summary].concat()).unwrap();
    for secret in [v1.as_str(), "1M8GDM9A1KP042788", "WVWZZZ3CZEE14028O"] {
        assert!(!texts.contains(secret), "{texts}");
    }
    assert!(!format!("{:?}", fixture.bulk.mappings()).contains(&v1), "mappings contain no VIN");
}

#[tokio::test]
async fn registered_vehicle_is_reused_and_keeps_its_details() {
    let fixture = VehicleImportFixture::new().await;
    let text = |make| format!("{{\"fleetId\":\"{}\",\"vin\":\"{}\",\"make\":\"{make}\"}}\n", fleet(0), vin(1));
    fixture.load(&fixture.upload("a.ndjson", text("VW"), 1)).await;
    let subject = Subject::Vin(vin(1).parse::<Vin>().unwrap());
    let vid = fixture.memory.resolve(&subject).await.unwrap().unwrap();
    let repeated = text("Volkswagen") + &text("Volkswagen").replace(fleet(0).as_str(), fleet(1).as_str());
    let summary = fixture.load(&fixture.upload("b.jsonl", &repeated, 2)).await;
    assert_eq!(summary.counts, counts(2, 0, 0, 0));
    assert!(fixture.bulk.mappings().iter().all(|mapping| mapping.vid == vid), "two fleets may share a vehicle");
    let vehicle = Vehicles::get(&fixture.memory, &vid).await.unwrap().unwrap();
    assert_eq!((vehicle.details.make.as_deref(), vehicle.version), (Some("VW"), 1));
}

#[tokio::test]
async fn external_id_of_a_new_vehicle_is_taken_for_later_rows() {
    let fixture = VehicleImportFixture::new().await;
    let row = |v: usize, id: &str| format!("{},{},{id}\n", fleet(0), vin(v));
    fixture.load(&fixture.upload("a.csv", format!("fleetId,vin,externalId\n{}", row(2, "")), 1)).await;
    let text = format!("fleetId,vin,externalId\n{}{}", row(1, "bus:1"), row(2, "bus:1"));
    assert_eq!(fixture.load(&fixture.upload("b.csv", &text, 2)).await.counts, counts(1, 0, 0, 1));
    assert_eq!(fixture.report("b.csv")[0]["reason"], "external_id_taken");
}

#[tokio::test]
async fn repeated_upload_writes_nothing() {
    let fixture = VehicleImportFixture::new().await;
    let mut text = "fleetId,vin,make\n".to_owned();
    for n in 0..1200 {
        writeln!(text, "{},{},VW", fleet(0), vin(n)).unwrap();
    }
    let first = fixture.upload("a.csv", &text, 1);
    assert_eq!(fixture.load(&first).await.counts, counts(1200, 0, 0, 0));
    let puts = fixture.bulk.puts();
    assert_eq!(
        fixture.import.import(&first, FOREVER).await.unwrap(),
        ImportOutcome::AlreadyLoaded,
        "its notification is delivered twice"
    );
    assert_eq!(fixture.load(&fixture.upload("a.csv", &text, 5)).await.counts, counts(0, 1200, 0, 0));
    assert_eq!(fixture.load(&fixture.upload("copy.csv", &text, 6)).await.counts, counts(0, 1200, 0, 0));
    assert_eq!(fixture.bulk.puts(), puts);
    // A file uploaded before the repeats and imported after them is superseded by them.
    let late = fixture.upload("late.csv", text.replace(",VW", ",Renault"), 4);
    assert_eq!(fixture.load(&late).await.counts, counts(0, 0, 1200, 0));
}

#[tokio::test]
async fn many_runs_produce_the_report_of_one_run() {
    let (one_run, many_runs) = (VehicleImportFixture::new().await, VehicleImportFixture::new().await);
    let mut text = "vin,fleetId\n".to_owned();
    for n in 0..2600 {
        let wrong = if n % 100 == 0 { "x" } else { "" };
        writeln!(text, "{wrong}{},{}", vin(n % 2500), fleet(0)).unwrap();
    }
    let expected = one_run.load(&one_run.upload("a.csv", &text, 1)).await;
    assert_eq!(expected.counts, counts(2475, 99, 0, 26));

    let mut file = many_runs.upload("a.csv", &text, 1);
    let (mut runs, mut rows) = (0, 0);
    let summary = loop {
        runs += 1;
        match many_runs.import.import(&file, PAST).await.unwrap() {
            ImportOutcome::Resumes(counts) => {
                rows += counts.rows;
                file = many_runs.bulk.take_resumes().remove(0);
            }
            ImportOutcome::Loaded(summary, counts) => {
                assert_eq!(rows + counts.rows, summary.counts.rows);
                break summary;
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(runs, 6);
    assert_eq!(*summary, expected);
    assert_eq!(many_runs.report("a.csv"), one_run.report("a.csv"));
    assert_eq!(many_runs.stored().await, one_run.stored().await);
}

#[tokio::test]
async fn import_ends_after_a_thousand_runs_and_states_the_line() {
    let fixture = VehicleImportFixture::new().await;
    let mut text = "fleetId,vin\n".to_owned();
    for n in 0..3 * WINDOW_ROWS {
        writeln!(text, "{},{}", fleet(0), vin(n)).unwrap();
    }
    let file = fixture.upload("a.csv", &text, 1);
    assert!(matches!(fixture.import.import(&file, PAST).await.unwrap(), ImportOutcome::Resumes(_)));
    let checkpoint = fixture.bulk.checkpoint(&file).await.unwrap().unwrap();
    assert_eq!((checkpoint.runs, fixture.bulk.take_resumes().len()), (1, 1));

    let last_but_one = Checkpoint { runs: MAX_RUNS - 1, ..checkpoint };
    fixture.bulk.save_checkpoint(&file, &last_but_one).await.unwrap();
    let ImportOutcome::Loaded(summary, _) = fixture.import.import(&file, PAST).await.unwrap() else {
        panic!("the last run")
    };
    assert_eq!(summary.counts, counts(1000, 0, 0, 0));
    let refused = summary.refused.unwrap();
    assert_eq!(refused.line, 1001);
    assert!(refused.detail.starts_with("the import was stopped after 1000 runs"), "{}", refused.detail);
    assert!(fixture.bulk.take_resumes().is_empty(), "no run is requested");
    assert_eq!(fixture.import.import(&file, FOREVER).await.unwrap(), ImportOutcome::AlreadyLoaded);
}

#[tokio::test]
async fn contradiction_of_a_row_in_another_window_is_invalid() {
    let fixture = VehicleImportFixture::new().await;
    let mut text = "fleetId,vin,make\n".to_owned();
    for n in 0..700 {
        writeln!(text, "{},{},VW", fleet(0), vin(n)).unwrap();
    }
    writeln!(text, "{f},{v},Renault\n{f},{v},VW", f = fleet(0), v = vin(3)).unwrap();
    let summary = fixture.load(&fixture.upload("a.csv", &text, 1)).await;
    assert_eq!(summary.counts, counts(700, 1, 0, 1));
    assert_eq!(fixture.report("a.csv")[0]["detail"], "line 5 has other values for the same fleet and vehicle");
    let stored = fixture.stored().await;
    assert_eq!(stored[&(fleet(0), vin(3))], (Some("VW".to_owned()), false));
}

#[tokio::test]
async fn unreadable_file_is_refused_with_a_reason() {
    let fixture = VehicleImportFixture::new().await;
    let row = format!("{},{}", fleet(0), vin(1));
    for (name, text) in [("a.txt", "fleetId,vin\n"), ("b.csv", row.as_str()), ("c.csv.gz", "fleetId,vin\n")] {
        let summary = fixture.load(&fixture.upload(name, text, 1)).await;
        assert_eq!(summary.counts, RowCounts::default(), "{name}");
        let refused = summary.refused.unwrap().detail;
        assert!(!refused.contains(&vin(1)), "{refused}");
        assert!(fixture.report(name).is_empty());
    }
}

#[tokio::test]
async fn replaced_file_is_not_imported() {
    let fixture = VehicleImportFixture::new().await;
    let text = |make| format!("fleetId,vin,make\n{},{},{make}\n", fleet(0), vin(1));
    let first = fixture.upload("a.csv", text("VW"), 1);
    let second = fixture.upload("a.csv", text("Renault"), 2);
    assert_eq!(fixture.import.import(&first, FOREVER).await.unwrap(), ImportOutcome::Replaced);
    assert_eq!(fixture.load(&second).await.counts, counts(1, 0, 0, 0));
}

/// A generated row: fleet, vehicle, whether the make is VW, whether it is removed.
type GeneratedRow = (u128, usize, bool, bool);

fn csv(rows: &[GeneratedRow], padded: bool) -> String {
    let mut text = "fleetId,vin,make,removed\n".to_owned();
    for (n, (f, v, vw, removed)) in rows.iter().enumerate() {
        writeln!(text, "{},{},{},{removed}", fleet(*f), vin(*v), if *vw { "VW" } else { "Renault" }).unwrap();
        if padded && n == rows.len() / 2 {
            // Spreads the rows over two windows.
            text.push_str(&"x\n".repeat(WINDOW_ROWS));
        }
    }
    text
}

fn rows() -> impl Strategy<Value = Vec<GeneratedRow>> {
    prop::collection::vec((0_u128..2, 0_usize..3, any::<bool>(), any::<bool>()), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Files are uploaded in the order of their numbers, and imported in any order: interleaved, twice, in parts.
    #[test]
    fn newest_file_wins_per_row_for_any_order_of_imports(
        contents in prop::collection::vec(rows(), 1..4),
        padded: bool,
        uploads in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
        steps in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..20),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let fixture = VehicleImportFixture::new().await;
            let (mut files, mut expected) = (Vec::new(), BTreeMap::new());
            for (n, content) in uploads.iter().enumerate() {
                let rows = &contents[content.index(contents.len())];
                files.push(fixture.upload(&format!("{n}.csv"), csv(rows, padded), i64::try_from(n).unwrap()));
                let mut seen = BTreeSet::new();
                for (f, v, vw, removed) in rows {
                    // Within a file, the first row of a pair applies.
                    if seen.insert((*f, *v)) {
                        let make = if *vw { "VW" } else { "Renault" };
                        expected.insert((fleet(*f), vin(*v)), (Some(make.to_owned()), *removed));
                    }
                }
            }
            for (step, hour_later) in steps {
                if hour_later {
                    // The ledger no longer counts earlier runs as in progress.
                    fixture.import.clock.advance_ms(60 * 60 * 1000);
                }
                fixture.import.import(step.get(&files), PAST).await.unwrap();
            }
            for file in files.iter().rev() {
                fixture.import.import(file, FOREVER).await.unwrap();
            }
            assert_eq!(fixture.stored().await, expected);
        });
    }
}
