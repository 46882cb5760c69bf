#![allow(clippy::unwrap_used, clippy::panic)]
use roadcast_ports::bulk::{Checkpoint, RowCounts};
use roadcast_testbed::{Fault as Failure, FaultPlan, Faulty, InMemory, ManualClock, Memory, MemoryBulk, WithFaults};
use serde_json::{Value, json};

use super::super::Summary;
use super::super::reader::MAX_RUNS;
use super::*;

const TYRE: &str = "com.example.tyre.v1";
const FOREVER: Timestamp = Timestamp::from_ms(i64::MAX);

struct SchemaImportFixture {
    bulk: MemoryBulk,
    memory: Memory,
    clock: ManualClock,
}

impl SchemaImportFixture {
    fn new() -> Self {
        let clock = ManualClock::default();
        Self { bulk: MemoryBulk::default(), memory: Memory::new(clock.clone()), clock }
    }

    fn importer(&self, faults: FaultPlan) -> SchemaImport<WithFaults> {
        let schemas = Faulty::new(self.memory.clone(), faults);
        let registration = SchemaRegistration { schemas, clock: self.clock.clone() };
        SchemaImport { files: self.bulk.clone(), progress: self.bulk.clone(), registration }
    }

    /// Uploads a file now.
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
        match self.importer(FaultPlan::healthy()).import(file, FOREVER).await.unwrap() {
            ImportOutcome::Loaded(summary, _) => *summary,
            other => panic!("{other:?}"),
        }
    }

    /// Returns the line, pointer and reason of each line of the report.
    fn report(&self, name: &str) -> Vec<(u64, String, String)> {
        let text = self.bulk.object(&format!("reports/schemas/{name}.report.ndjson")).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let member = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
        lines.map(|line| (line["line"].as_u64().unwrap(), member(&line, "pointer"), member(&line, "reason"))).collect()
    }

    /// Returns the `maximum` of each version.
    async fn maximums(&self, event_type: &str) -> Vec<Value> {
        let versions = self.memory.versions(&event_type.parse().unwrap()).await.unwrap();
        versions.into_iter().map(|version| version.schema.parse().unwrap()["maximum"].clone()).collect()
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
async fn import_of_schemas_ends_after_a_thousand_runs() {
    let fixture = SchemaImportFixture::new();
    let file = fixture.upload("a.ndjson", &[line(TYRE, None, 1), line(TYRE, None, 2)]);
    let last_but_one = Checkpoint { runs: MAX_RUNS - 1, ..Checkpoint::default() };
    fixture.bulk.save_checkpoint(&file, &last_but_one).await.unwrap();
    let outcome = fixture.importer(FaultPlan::healthy()).import(&file, Timestamp::from_ms(0)).await.unwrap();
    let ImportOutcome::Loaded(summary, _) = outcome else { panic!("{outcome:?}") };
    assert_eq!(summary.counts, counts(1, 0, 0, 0));
    assert_eq!(summary.refused.unwrap().line, 1);
    assert!(fixture.bulk.take_resumes().is_empty(), "no run is requested");
}

#[tokio::test]
async fn valid_lines_are_registered_and_invalid_lines_are_reported() {
    let fixture = SchemaImportFixture::new();
    let valid = |event_type| line(event_type, None, 1).to_string();
    let twice = r#"{"type": "com.example.a.v1", "schema": {"maxItems": 1, "maxItems": 2}}"#;
    let lines = [
        valid(TYRE),
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
        "x".repeat(MAX_LINE_BYTES + 1),
        valid("com.example.door.v1"),
    ];
    let summary = fixture.load(&fixture.upload_text("a.ndjson", &lines.join("\n"))).await;
    assert_eq!(summary.counts, counts(2, 0, 0, 12));
    let report = fixture.report("a.ndjson");
    let report: Vec<(u64, &str, &str)> =
        report.iter().map(|(line, pointer, reason)| (*line, pointer.as_str(), reason.as_str())).collect();
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
        (12, "/schema/maxItems", "not_json"),
        (13, "/schema/maximum", "incompatible"),
        (14, "", "too_long"),
    ];
    assert_eq!(report, expected);
    assert_eq!(fixture.maximums(TYRE).await, [1]);
    assert_eq!(fixture.maximums("com.example.door.v1").await, [1]);
}

#[tokio::test]
async fn repeated_upload_registers_nothing() {
    let fixture = SchemaImportFixture::new();
    let lines = [line(TYRE, None, 1), line(TYRE, None, 2), line(TYRE, None, 1), line(TYRE, Some(2), 2)];
    let first = fixture.upload("a.jsonl", &lines);
    assert_eq!(fixture.load(&first).await.counts, counts(2, 2, 0, 0));
    assert_eq!(fixture.importer(FaultPlan::healthy()).import(&first, FOREVER).await.unwrap(), ImportOutcome::AlreadyLoaded);
    assert_eq!(fixture.load(&fixture.upload("a.jsonl", &lines)).await.counts, counts(0, 4, 0, 0));
    assert_eq!(fixture.maximums(TYRE).await, [1, 2]);
}

