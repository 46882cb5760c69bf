#![allow(clippy::unwrap_used, clippy::panic)]
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::ClientId;
use roadcast_ports::bulk::RowCounts;
use roadcast_testbed::{Fault as Failure, FaultPlan, Faulty, ManualClock, Memory, MemoryBulk};
use serde_json::json;

use super::super::Summary;
use super::*;

const TYRE: &str = "com.example.tyre.v1";
const FOREVER: Timestamp = Timestamp::from_ms(i64::MAX);

struct World {
    bulk: MemoryBulk,
    memory: Memory,
    clock: ManualClock,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::default();
        Self { bulk: MemoryBulk::default(), memory: Memory::new(clock.clone()), clock }
    }

    fn loader<S: Schemas>(&self, schemas: S) -> SchemaImport<MemoryBulk, MemoryBulk, S, ManualClock> {
        let register = SchemaRegistration { schemas, clock: self.clock.clone() };
        SchemaImport { files: self.bulk.clone(), loads: self.bulk.clone(), register }
    }

    /// A file that is put now.
    fn upload(&self, name: &str, lines: &[Value]) -> BulkFile {
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        self.upload_text(name, &lines.join("\n"))
    }

    fn upload_text(&self, name: &str, text: &str) -> BulkFile {
        self.clock.advance_ms(1000);
        let file = self.bulk.upload(&format!("schemas/{name}"), text.as_bytes(), self.clock.now());
        self.clock.advance_ms(1000);
        file
    }

    async fn load(&self, file: &BulkFile) -> Summary {
        match self.loader(self.memory.clone()).file(file, FOREVER).await.unwrap() {
            ImportOutcome::Loaded(summary, _) => *summary,
            other => panic!("{other:?}"),
        }
    }

    /// Line, pointer and reason of each line of the report.
    fn report(&self, name: &str) -> Vec<(u64, String, String)> {
        let text = self.bulk.object(&format!("reports/schemas/{name}.report.ndjson")).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let member = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
        lines.map(|line| (line["line"].as_u64().unwrap(), member(&line, "pointer"), member(&line, "reason"))).collect()
    }

    /// The greatest value of each version.
    async fn kept(&self, event_type: &str) -> Vec<Value> {
        let versions = self.memory.versions(&event_type.parse().unwrap()).await.unwrap();
        versions.into_iter().map(|version| version.schema["maximum"].clone()).collect()
    }
}

fn line(event_type: &str, version: Option<u32>, maximum: u32) -> Value {
    let mut line = json!({"type": event_type, "schema": {"type": "number", "maximum": maximum}});
    if let Some(version) = version {
        line["version"] = json!(version);
    }
    line
}

fn counts(loaded: u64, unchanged: u64, superseded: u64, wrong: u64) -> RowCounts {
    RowCounts { rows: loaded + unchanged + superseded + wrong, loaded, unchanged, superseded, wrong }
}

#[tokio::test]
async fn good_lines_are_registered_in_order_and_wrong_ones_are_told_by_line_and_pointer() {
    let world = World::new();
    let good = |event_type| line(event_type, None, 1).to_string();
    let twice = r#"{"type": "com.example.a.v1", "schema": {"maxItems": 1, "maxItems": 2}}"#;
    let lines = [
        good(TYRE),
        String::new(),
        "x".to_owned(),
        "[]".to_owned(),
        json!({"schema": {}}).to_string(),
        json!({"type": TYRE}).to_string(),
        json!({"type": 7, "schema": {}}).to_string(),
        json!({"type": "tyre", "schema": {}}).to_string(),
        json!({"type": TYRE, "schema": {}, "note": ""}).to_string(),
        json!({"type": TYRE, "schema": {}, "version": "2"}).to_string(),
        json!({"type": "com.example.a.v1", "schema": {"properties": {"x": {"maxmum": 1}}}}).to_string(),
        twice.to_owned(),
        line(TYRE, None, 0).to_string(),
        "x".repeat(LONGEST_LINE_BYTES + 1),
        good("com.example.door.v1"),
    ];
    let summary = world.load(&world.upload_text("a.ndjson", &lines.join("\n"))).await;
    assert_eq!(summary.counts, counts(2, 0, 0, 12));
    let told = world.report("a.ndjson");
    let told: Vec<(u64, &str, &str)> =
        told.iter().map(|(line, pointer, reason)| (*line, pointer.as_str(), reason.as_str())).collect();
    let expected = [
        (3, "", "not_json"),
        (4, "", "not_json"),
        (5, "/type", "missing"),
        (6, "/schema", "missing"),
        (7, "/type", "type"),
        (8, "/type", "event_type"),
        (9, "/note", "unknown_member"),
        (10, "/version", "type"),
        (11, "/schema/properties/x/maxmum", "schema"),
        (12, "", "not_json"),
        (13, "/schema/maximum", "incompatible"),
        (14, "", "too_long"),
    ];
    assert_eq!(told, expected);
    assert_eq!(world.kept(TYRE).await, [1]);
    assert_eq!(world.kept("com.example.door.v1").await, [1]);
}

#[tokio::test]
async fn the_same_upload_again_registers_nothing() {
    let world = World::new();
    let lines = [line(TYRE, None, 1), line(TYRE, None, 2), line(TYRE, None, 1), line(TYRE, Some(2), 2)];
    let first = world.upload("a.jsonl", &lines);
    assert_eq!(world.load(&first).await.counts, counts(2, 2, 0, 0));
    assert_eq!(world.loader(world.memory.clone()).file(&first, FOREVER).await.unwrap(), ImportOutcome::Known);
    assert_eq!(world.load(&world.upload("a.jsonl", &lines)).await.counts, counts(0, 4, 0, 0));
    assert_eq!(world.kept(TYRE).await, [1, 2]);
}

