//! Arrows point one way, and only those crates reach AWS that are meant to.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Which of our crates each of our crates may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("roadcast-signals", &[]),
    ("roadcast-traces", &[]),
    ("roadcast-blocks", &["roadcast-signals"]),
    ("roadcast-domain", &["roadcast-signals"]),
    ("roadcast-ports", &["roadcast-domain", "roadcast-signals"]),
    ("roadcast-codec", &["roadcast-blocks", "roadcast-domain", "roadcast-signals"]),
    ("roadcast-event-log", &["roadcast-blocks", "roadcast-codec", "roadcast-domain", "roadcast-ports", "roadcast-signals"]),
    (
        "roadcast-services",
        &["roadcast-codec", "roadcast-domain", "roadcast-event-log", "roadcast-ports", "roadcast-signals"],
    ),
    (
        "roadcast-aws",
        &["roadcast-codec", "roadcast-domain", "roadcast-event-log", "roadcast-ports", "roadcast-signals"],
    ),
    (
        "roadcast-testbed",
        &["roadcast-codec", "roadcast-domain", "roadcast-event-log", "roadcast-ports", "roadcast-signals"],
    ),
    ("roadcast-aws-model", &["roadcast-ports", "roadcast-signals", "roadcast-testbed"]),
    (
        "roadcast-cost",
        &[
            "roadcast-aws-model",
            "roadcast-blocks",
            "roadcast-codec",
            "roadcast-domain",
            "roadcast-event-log",
            "roadcast-lambda-kit",
            "roadcast-ports",
            "roadcast-services",
            "roadcast-signals",
            "roadcast-testbed",
            "roadcast-traces",
        ],
    ),
    (
        "roadcast-lambda-kit",
        &["roadcast-codec", "roadcast-domain", "roadcast-ports", "roadcast-services", "roadcast-signals"],
    ),
];

/// Crates that may reach an SDK crate, beside the functions.
const MAY_REACH_AWS: [&str; 2] = ["roadcast-aws", "roadcast-cli"];

/// Each of our packages: the folder it lies in, and its normal dependencies.
fn packages() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let normal = dependencies.iter().filter(|dependency| dependency["kind"].is_null());
            let names = normal.filter_map(|dependency| dependency["name"].as_str().map(str::to_owned)).collect();
            let manifest = package["manifest_path"].as_str().expect("a path");
            let folder = manifest.rsplit('/').nth(2).unwrap_or_default().to_owned();
            (package["name"].as_str().expect("a name").to_owned(), (folder, names))
        })
        .collect()
}

#[test]
fn the_inner_crates_know_only_what_lies_further_in() {
    let packages = packages();
    for (name, allowed) in ALLOWED {
        let (_, dependencies) = packages.get(*name).unwrap_or_else(|| panic!("{name} is gone: change this list"));
        let ours: BTreeSet<&str> = dependencies.iter().map(String::as_str).filter(|d| d.starts_with("roadcast-")).collect();
        let surplus: Vec<_> = ours.difference(&allowed.iter().copied().collect()).copied().collect();
        assert!(surplus.is_empty(), "{name} must not depend on {surplus:?}");
    }
}

#[test]
fn every_crate_has_its_place_in_the_picture() {
    let known: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    for (name, (folder, _)) in packages() {
        let outermost = folder == "functions" || name == "roadcast-cli" || name == "roadcast-tests";
        assert!(outermost || known.contains(name.as_str()), "{name} is not in the list of what may depend on what");
    }
}

#[test]
fn only_the_adapters_the_functions_and_the_tool_reach_an_sdk() {
    for (name, (folder, dependencies)) in packages() {
        let reaches = dependencies.iter().any(|d| d.starts_with("aws-sdk-") || d == "aws-config");
        assert!(!reaches || folder == "functions" || MAY_REACH_AWS.contains(&name.as_str()), "{name} reaches an SDK crate");
    }
}

#[test]
fn no_published_code_depends_on_the_testbed() {
    for (name, (_, dependencies)) in packages() {
        assert!(
            ["roadcast-aws-model", "roadcast-cli", "roadcast-cost"].contains(&&*name) || !dependencies.contains("roadcast-testbed"),
            "{name} depends on the testbed"
        );
    }
}
