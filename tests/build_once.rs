//! The tool, the functions and the tests share what they compile.
//!
//! Cargo compiles a dependency once for each set of its features. A set that only the tests have would make the crates of the SDK
//! be compiled twice: minutes of each build from nothing.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

#[test]
fn tool_and_functions_compile_what_the_tests_use() {
    let functions: Vec<String> = std::fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| format!("roadcast-{}", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    let mut packages = vec!["--package", "roadcast-cli"];
    packages.extend(functions.iter().flat_map(|function| ["--package", function]));

    let with_tests = compiled(&["--workspace", "--edges", "normal,dev"]);
    for selection in [&packages[..2], &packages] {
        let alone = compiled(&[selection, &["--edges", "normal"]].concat());
        let other: Vec<&String> = alone.difference(&with_tests).collect();
        assert!(
            other.is_empty(),
            "compiled again by the tests, with more features: {other:#?}\nAdd the features to crates/cli/Cargo.toml"
        );
    }
}

/// The packages that cargo compiles for a selection, each with its features.
fn compiled(selection: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--prefix", "none", "--format", "{p} {f}"])
        .args(selection)
        .current_dir(root())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("names of packages are UTF-8");
    text.lines().map(|line| line.trim_end_matches(" (*)").replace(" (proc-macro)", "")).collect()
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
