//! A file says which customer has which vehicle: it goes into the bucket, and comes out as mappings and a report.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stack::Stack;

/// How many rows, where [`ROWS`] does not say.
const DEFAULT_ROWS: usize = 100_000;
/// The variable that says how many rows the file has.
const ROWS: &str = "ROADCAST_BULK_ROWS";
/// How many fleets they are of: the endpoint reads a partition from its beginning for each page.
const FLEETS: usize = 50;
/// Vehicles of the one that is subscribed to them: more than one subscription takes.
const OF_ONE: usize = 1_010;
/// One row in so many is wrong.
const WRONG_EVERY: usize = 100;
/// Long enough for a function on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A file, and what its report must say.
struct Map {
    csv: String,
    rows: usize,
    wrong: Vec<Value>,
}

pub(crate) fn a_map_of_vehicles_is_loaded_used_and_not_undone_by_older_files(stack: &Stack) {
    let began = Instant::now();
    let fleet = |name: &str| stack.post(stack.admin(), "/fleets", &json!({ "name": name })).json()["fleetId"].clone();
    let fleets = std::iter::once("FleetVehicles").chain(std::iter::repeat_n("FleetVehicles, too", FLEETS - 1));
    let fleets: Vec<String> = fleets.map(|name| fleet(name).as_str().expect("an id").to_owned()).collect();
    let rows = std::env::var(ROWS).map_or(DEFAULT_ROWS, |rows| rows.parse().expect("a number of rows"));
    let map = map(&fleets, rows);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("customers.csv");
    std::fs::write(&file, &map.csv).expect("a file");
    let file = file.to_str().expect("a path");

    let (loaded, peak_kib) = load(stack, file);
    let summary = &loaded["summary"];
    let good = map.rows - map.wrong.len();
    println!(
        "{} rows ({} wrong) in {:.1} s, {} s of them in the function; its peak memory {peak_kib} KiB; {}",
        map.rows,
        map.wrong.len(),
        loaded["waitedSeconds"].as_f64().expect("a number"),
        summary["seconds"],
        limits(stack)
    );
    assert_eq!(counts(summary), [map.rows, good, 0, 0, map.wrong.len()], "{summary}");
    let report = stack.file(loaded["report"].as_str().expect("a key")).expect("a report");
    let told: Vec<Value> = report.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told = told.iter().map(|row| json!([row["line"], row["pointer"], row["reason"]])).collect::<Vec<_>>();
    assert!(told == map.wrong, "each wrong row is told, in order, and no other: {} of {}", told.len(), map.wrong.len());

    let mapped = |fleet_id: &String| {
        let mapped = stack.all(stack.admin(), &format!("/fleets/{fleet_id}/vehicles?limit=1000"), "items");
        assert!(mapped.iter().all(|mapped| mapped["fileVersion"] == summary["version"]));
        mapped.len()
    };
    let of_each: Vec<usize> = fleets.iter().map(mapped).collect();
    assert_eq!((of_each.iter().sum::<usize>(), of_each[0]), (good, OF_ONE), "{of_each:?}");

    // The same bytes again write no mapping.
    let (again, _) = load(stack, file);
    assert_eq!(counts(&again["summary"]), [map.rows, 0, good, 0, map.wrong.len()], "{again}");
    assert_eq!(mapped(&fleets[0]), OF_ONE, "mappings stay as the first upload wrote them");

    a_fleet_is_subscribed_to_what_is_mapped(stack, &fleets[0]);
    what_is_older_loses_however_late_it_is_loaded(stack, &fleets[0], folder.path());
    println!("all of it took {:.0} s", began.elapsed().as_secs_f64());
}

/// Subscriptions come of the mappings, a thousand vehicles each; a mapping alone grants nothing.
fn a_fleet_is_subscribed_to_what_is_mapped(stack: &Stack, fleet_id: &str) {
    let subscriptions = || stack.all(stack.admin(), &format!("/fleets/{fleet_id}/subscriptions"), "items");
    let onboard = ["onboard", "--fleet", "FleetVehicles", "--mapped", "--package", "alerts"];
    let new = |answer: &Value| answer["new"].as_array().expect("a list").len();
    let compared = stack.command(&[&onboard[..], &["--dry-run"]].concat());
    assert_eq!((new(&compared), subscriptions().len()), (2, 0), "{compared}");
    let made = stack.command(&onboard);
    assert_eq!(new(&made), 2, "{made}");
    let mut vehicles: Vec<usize> =
        subscriptions().iter().map(|made| made["vehicles"].as_array().expect("a list").len()).collect();
    vehicles.sort_unstable();
    assert_eq!(vehicles, [OF_ONE - 1000, 1000]);
    let again = stack.command(&onboard);
    assert_eq!((new(&again), subscriptions().len()), (0, 2), "{again}");
}

