//! Writes the paths of `openapi.yaml` and their methods as Rust, for the requests that match no operation.

use std::path::Path;
use std::{env, fs};

use serde_norway::Value;

const CONTRACT: &str = "../../openapi.yaml";
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "patch", "head", "options"];

fn main() {
    println!("cargo::rerun-if-changed={CONTRACT}");
    if let Err(error) = generate() {
        println!("cargo::error={error}");
    }
}

fn generate() -> Result<(), String> {
    let text = fs::read_to_string(CONTRACT).map_err(|error| format!("cannot read {CONTRACT}: {error}"))?;
    let contract: Value = serde_norway::from_str(&text).map_err(|error| format!("{CONTRACT} is not YAML: {error}"))?;
    let folder = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; run cargo")?;
    let file = Path::new(&folder).join("contract.rs");
    fs::write(&file, paths(&contract)?).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// Returns the paths of the contract as a Rust expression.
fn paths(contract: &Value) -> Result<String, String> {
    let paths = contract["paths"].as_mapping().ok_or_else(|| format!("{CONTRACT} has no paths"))?;
    let mut rows = Vec::new();
    for (template, item) in paths {
        let template = template.as_str().ok_or_else(|| format!("{CONTRACT} has a path that is not a string"))?;
        let methods = METHODS.into_iter().filter(|method| item.get(*method).is_some());
        let methods: Vec<String> = methods.map(str::to_uppercase).collect();
        // A path without an operation is only for API Gateway.
        if !methods.is_empty() {
            rows.push(format!("    ContractPath {{ template: {template:?}, methods: &{methods:?} }},\n"));
        }
    }
    Ok(format!("&[\n{}]\n", rows.concat()))
}
