#![allow(clippy::unwrap_used)]
mod interrupted;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;
use roadcast_domain::fleet::{FeedDisposition, Fleet};
use roadcast_domain::ids::FleetId;
use roadcast_domain::plan::Plan;
use roadcast_domain::subject::Subject;
use roadcast_domain::vin::Vin;
use roadcast_testbed::{ManualClock, Memory, MemoryBulk, SeededRandomness};
use serde_json::{Value, json};

use roadcast_ports::bulk::RowCounts;

use super::*;
use crate::bulk::Summary;

type MemoryLoad = VehicleImport<MemoryBulk, MemoryBulk, MemoryBulk, Memory, Memory, ManualClock, SeededRandomness>;

const FOREVER: Timestamp = Timestamp::from_ms(i64::MAX);
/// A time that has come: a run ends after its first window.
const AT_ONCE: Timestamp = Timestamp::from_ms(0);

struct World {
    bulk: MemoryBulk,
    memory: Memory,
    load: MemoryLoad,
}

impl World {
    async fn new() -> Self {
        let (bulk, clock) = (MemoryBulk::default(), ManualClock::default());
        let memory = Memory::new(clock.clone());
        for n in 0..3 {
            let (fleet_id, name, delivery_bus) = (fleet(n), "fleet".to_owned(), "bus".to_owned());
            let fleet = Fleet::new(fleet_id, name, delivery_bus, Plan::Standard, clock.now());
            Fleets::create(&memory, &fleet, None).await.unwrap();
        }
        let load = VehicleImport {
            files: bulk.clone(),
            map: bulk.clone(),
            loads: bulk.clone(),
            vehicles: memory.clone(),
            fleets: CachedFleets::new(memory.clone(), clock.clone()),
            clock,
            randomness: SeededRandomness::new(1),
        };
        Self { bulk, memory, load }
    }

    fn upload(&self, name: &str, text: &str, second: i64) -> BulkFile {
        self.bulk.upload(&format!("vin-map/{name}"), text.as_bytes(), Timestamp::from_ms(second * 1000))
    }

    async fn load(&self, file: &BulkFile) -> Summary {
        match self.load.vin_map(file, FOREVER).await.unwrap() {
            ImportOutcome::Loaded(summary, _) => *summary,
            other => panic!("{other:?}"),
        }
    }