/// The bucket dates a file when it takes it, so an older one cannot be put later. But a file that goes on carries its version
/// with it: one that goes on after a newer one was loaded is an older one that comes late.
fn what_is_older_loses_however_late_it_is_loaded(stack: &Stack, fleet_id: &str, folder: &std::path::Path) {
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
    // Newer than the older file, older than the newer one.
    let late = format!("{}~", version.rsplit_once('#').expect("a version has parts").0);
    let key = older["key"].as_str().expect("a key");
    let goes_on = json!({"key": key, "content": older["summary"]["content"], "version": late});
    stack.put_file("resume/late.json", goes_on.to_string());
    let began = Instant::now();
    let summary = loop {
        let text = stack.file(&format!("reports/{key}.summary.json")).expect("a summary");
        let summary: Value = serde_json::from_str(&text).expect("JSON");
        if summary["version"] == *late {
            break summary;
        }
        assert!(began.elapsed() < PATIENCE, "the late file is never loaded");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(counts(&summary), [3, 0, 0, 3, 0], "{summary}");
    let mapped = stack.all(stack.admin(), &format!("/fleets/{fleet_id}/vehicles?limit=1000"), "items");
    let makes = |make: &str| mapped.iter().filter(|mapped| mapped["make"] == make).count();
    assert_eq!((makes("Newer"), makes("Older")), (3, 0));
}

fn map(fleets: &[String], rows: usize) -> Map {
    let mut csv = "fleetId,vin,make,model,modelYear,fuelType,externalId,removed\n".to_owned();
    let mut wrong = Vec::new();
    let mut of_one = 0;
    for row in 0..rows {
        let fault = (row % WRONG_EVERY == WRONG_EVERY / 2).then_some(row / WRONG_EVERY % 5);
        let of_others = &fleets[1 + row % (fleets.len() - 1)];
        let (mut fleet_id, mut vin, mut year, mut end) = (of_others.as_str(), vin(row), "2014", ",");
        match fault {
            None if of_one < OF_ONE => (fleet_id, of_one) = (&fleets[0], of_one + 1),
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
            // The first line names the columns.
            wrong.push(json!([row + 2, pointer, reason]));
        }
        writeln!(csv, "{fleet_id},{vin},Volkswagen,Golf,{year},gasoline,depot:{row}{end}").expect("text grows");
    }
    Map { csv, rows, wrong }
}

/// European: it has no check digit.
fn vin(row: usize) -> String {
    format!("WVWZZZ1K0{row:08}")
}

fn counts(summary: &Value) -> [usize; 5] {
    ["rows", "loaded", "unchanged", "superseded", "wrong"]
        .map(|name| usize::try_from(summary[name].as_u64().expect("a count")).expect("a small one"))
}

/// Loads a file; answers what is said of it, and the most memory that the function had, in KiB.
fn load(stack: &Stack, file: &str) -> (Value, u64) {
    let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let loaded = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(peak_of_loader(stack), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let loaded = stack.command(&["load", file]);
        done.store(true, Ordering::Relaxed);
        loaded
    });
    (loaded, peak.into_inner())
}

/// The most memory that the function's process had at once, as Linux tells it; 0 elsewhere.
fn peak_of_loader(stack: &Stack) -> u64 {
    let port = stack.endpoint.rsplit(':').next().expect("a port");
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|process| process.path());
    let of_loader = processes.filter(|process| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment);
        let is = |text: &str| environment.contains(text);
        is("AWS_LAMBDA_FUNCTION_NAME=roadcast-local-reference-loader") && is(&format!(":{port}"))
    });
    let peaks = of_loader.map(|process| {
        let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    });
    peaks.max().unwrap_or_default()
}

/// What the endpoint itself takes at this moment, without anything of ours before it.
fn limits(stack: &Stack) -> String {
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
    let rate = |items: usize, began: Instant| {
        #[allow(clippy::cast_precision_loss)]
        let rate = items as f64 / began.elapsed().as_secs_f64();
        rate
    };
    let began = Instant::now();
    for number in 0..500 {
        call("PutItem", put(number));
    }
    let single = rate(500, began);
    let began = Instant::now();
    for group in 10..60 {
        let actions: Vec<Value> = (0..100).map(|number| json!({"Put": put(group * 100 + number)})).collect();
        call("TransactWriteItems", json!({ "TransactItems": actions }));
    }
    format!("the endpoint takes {single:.0} single puts a second, {:.0} in transactions of 100", rate(5000, began))
}
