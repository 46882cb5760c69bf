//! The import of a vehicle file: uploaded to the bucket, it results in vehicle mappings and a report.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::shared::Shared;
use crate::stack::Stack;

/// The number of rows if [`ROWS_VARIABLE`] is not set. Also the minimum, because of [`FIRST_FLEET_VEHICLES`].
const DEFAULT_ROWS: usize = 2_000;
/// The environment variable with the number of rows. If it is set, the rates are measured and printed.
const ROWS_VARIABLE: &str = "ROADCAST_BULK_ROWS";
/// The number of fleets. Many fleets keep partitions small, because the endpoint reads a partition from its start for each
/// page.
const FLEETS: usize = 50;
/// The number of vehicles of the subscribed fleet: more than one subscription can have.
const FIRST_FLEET_VEHICLES: usize = 1_010;
/// One row in 100 is invalid.
const INVALID_EVERY: usize = 100;
/// The maximum time of an import on a busy machine.
const IMPORT_TIMEOUT: Duration = Duration::from_mins(2);

/// A file and the expected lines of its report.
struct VehicleFile {
    csv: String,
    rows: usize,
    invalid: Vec<Value>,
}

pub(crate) fn vehicle_file_is_imported_and_not_overwritten_by_older_files(shared: &Shared) {
    let stack = shared.stack();
    let started = Instant::now();
    let fleet = |name: &str| stack.post(stack.admin(), "/fleets", &json!({ "name": name })).json()["fleetId"].clone();
    let fleets = std::iter::once("Mapped fleet").chain(std::iter::repeat_n("Another mapped fleet", FLEETS - 1));
    let fleets: Vec<String> = fleets.map(|name| fleet(name).as_str().expect("an id").to_owned()).collect();
    let requested = std::env::var(ROWS_VARIABLE).ok().map(|rows| rows.parse().expect("a number of rows"));
    let file = vehicle_file(&fleets, requested.unwrap_or(DEFAULT_ROWS));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vehicles.csv");
    std::fs::write(&path, &file.csv).expect("a file");
    let path = path.to_str().expect("a path");

    let (loaded, peak_kib) = load(stack, path);
    let summary = &loaded["summary"];
    let valid = file.rows - file.invalid.len();
    if requested.is_some() {
        println!(
            "{} rows ({} invalid) in {:.1} s, of which {} s in the function; peak memory of the function {peak_kib} KiB; {}",
            file.rows,
            file.invalid.len(),
            loaded["waitedSeconds"].as_f64().expect("a number"),
            summary["seconds"],
            endpoint_write_rate(stack)
        );
    }
    assert_eq!(counts(summary), [file.rows, valid, 0, 0, file.invalid.len()], "{summary}");
    let report = stack.file(loaded["report"].as_str().expect("a key")).expect("a report");
    let lines: Vec<Value> = report.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let reported = lines.iter().map(|row| json!([row["line"], row["pointer"], row["reason"]])).collect::<Vec<_>>();
    let expected = file.invalid.len();
    assert!(reported == file.invalid, "the report has each invalid row, in order: {} of {expected}", reported.len());

    let mapped = |fleet_id: &String| {
        let mapped = stack.all(stack.admin(), &format!("/fleets/{fleet_id}/vehicles?limit=1000"), "items");
        assert!(mapped.iter().all(|mapped| mapped["fileVersion"] == summary["version"]));
        mapped.len()
    };
    let vehicle_counts: Vec<usize> = fleets.iter().map(mapped).collect();
    assert_eq!(
        (vehicle_counts.iter().sum::<usize>(), vehicle_counts[0]),
        (valid, FIRST_FLEET_VEHICLES),
        "{vehicle_counts:?}"
    );

    // Importing the same bytes again writes no mapping.
    let (again, _) = load(stack, path);
    assert_eq!(counts(&again["summary"]), [file.rows, 0, valid, 0, file.invalid.len()], "{again}");
    assert_eq!(mapped(&fleets[0]), FIRST_FLEET_VEHICLES, "the mappings of the first import are unchanged");

    fleet_is_subscribed_to_its_mapped_vehicles(stack, &fleets[0]);
    older_file_that_is_imported_later_is_superseded(stack, &fleets[0], folder.path());
    if requested.is_some() {
        println!("the entire check took {:.0} s", started.elapsed().as_secs_f64());
    }
}