    fn report(&self, name: &str) -> Vec<Value> {
        let text = self.bulk.object(&format!("reports/vin-map/{name}.report.ndjson")).unwrap();
        String::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What is kept, by fleet and VIN.
    async fn kept(&self) -> BTreeMap<(FleetId, String), (Option<String>, bool)> {
        let mut kept = BTreeMap::new();
        for mapping in self.bulk.mappings() {
            let vehicle = Vehicles::get(&self.memory, &mapping.vid).await.unwrap().unwrap();
            let vin = vehicle.details.vin.unwrap().as_str().to_owned();
            let before = kept.insert((mapping.fleet_id, vin), (mapping.described.make, mapping.removed));
            assert_eq!(before, None, "one vehicle for each VIN");
        }
        kept
    }
}

fn fleet(n: u128) -> FleetId {
    FleetId::from_random(n)
}

fn vin(n: usize) -> String {
    format!("WVWZZZ3CZEE{n:06}")
}

fn counts(loaded: u64, unchanged: u64, superseded: u64, wrong: u64) -> RowCounts {
    RowCounts { rows: loaded + unchanged + superseded + wrong, loaded, unchanged, superseded, wrong }
}

#[tokio::test]
async fn a_customer_that_is_leaving_gets_no_vehicle_any_more() {
    let world = World::new().await;
    let leaving =
        Fleets::get(&world.memory, &fleet(0)).await.unwrap().unwrap().begin_offboarding(FeedDisposition::Drain, FOREVER);
    Fleets::update(&world.memory, &leaving, None).await.unwrap();
    let text = format!("fleetId,vin\n{},{}\n{},{}\n", fleet(0), vin(1), fleet(1), vin(2));
    let summary = world.load(&world.upload("a.csv", &text, 1)).await;
    assert_eq!(summary.counts, counts(1, 0, 0, 1));
    assert_eq!(world.report("a.csv")[0]["reason"], "fleet_unknown");
}

#[tokio::test]
async fn good_rows_are_loaded_and_wrong_ones_are_told_by_line_and_pointer_without_what_they_say() {
    let world = World::new().await;
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
    let summary = world.load(&world.upload("a.csv", &text, 1)).await;
    assert_eq!(summary.counts, counts(2, 1, 0, 6));
    let told: Vec<_> = world
        .report("a.csv")
        .into_iter()
        .map(|line| (line["line"].as_u64().unwrap(), line["pointer"].clone(), line["reason"].clone()))
        .collect();
    let expect = [
        (4, "/vin", "vin_check_digit"),
        (5, "/fleetId", "fleet_unknown"),
        (6, "", "columns"),
        (7, "/vin", "vin_character"),
        (8, "/externalId", "external_id_taken"),
        (9, "", "contradicts"),
    ];
    assert_eq!(told, expect.map(|(line, pointer, reason)| (line, json!(pointer), json!(reason))));
    let kept = world.kept().await;
    assert_eq!(kept[&(f.clone(), v1.clone())], (Some("VW".to_owned()), false));
    assert_eq!(kept[&(f, v2)], (None, true));

    let report = world.bulk.object("reports/vin-map/a.csv.report.ndjson").unwrap();
    let summary = world.bulk.object("reports/vin-map/a.csv.summary.json").unwrap();
    let told = String::from_utf8([report, summary].concat()).unwrap();
    for secret in [v1.as_str(), "1M8GDM9A1KP042788", "WVWZZZ3CZEE14028O"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert!(!format!("{:?}", world.bulk.mappings()).contains(&v1), "the VIN is in no mapping");
}

#[tokio::test]
async fn a_vehicle_that_is_known_keeps_what_is_known_of_it_and_is_no_second_one() {
    let world = World::new().await;
    let text = |make| format!("{{\"fleetId\":\"{}\",\"vin\":\"{}\",\"make\":\"{make}\"}}\n", fleet(0), vin(1));
    world.load(&world.upload("a.ndjson", &text("VW"), 1)).await;
    let subject = Subject::Vin(vin(1).parse::<Vin>().unwrap());
    let vid = world.memory.resolve(&subject).await.unwrap().unwrap();
    let again = text("Volkswagen") + &text("Volkswagen").replace(fleet(0).as_str(), fleet(1).as_str());
    let summary = world.load(&world.upload("b.jsonl", &again, 2)).await;
    assert_eq!(summary.counts, counts(2, 0, 0, 0));
    assert!(world.bulk.mappings().iter().all(|mapping| mapping.vid == vid), "two customers may have one vehicle");
    let vehicle = Vehicles::get(&world.memory, &vid).await.unwrap().unwrap();
    assert_eq!((vehicle.details.make.as_deref(), vehicle.version), (Some("VW"), 1));
}

#[tokio::test]
async fn an_external_id_that_a_row_above_gives_a_new_vehicle_is_taken_for_one_that_is_known() {
    let world = World::new().await;
    let row = |v: usize, id: &str| format!("{},{},{id}\n", fleet(0), vin(v));
    world.load(&world.upload("a.csv", &format!("fleetId,vin,externalId\n{}", row(2, "")), 1)).await;
    let text = format!("fleetId,vin,externalId\n{}{}", row(1, "bus:1"), row(2, "bus:1"));
    assert_eq!(world.load(&world.upload("b.csv", &text, 2)).await.counts, counts(1, 0, 0, 1));
    assert_eq!(world.report("b.csv")[0]["reason"], "external_id_taken");
}

#[tokio::test]
async fn the_same_upload_again_writes_nothing() {
    let world = World::new().await;
    let mut text = "fleetId,vin,make\n".to_owned();
    for n in 0..1200 {
        writeln!(text, "{},{},VW", fleet(0), vin(n)).unwrap();
    }
    let first = world.upload("a.csv", &text, 1);
    assert_eq!(world.load(&first).await.counts, counts(1200, 0, 0, 0));
    let puts = world.bulk.puts();
    assert_eq!(world.load.vin_map(&first, FOREVER).await.unwrap(), ImportOutcome::Known, "its arrival is told twice");
    assert_eq!(world.load(&world.upload("a.csv", &text, 5)).await.counts, counts(0, 1200, 0, 0));
    assert_eq!(world.load(&world.upload("copy.csv", &text, 6)).await.counts, counts(0, 1200, 0, 0));
    assert_eq!(world.bulk.puts(), puts);
    // One that was taken before the repeats, and comes late, knows of them.
    let late = world.upload("late.csv", &text.replace(",VW", ",Renault"), 4);
    assert_eq!(world.load(&late).await.counts, counts(0, 0, 1200, 0));
}

#[tokio::test]
async fn a_file_that_is_loaded_in_many_runs_has_the_report_of_one_that_is_loaded_in_one() {
    let (at_once, in_parts) = (World::new().await, World::new().await);
    let mut text = "vin,fleetId\n".to_owned();
    for n in 0..2600 {
        let wrong = if n % 100 == 0 { "x" } else { "" };
        writeln!(text, "{wrong}{},{}", vin(n % 2500), fleet(0)).unwrap();
    }
    let expect = at_once.load(&at_once.upload("a.csv", &text, 1)).await;
    assert_eq!(expect.counts, counts(2475, 99, 0, 26));

    let mut file = in_parts.upload("a.csv", &text, 1);
    let (mut runs, mut rows) = (0, 0);
    let summary = loop {
        runs += 1;
        match in_parts.load.vin_map(&file, AT_ONCE).await.unwrap() {
            ImportOutcome::Resumes(counts) => {
                rows += counts.rows;
                file = in_parts.bulk.take_resumes().remove(0);
            }
            ImportOutcome::Loaded(summary, counts) => {
                assert_eq!(rows + counts.rows, summary.counts.rows);
                break summary;
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(runs, 6);
    assert_eq!(*summary, expect);
    assert_eq!(in_parts.report("a.csv"), at_once.report("a.csv"));
    assert_eq!(in_parts.kept().await, at_once.kept().await);
}

#[tokio::test]
async fn what_contradicts_a_line_far_above_is_wrong() {
    let world = World::new().await;
    let mut text = "fleetId,vin,make\n".to_owned();
    for n in 0..700 {
        writeln!(text, "{},{},VW", fleet(0), vin(n)).unwrap();
    }
    writeln!(text, "{f},{v},Renault\n{f},{v},VW", f = fleet(0), v = vin(3)).unwrap();
    let summary = world.load(&world.upload("a.csv", &text, 1)).await;
    assert_eq!(summary.counts, counts(700, 1, 0, 1));
    assert_eq!(world.report("a.csv")[0]["detail"], "line 5 says something else of the same fleet and vehicle");
    let kept = world.kept().await;
    assert_eq!(kept[&(fleet(0), vin(3))], (Some("VW".to_owned()), false));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_says_why_and_loads_nothing_more() {
    let world = World::new().await;
    let row = format!("{},{}", fleet(0), vin(1));
    for (name, text) in [("a.txt", "fleetId,vin\n"), ("b.csv", row.as_str()), ("c.csv.gz", "fleetId,vin\n")] {
        let summary = world.load(&world.upload(name, text, 1)).await;
        assert_eq!(summary.counts, RowCounts::default(), "{name}");
        let refused = summary.refused.unwrap().detail;
        assert!(!refused.contains(&vin(1)), "{refused}");
        assert!(world.report(name).is_empty());
    }
    let empty = world.load(&world.upload("empty.csv", "", 2)).await;
    assert_eq!((empty.counts, empty.refused), (RowCounts::default(), None));
}

#[tokio::test]
async fn a_file_that_was_replaced_leaves_the_word_to_the_one_that_took_its_place() {
    let world = World::new().await;
    let text = |make| format!("fleetId,vin,make\n{},{},{make}\n", fleet(0), vin(1));
    let first = world.upload("a.csv", &text("VW"), 1);
    let second = world.upload("a.csv", &text("Renault"), 2);
    assert_eq!(world.load.vin_map(&first, FOREVER).await.unwrap(), ImportOutcome::Replaced);
    assert_eq!(world.load(&second).await.counts, counts(1, 0, 0, 0));
}

/// A row of a small world: which fleet, which vehicle, what is said.
type SchemaLine = (u128, usize, bool, bool);

fn csv(rows: &[SchemaLine], padded: bool) -> String {
    let mut text = "fleetId,vin,make,removed\n".to_owned();
    for (n, (f, v, vw, removed)) in rows.iter().enumerate() {
        writeln!(text, "{},{},{},{removed}", fleet(*f), vin(*v), if *vw { "VW" } else { "Renault" }).unwrap();
        if padded && n == rows.len() / 2 {
            // So that the rows lie in two windows.
            text.push_str(&"x\n".repeat(WINDOW));
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Files are taken in the order of their numbers, and loaded in any other: interleaved, twice, in parts.
    #[test]
    fn whatever_order_files_are_loaded_in_the_newest_that_says_something_of_a_row_is_kept(
        contents in prop::collection::vec(prop::collection::vec((0_u128..2, 0_usize..3, any::<bool>(), any::<bool>()), 0..6), 1..4),
        padded: bool,
        uploads in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
        steps in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..20),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let world = World::new().await;
            let (mut files, mut expect) = (Vec::new(), BTreeMap::new());
            for (n, content) in uploads.iter().enumerate() {
                let rows = &contents[content.index(contents.len())];
                files.push(world.upload(&format!("{n}.csv"), &csv(rows, padded), i64::try_from(n).unwrap()));
                let mut seen = BTreeSet::new();
                for (f, v, vw, removed) in rows {
                    // Within a file, the first row of a pair counts.
                    if seen.insert((*f, *v)) {
                        let make = if *vw { "VW" } else { "Renault" };
                        expect.insert((fleet(*f), vin(*v)), (Some(make.to_owned()), *removed));
                    }
                }
            }
            for (step, hour_later) in steps {
                if hour_later {
                    // What was begun before is no longer known to be under way.
                    world.load.clock.advance_ms(60 * 60 * 1000);
                }
                world.load.vin_map(step.get(&files), AT_ONCE).await.unwrap();
            }
            for file in files.iter().rev() {
                world.load.vin_map(file, FOREVER).await.unwrap();
            }
            assert_eq!(world.kept().await, expect);
        });
    }
}
