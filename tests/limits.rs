//! docs/limits.md states the limits that the code enforces.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../docs/limits.md");
const TEMPLATE: &str = include_str!("../template.yaml");
/// Files whose constants are all limits that someone meets.
const COMPLETE: [&str; 5] = [
    "alerts/src/limits.rs",
    "domain/src/limits.rs",
    "domain/src/webhook/endpoint.rs",
    "domain/src/webhook/schedule.rs",
    "signals/src/accept.rs",
];

/// A row of the table.
#[derive(Debug)]
struct Row {
    limit: String,
    value: f64,
    unit: String,
    file: String,
    /// A constant, a parameter of the template, or a part of the code that contains the value.
    name: String,
}

/// Returns the rows of the table.
fn rows(page: &str) -> Vec<Row> {
    let lines = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    lines.map(row).collect()
}

fn row(line: &str) -> Row {
    // A cell may contain the code of a generic type, but no vertical bar.
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [_, limit, value, unit, _, held_in] = cells[..] else { panic!("six cells: {line}") };
    let Some((file, name)) = held_in.split_once(": ") else { panic!("a file and a name: {line}") };
    let code = |text: &str| text.strip_prefix('`').and_then(|text| text.strip_suffix('`')).expect(line).to_owned();
    let value = value.replace(',', "").parse().expect(line);
    Row { limit: limit.to_owned(), value, unit: unit.to_owned(), file: code(file), name: code(name) }
}

/// Returns a file that the page names: below `crates`, or from the root.
fn source(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("crates").join(file)).or_else(|_| fs::read_to_string(root.join(file)));
    text.unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Returns the value of a constant: sums, differences and products of numbers and of constants of the same file.
fn constant(source: &str, name: &str) -> Option<f64> {
    let (_, declared) = source.split_once(&format!("const {name}: "))?;
    let (_, expression) = declared.split_once(';')?.0.split_once('=')?;
    evaluate(source, expression)
}

fn evaluate(source: &str, expression: &str) -> Option<f64> {
    let expression = expression.trim();
    if let Some((left, right)) = expression.split_once("<<") {
        return Some(evaluate(source, left)? * evaluate(source, right)?.exp2());
    }
    for operator in ['+', '-', '*'] {
        if let Some((left, right)) = expression.rsplit_once(operator) {
            let (left, right) = (evaluate(source, left)?, evaluate(source, right)?);
            return Some(match operator {
                '+' => left + right,
                '-' => left - right,
                _ => left * right,
            });
        }
    }
    expression.replace('_', "").parse().ok().or_else(|| constant(source, expression))
}

/// Returns the default of a parameter of the template.
fn parameter(name: &str) -> Option<f64> {
    let (_, declared) = TEMPLATE.split_once(&format!("\n  {name}:\n    Type: Number\n    Default: "))?;
    declared.lines().next()?.trim().parse().ok()
}

/// Returns the milliseconds or bytes of a unit of time or size; 1 for units that count.
fn factor(unit: &str) -> f64 {
    match unit {
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "s" => 1000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "days" => 86_400_000.0,
        _ => 1.0,
    }
}

/// Returns the factor of the unit in the name of a constant or of a parameter.
fn factor_of_name(name: &str) -> f64 {
    match () {
        () if name.ends_with("_MS") => 1.0,
        () if name.ends_with("_S") || name.ends_with("Seconds") => 1000.0,
        () if name.ends_with("_DAYS") || name.ends_with("Days") => 86_400_000.0,
        () => 1.0,
    }
}