#[tokio::test]
async fn line_with_a_version_is_that_version_or_invalid() {
    let fixture = SchemaImportFixture::new();
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
    assert_eq!(fixture.load(&fixture.upload("a.ndjson", &lines)).await.counts, counts(2, 1, 0, 6));
    let reported: Vec<_> = fixture.report("a.ndjson").into_iter().map(|(line, pointer, _)| (line, pointer)).collect();
    assert_eq!(reported, [1, 3, 4, 7, 8, 9].map(|line| (line, "/version".to_owned())));
    assert_eq!(fixture.maximums(TYRE).await, [1, 2]);
}

#[tokio::test]
async fn widest_schema_is_in_force_for_any_order_of_files() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let fixture = SchemaImportFixture::new();
        let files: Vec<BulkFile> =
            [1, 2, 3].map(|maximum| fixture.upload(&format!("{maximum}.ndjson"), &[line(TYRE, None, maximum)])).into();
        for index in order {
            let summary = fixture.load(&files[index]).await;
            assert_eq!(summary.counts.wrong, 0, "{order:?}: a late file is not invalid");
        }
        assert_eq!(fixture.maximums(TYRE).await.last(), Some(&json!(3)), "{order:?}");
    }
}

#[tokio::test]
async fn narrower_schema_is_superseded_only_if_uploaded_earlier() {
    let fixture = SchemaImportFixture::new();
    let late = fixture.upload("late.ndjson", &[line(TYRE, None, 1)]);
    // Allows something that the wider schema does not.
    let other = fixture.upload("other.ndjson", &[json!({"type": TYRE, "schema": {"type": "string"}})]);
    fixture.load(&fixture.upload("wide.ndjson", &[line(TYRE, None, 9)])).await;
    assert_eq!(fixture.load(&late).await.counts, counts(0, 0, 1, 0));
    assert_eq!(fixture.load(&other).await.counts, counts(0, 0, 0, 1));
    assert_eq!(fixture.load(&fixture.upload("narrow.ndjson", &[line(TYRE, None, 2)])).await.counts, counts(0, 0, 0, 1));
    let door = "com.example.door.v1";
    let both = [line(door, None, 9), line(door, None, 2)];
    assert_eq!(fixture.load(&fixture.upload("both.ndjson", &both)).await.counts, counts(1, 0, 0, 1));
    assert_eq!(fixture.report("both.ndjson"), [(2, "/schema/maximum".to_owned(), "incompatible".to_owned())]);
}

#[tokio::test]
async fn many_runs_with_failures_register_the_same_as_one_run() {
    let (one_run, many_runs) = (SchemaImportFixture::new(), SchemaImportFixture::new());
    let lines: Vec<Value> = (0..40).map(|n| line(&format!("com.example.t{}.v1", n % 8), None, 100 - n)).collect();
    let expected = one_run.load(&one_run.upload("a.ndjson", &lines)).await;
    assert_eq!(expected.counts, counts(8, 0, 0, 32));

    let mut file = many_runs.upload("a.ndjson", &lines);
    let mut runs = 0;
    let summary = loop {
        runs += 1;
        // Every third run fails at some point, the others end after one line.
        let plan = if runs % 3 == 0 { FaultPlan::seeded(runs, 30) } else { FaultPlan::healthy() };
        let plan = plan.only(&["put", "latest", "versions"]);
        let importer = many_runs.importer(plan);
        match importer.import(&file, Timestamp::from_ms(0)).await {
            Ok(ImportOutcome::Resumes(_)) => file = many_runs.bulk.take_resumes().remove(0),
            Ok(ImportOutcome::Loaded(summary, _)) => break summary,
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    };
    assert!(runs > 40);
    // The next run finds what a failed run registered.
    assert_eq!(summary.counts.loaded + summary.counts.unchanged, 8);
    for n in 0..8 {
        let event_type = format!("com.example.t{n}.v1");
        assert_eq!(many_runs.maximums(&event_type).await, one_run.maximums(&event_type).await);
    }
}

#[tokio::test]
async fn failure_after_some_lines_requests_another_run() {
    let fixture = SchemaImportFixture::new();
    let file = fixture.upload("a.ndjson", &[line(TYRE, None, 1), line("com.example.door.v1", None, 1)]);
    let plan = FaultPlan::script([None, Some(Failure::Unavailable)]).only(&["put"]);
    let outcome = fixture.importer(plan).import(&file, FOREVER).await.unwrap();
    assert_eq!(outcome, ImportOutcome::Resumes(counts(1, 0, 0, 0)));
    let file = fixture.bulk.take_resumes().remove(0);
    assert_eq!(fixture.load(&file).await.counts, counts(2, 0, 0, 0));
}

#[tokio::test]
async fn only_json_lines_files_are_accepted() {
    let fixture = SchemaImportFixture::new();
    let summary = fixture.load(&fixture.upload("a.csv", &[line(TYRE, None, 1)])).await;
    assert_eq!((summary.counts, summary.refused.is_some()), (RowCounts::default(), true));
    let registration = SchemaRegistration::<InMemory> { schemas: fixture.memory.clone(), clock: fixture.clock.clone() };
    assert!(registration.list().await.unwrap().is_empty());
}