/// Creates subscriptions of up to 1,000 mapped vehicles each. A mapping alone grants nothing.
fn fleet_is_subscribed_to_its_mapped_vehicles(stack: &Stack, fleet_id: &str) {
    let subscriptions = || stack.all(stack.admin(), &format!("/fleets/{fleet_id}/subscriptions"), "items");
    let onboard = ["onboard", "--fleet", "Mapped fleet", "--mapped", "--package", "alerts"];
    let new = |result: &Value| result["new"].as_array().expect("a list").len();
    let compared = stack.command_with_code(&[&onboard[..], &["--dry-run"]].concat(), 3);
    assert_eq!((new(&compared), subscriptions().len()), (2, 0), "{compared}");
    let created = stack.command(&onboard);
    assert_eq!(new(&created), 2, "{created}");
    let mut vehicles: Vec<usize> =
        subscriptions().iter().map(|subscription| subscription["vehicles"].as_array().expect("a list").len()).collect();
    vehicles.sort_unstable();
    assert_eq!(vehicles, [FIRST_FLEET_VEHICLES - 1000, 1000]);
    let again = stack.command(&onboard);
    assert_eq!((new(&again), subscriptions().len()), (0, 2), "{again}");
}

/// An older file cannot be uploaded later, because the bucket sets the time of an object. But a resume marker contains the
/// version of its file: resuming a file after a newer one was imported is the late import of an older file.
fn older_file_that_is_imported_later_is_superseded(stack: &Stack, fleet_id: &str, folder: &std::path::Path) {
    let load_rows = |make: &str| {
        let file = folder.join(format!("{make}.csv"));
        let mut csv = "fleetId,vin,make\n".to_owned();
        for row in 0..3 {
            writeln!(csv, "{fleet_id},{},{make}", vin(row)).expect("text grows");
        }
        std::fs::write(&file, csv).expect("a file");
        let loaded = stack.command(&["load", file.to_str().expect("a path")]);
        assert_eq!(counts(&loaded["summary"]), [3, 3, 0, 0, 0], "{loaded}");
        loaded
    };
    let older = load_rows("Older");
    load_rows("Newer");
    let version = older["summary"]["version"].as_str().expect("a version");
    // A version between the older and the newer file.
    let late = format!("{}~", version.rsplit_once('#').expect("a version has parts").0);
    let key = older["key"].as_str().expect("a key");
    let marker = json!({"key": key, "content": older["summary"]["content"], "version": late});
    stack.put_file("resume/late.json", marker.to_string());
    let started = Instant::now();
    let summary = loop {
        let text = stack.file(&format!("reports/{key}.summary.json")).expect("a summary");
        let summary: Value = serde_json::from_str(&text).expect("JSON");
        if summary["version"] == *late {
            break summary;
        }
        assert!(started.elapsed() < IMPORT_TIMEOUT, "the late file is not imported after {IMPORT_TIMEOUT:?}");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(counts(&summary), [3, 0, 0, 3, 0], "{summary}");
    let mapped = stack.all(stack.admin(), &format!("/fleets/{fleet_id}/vehicles?limit=1000"), "items");
    let makes = |make: &str| mapped.iter().filter(|mapped| mapped["make"] == make).count();
    assert_eq!((makes("Newer"), makes("Older")), (3, 0));
}

fn vehicle_file(fleets: &[String], rows: usize) -> VehicleFile {
    let mut csv = "fleetId,vin,make,model,modelYear,fuelType,externalId,removed\n".to_owned();
    let mut invalid = Vec::new();
    let mut first_fleet_count = 0;
    for row in 0..rows {
        let fault = (row % INVALID_EVERY == INVALID_EVERY / 2).then_some(row / INVALID_EVERY % 5);
        let other_fleet = &fleets[1 + row % (fleets.len() - 1)];
        let (mut fleet_id, mut vin, mut year, mut end) = (other_fleet.as_str(), vin(row), "2014", ",");
        match fault {
            None if first_fleet_count < FIRST_FLEET_VEHICLES => {
                (fleet_id, first_fleet_count) = (&fleets[0], first_fleet_count + 1);
            }
            None => {}
            Some(0) => vin.replace_range(3..4, "O"),
            Some(1) => fleet_id = "flt_zzzzzzzzzzzzzzzz",
            Some(2) => year = "1666",
            Some(3) => end = ",perhaps",
            Some(_) => end = "",
        }
        if let Some(fault) = fault {
            let reasons = [
                ("/vin", "vin_character"),
                ("/fleetId", "fleet_unknown"),
                ("/modelYear", "detail"),
                ("/removed", "removed"),
                ("", "columns"),
            ];
            let (pointer, reason) = reasons[fault];
            // The first line is the header.
            invalid.push(json!([row + 2, pointer, reason]));
        }
        writeln!(csv, "{fleet_id},{vin},Volkswagen,Golf,{year},gasoline,depot:{row}{end}").expect("text grows");
    }
    VehicleFile { csv, rows, invalid }
}

/// A European VIN, which has no check digit.
fn vin(row: usize) -> String {
    format!("WVWZZZ1K0{row:08}")
}

fn counts(summary: &Value) -> [usize; 5] {
    ["rows", "loaded", "unchanged", "superseded", "wrong"]
        .map(|name| usize::try_from(summary[name].as_u64().expect("a count")).expect("a small count"))
}

/// Imports a file. Returns the result, and the peak memory of the function in KiB.
fn load(stack: &Stack, file: &str) -> (Value, u64) {
    let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let loaded = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(loader_peak_kib(stack), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let loaded = stack.command(&["load", file]);
        done.store(true, Ordering::Relaxed);
        loaded
    });
    (loaded, peak.into_inner())
}