/// Returns why a row differs from the code.
fn fault(row: &Row) -> Option<String> {
    let is_name = row.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let text = source(&row.file);
    if !is_name {
        let numbers = row.name.replace('_', "");
        let mut numbers = numbers.split(|c: char| !c.is_ascii_digit() && c != '.').map(|number| number.trim_matches('.'));
        let has_value = numbers.any(|number| number.parse() == Ok(row.value));
        return (!text.contains(&row.name) || !has_value)
            .then(|| format!("{}: no code {} with {}", row.limit, row.name, row.value));
    }
    let found = if row.file == "template.yaml" { parameter(&row.name) } else { constant(&text, &row.name) };
    let Some(found) = found else { return Some(format!("{}: {} has no {}", row.limit, row.file, row.name)) };
    let (stated, held) = (row.value * factor(&row.unit), found * factor_of_name(&row.name));
    ((stated - held).abs() > 1e-9)
        .then(|| format!("{}: {} {} in the page, {found} in {}", row.limit, row.value, row.unit, row.name))
}

/// Returns the names of all numeric constants of a source file that are no list.
fn constants(source: &str) -> impl Iterator<Item = &str> {
    let declarations = source.lines().filter_map(|line| line.trim_start().strip_prefix("pub const "));
    declarations.filter_map(|rest| rest.split_once(": ")).filter(|(name, _)| !name.contains('(')).map(|(name, _)| name)
}

#[test]
fn limits_of_the_page_are_those_of_the_code() {
    let rows = rows(PAGE);
    assert!(rows.len() > 100, "{} rows", rows.len());
    let faults: Vec<String> = rows.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn page_names_every_limit_of_events_packages_endpoints_and_rules() {
    let rows = rows(PAGE);
    let named: BTreeSet<(&str, &str)> = rows.iter().map(|row| (row.file.as_str(), row.name.as_str())).collect();
    let mut missing = Vec::new();
    for file in COMPLETE {
        let text = source(file);
        missing
            .extend(constants(&text).filter(|name| !named.contains(&(file, *name))).map(|name| format!("{file}: {name}")));
    }
    assert!(missing.is_empty(), "docs/limits.md omits {}", missing.join(", "));
}

#[test]
fn page_names_every_numeric_parameter_of_the_template() {
    let rows = rows(PAGE);
    let parameters = TEMPLATE.split_once("\nParameters:\n").unwrap().1.split_once("\nConditions:\n").unwrap().0;
    let names = parameters.split("\n    Type: Number\n").map(|before| before.lines().last().unwrap_or_default());
    let names: Vec<&str> = names.filter_map(|line| line.trim().strip_suffix(':')).collect();
    assert!(names.len() >= 14, "{names:?}");
    let missing: Vec<&&str> = names.iter().filter(|name| !rows.iter().any(|row| row.name == ***name)).collect();
    assert!(missing.is_empty(), "docs/limits.md omits {missing:?}");
}

#[test]
fn rows_that_differ_from_the_code_are_found() {
    let differing = |line: &str| fault(&row(line)).is_some();
    assert!(!differing("| a | upload | 768 | KiB | 413 | `domain/src/limits.rs`: `UPLOAD_BYTES` |"));
    for line in [
        "| a | upload | 769 | KiB | 413 | `domain/src/limits.rs`: `UPLOAD_BYTES` |",
        "| a | upload | 768 | MiB | 413 | `domain/src/limits.rs`: `UPLOAD_BYTES` |",
        "| a | upload | 768 | KiB | 413 | `domain/src/limits.rs`: `DOWNLOAD_BYTES` |",
        "| a | retention | 4 | h | – | `domain/src/limits.rs`: `FEED_RETENTION_S` |",
        "| a | plan | 700 | requests | 429 | `domain/src/plan.rs`: `Self::Standard => 600` |",
        "| a | plan | 700 | requests | 429 | `domain/src/plan.rs`: `Self::Standard => 700` |",
        "| a | rules | 100 | rules | – | `template.yaml`: `RulesPerBus` |",
    ] {
        assert!(differing(line), "{line}");
    }
}

#[test]
fn constants_are_evaluated() {
    let source =
        "const A: usize = 2 * 3;\npub const B: i64 = A + 10 - 1;\nconst C: usize = 16 << 20;\nconst D: u32 = 6_000;";
    let values = ["A", "B", "C", "D", "E"].map(|name| constant(source, name));
    assert_eq!(values, [Some(6.0), Some(15.0), Some(16_777_216.0), Some(6000.0), None]);
}