#[tokio::test]
async fn a_line_that_says_its_version_is_that_version_or_wrong() {
    let world = World::new();
    let lines = [
        line(TYRE, Some(2), 1),
        line(TYRE, Some(1), 1),
        line(TYRE, Some(1), 2),
        line(TYRE, Some(3), 2),
        line(TYRE, Some(2), 2),
        line(TYRE, Some(1), 1),
        line(TYRE, Some(1), 2),
        line(TYRE, Some(3), 2),
        line(TYRE, Some(0), 2),
    ];
    assert_eq!(world.load(&world.upload("a.ndjson", &lines)).await.counts, counts(2, 1, 0, 6));
    let told: Vec<_> = world.report("a.ndjson").into_iter().map(|(line, pointer, _)| (line, pointer)).collect();
    assert_eq!(told, [1, 3, 4, 7, 8, 9].map(|line| (line, "/version".to_owned())));
    assert_eq!(world.kept(TYRE).await, [1, 2]);
}

#[tokio::test]
async fn in_whatever_order_files_come_the_widest_schema_is_in_force() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let world = World::new();
        let files: Vec<BulkFile> =
            [1, 2, 3].map(|maximum| world.upload(&format!("{maximum}.ndjson"), &[line(TYRE, None, maximum)])).into();
        for place in order {
            let summary = world.load(&files[place]).await;
            assert_eq!(summary.counts.wrong, 0, "{order:?}: a file that comes late is no fault");
        }
        assert_eq!(world.kept(TYRE).await.last(), Some(&json!(3)), "{order:?}");
    }
}

#[tokio::test]
async fn what_is_narrower_is_wrong_where_it_was_said_after_the_wider_one_or_in_the_same_file() {
    let world = World::new();
    let late = world.upload("late.ndjson", &[line(TYRE, None, 1)]);
    // It allows something that the wider one does not.
    let other = world.upload("other.ndjson", &[json!({"type": TYRE, "schema": {"type": "string"}})]);
    world.load(&world.upload("wide.ndjson", &[line(TYRE, None, 9)])).await;
    assert_eq!(world.load(&late).await.counts, counts(0, 0, 1, 0));
    assert_eq!(world.load(&other).await.counts, counts(0, 0, 0, 1));
    assert_eq!(world.load(&world.upload("narrow.ndjson", &[line(TYRE, None, 2)])).await.counts, counts(0, 0, 0, 1));
    let door = "com.example.door.v1";
    let both = [line(door, None, 9), line(door, None, 2)];
    assert_eq!(world.load(&world.upload("both.ndjson", &both)).await.counts, counts(1, 0, 0, 1));
    assert_eq!(world.report("both.ndjson"), [(2, "/schema/maximum".to_owned(), "incompatible".to_owned())]);
}

#[tokio::test]
async fn a_file_that_is_loaded_in_many_runs_and_with_failures_registers_what_one_run_would() {
    let (at_once, in_parts) = (World::new(), World::new());
    let lines: Vec<Value> = (0..40).map(|n| line(&format!("com.example.t{}.v1", n % 8), None, 100 - n)).collect();
    let expect = at_once.load(&at_once.upload("a.ndjson", &lines)).await;
    assert_eq!(expect.counts, counts(8, 0, 0, 32));

    let mut file = in_parts.upload("a.ndjson", &lines);
    let mut runs = 0;
    let summary = loop {
        runs += 1;
        // The first run of each three fails somewhere, the others end after a line.
        let plan = if runs % 3 == 0 { FaultPlan::seeded(runs, 30) } else { FaultPlan::healthy() };
        let plan = plan.only(&["put", "latest", "versions"]);
        let loader = in_parts.loader(Faulty::new(in_parts.memory.clone(), plan));
        match loader.file(&file, Timestamp::from_ms(0)).await {
            Ok(ImportOutcome::Resumes(_)) => file = in_parts.bulk.take_resumes().remove(0),
            Ok(ImportOutcome::Loaded(summary, _)) => break summary,
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    };
    assert!(runs > 40);
    // What a failed run registered is found by the next one.
    assert_eq!(summary.counts.loaded + summary.counts.unchanged, 8);
    for n in 0..8 {
        let event_type = format!("com.example.t{n}.v1");
        assert_eq!(in_parts.kept(&event_type).await, at_once.kept(&event_type).await);
    }
}

#[tokio::test]
async fn what_stops_a_load_after_some_lines_has_the_file_come_again() {
    let world = World::new();
    let file = world.upload("a.ndjson", &[line(TYRE, None, 1), line("com.example.door.v1", None, 1)]);
    let plan = FaultPlan::script([None, Some(Failure::Unavailable)]).only(&["put"]);
    let outcome = world.loader(Faulty::new(world.memory.clone(), plan)).file(&file, FOREVER).await.unwrap();
    assert_eq!(outcome, ImportOutcome::Resumes(counts(1, 0, 0, 0)));
    let file = world.bulk.take_resumes().remove(0);
    assert_eq!(world.load(&file).await.counts, counts(2, 0, 0, 0));
}

#[tokio::test]
async fn schemas_come_as_json_lines_only() {
    let world = World::new();
    let summary = world.load(&world.upload("a.csv", &[line(TYRE, None, 1)])).await;
    assert_eq!((summary.counts, summary.refused.is_some()), (RowCounts::default(), true));
    let register = SchemaRegistration { schemas: world.memory.clone(), clock: world.clock.clone() };
    let admin = Caller::Admin(ClientId::new("admin"));
    assert!(register.list(&admin).await.unwrap().is_empty());
}
