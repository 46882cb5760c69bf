//! Writes `catalogue.csv` as Rust, so that the table needs no parsing at run time. An invalid row fails the build.

// The script needs only a part of what these modules offer to the crate.
#[allow(dead_code, unreachable_pub)]
#[path = "src/columns.rs"]
mod columns;
#[allow(dead_code, unreachable_pub)]
#[path = "src/resolution.rs"]
mod resolution;

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use columns::{Datatype, Origin};
use resolution::Resolution;

const TABLE: &str = "catalogue.csv";
const HEADER: &str = "number,path,datatype,unit,min,max,resolution,allowed,origin";

const DATATYPES: [Datatype; 12] = [
    Datatype::Boolean,
    Datatype::Int8,
    Datatype::Uint8,
    Datatype::Int16,
    Datatype::Uint16,
    Datatype::Int32,
    Datatype::Uint32,
    Datatype::Int64,
    Datatype::Uint64,
    Datatype::Float,
    Datatype::Double,
    Datatype::String,
];
const ORIGINS: [Origin; 3] = [Origin::Vss, Origin::Obd, Origin::Roadcast];

fn main() {
    println!("cargo::rerun-if-changed={TABLE}");
    for module in ["columns", "resolution"] {
        println!("cargo::rerun-if-changed=src/{module}.rs");
    }
    if let Err(error) = generate() {
        println!("cargo::error={error}");
    }
}

fn generate() -> Result<(), String> {
    let table = fs::read_to_string(TABLE).map_err(|error| format!("cannot read {TABLE}: {error}"))?;
    let folder = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; run cargo")?;
    let file = Path::new(&folder).join("catalogue.rs");
    fs::write(&file, rows(&table)?).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// Returns the table as a Rust expression.
fn rows(table: &str) -> Result<String, String> {
    let mut lines = table.lines();
    if lines.next() != Some(HEADER) {
        return Err(format!("{TABLE}:1: the header must be {HEADER}"));
    }
    let mut paths = BTreeSet::new();
    let mut rows = String::from("&[\n");
    for (index, line) in lines.enumerate() {
        let row = row(line, index + 1, &mut paths).map_err(|error| format!("{TABLE}:{}: {error}: {line}", index + 2))?;
        rows.push_str(&row);
    }
    rows.push_str("]\n");
    Ok(rows)
}

/// Returns a line of the table as a Rust expression.
fn row<'a>(line: &'a str, expected: usize, paths: &mut BTreeSet<&'a str>) -> Result<String, String> {
    let columns: Vec<&str> = line.split(',').collect();
    let &[number, path, datatype, unit, min, max, step, allowed, origin] = columns.as_slice() else {
        return Err(format!("a row has 9 columns, this one has {}", columns.len()));
    };
    if number.parse::<u16>().ok().map(usize::from) != Some(expected) {
        return Err(format!("the number must be {expected}, the one after the previous row"));
    }
    if path.is_empty() || !paths.insert(path) {
        return Err("the path is empty or occurs twice".to_owned());
    }
    let scalar = datatype.strip_suffix("[]");
    let name = scalar.unwrap_or(datatype);
    let known = DATATYPES.into_iter().find(|datatype| datatype.name() == name).ok_or("unknown datatype")?;
    let (min, max) = (bound(min)?, bound(max)?);
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        return Err("min is larger than max".to_owned());
    }
    let resolution = match decimals(step)? {
        Some(decimals) => format!("Resolution::from_decimals({decimals})"),
        None => "None".to_owned(),
    };
    let texts: Vec<&str> = non_empty(allowed).map(|texts| texts.split('|').collect()).unwrap_or_default();
    if texts.contains(&"") {
        return Err("an allowed text is empty".to_owned());
    }
    let origin = ORIGINS.into_iter().find(|known| known.name() == origin).ok_or("unknown origin")?;
    Ok(format!(
        "SignalDef {{ number: {expected}, path: {path:?}, datatype: Datatype::{known:?}, is_array: {}, unit: {:?}, \
         min: {min:?}, max: {max:?}, allowed: &{texts:?}, resolution: {resolution}, origin: Origin::{origin:?} }},\n",
        scalar.is_some(),
        non_empty(unit),
    ))
}

/// Parses `min` or `max`. Returns `None` for an empty column.
fn bound(column: &str) -> Result<Option<f64>, String> {
    let Some(text) = non_empty(column) else { return Ok(None) };
    let bound = text.parse::<f64>().ok().filter(|bound| bound.is_finite());
    bound.map(Some).ok_or(format!("{text:?} is not a number"))
}

/// Returns the decimals of a step such as `0.01`. Returns `None` for an empty column.
fn decimals(column: &str) -> Result<Option<u8>, String> {
    let Some(step) = non_empty(column) else { return Ok(None) };
    let known = (0..=u8::MAX).map_while(Resolution::from_decimals).find(|resolution| resolution.to_string() == step);
    known.map(|resolution| Some(resolution.decimals())).ok_or(format!("{step:?} is not a resolution: 1, 0.1, 0.01 …"))
}

fn non_empty(column: &str) -> Option<&str> {
    (!column.is_empty()).then_some(column)
}