/// The peak memory of the function's process in KiB, from `/proc`; 0 on other systems than Linux.
fn loader_peak_kib(stack: &Stack) -> u64 {
    let port = stack.endpoint.rsplit(':').next().expect("a port");
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|process| process.path());
    let loaders = processes.filter(|process| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment);
        let has = |text: &str| environment.contains(text);
        has("AWS_LAMBDA_FUNCTION_NAME=roadcast-local-reference-loader") && has(&format!(":{port}"))
    });
    let peaks = loaders.map(|process| {
        let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    });
    peaks.max().unwrap_or_default()
}

/// Measures the write rate of the endpoint itself, without Roadcast.
fn endpoint_write_rate(stack: &Stack) -> String {
    let call = |operation: &str, body: Value| stack.aws("dynamodb", &format!("DynamoDB_20120810.{operation}"), &body);
    call(
        "CreateTable",
        json!({
            "TableName": "limits", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        }),
    );
    let put = |number: usize| {
        let item = json!({"pk": {"S": number.to_string()}, "record": {"S": "x".repeat(300)}});
        json!({"TableName": "limits", "Item": item, "ConditionExpression": "attribute_not_exists(pk)"})
    };
    let rate = |items: usize, started: Instant| {
        #[allow(clippy::cast_precision_loss)]
        let rate = items as f64 / started.elapsed().as_secs_f64();
        rate
    };
    let started = Instant::now();
    for number in 0..500 {
        call("PutItem", put(number));
    }
    let single = rate(500, started);
    let started = Instant::now();
    for group in 10..60 {
        let actions: Vec<Value> = (0..100).map(|number| json!({"Put": put(group * 100 + number)})).collect();
        call("TransactWriteItems", json!({ "TransactItems": actions }));
    }
    format!(
        "the endpoint writes {single:.0} items/s in single puts, {:.0} items/s in transactions of 100",
        rate(5000, started)
    )
}
