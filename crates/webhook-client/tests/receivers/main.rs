//! The examples for receivers: they verify the vectors, and what the client sends, as this project does.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod attempt;
// The example is not part of the crate; its documentation is the page.
#[allow(unreachable_pub)]
#[path = "../../../../docs/webhooks/examples/verify.rs"]
mod example;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The folder of the examples.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/webhooks/examples");
/// The page that shows them.
const PAGE: &str = include_str!("../../../../docs/webhooks/verify.md");
/// The vectors of the project.
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../domain/src/webhook/signature/vectors.ndjson");

/// The files with vectors: ours, those of Standard Webhooks if they are there, and one with a request of the client.
async fn vector_files(test: &str) -> Vec<PathBuf> {
    let own = PathBuf::from(VECTORS);
    let standard = roadcast_test_data::find("standard_webhooks/vectors.ndjson");
    own.exists().then_some(own).into_iter().chain(standard).chain([attempt::vector_of_an_attempt(test).await]).collect()
}

/// Runs a script with the vectors of each file, and expects that it finds no difference.
async fn check(program: &str, script: &str) {
    if Command::new(program).arg("--version").output().is_err() {
        // Not with a macro, whose output the test runner captures.
        let _ = writeln!(std::io::stderr(), "SKIPPED: the example for {program}, which is not installed");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers").join(script);
    for vectors in vector_files(program).await {
        let output = Command::new(program).arg(&script).args([EXAMPLES.as_ref(), vectors.as_path()]).output().unwrap();
        let count = std::fs::read_to_string(&vectors).unwrap().lines().count();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(text.trim(), count.to_string(), "{}", vectors.display());
    }
}

#[tokio::test]
async fn example_for_python_verifies_as_the_project() {
    check("python3", "check.py").await;
}

#[tokio::test]
async fn example_for_node_verifies_as_the_project() {
    check("node", "check.mjs").await;
}

#[tokio::test]
async fn example_for_rust_verifies_as_the_project() {
    let mut count = 0;
    for vectors in vector_files("rust").await {
        for line in std::fs::read_to_string(vectors).unwrap().lines() {
            let vector: Value = serde_json::from_str(line).unwrap();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let header = |name: &str| text(&vector["headers"][name]);
            let (id, timestamp, signatures) =
                (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
            let body = text(&vector["body"]);
            let now = vector["now"].as_u64().unwrap();
            let is_signed =
                example::is_signed(&[&text(&vector["secret"])], &id, &timestamp, &signatures, body.as_bytes(), now);
            assert_eq!(is_signed, vector["expected"] == "valid", "{}", vector["name"]);
            count += 1;
        }
    }
    assert!(count > 25, "{count} vectors");
}

#[test]
fn page_shows_the_examples_as_they_are_tested() {
    for name in ["verify.py", "verify.mjs", "verify.rs", "verify.go"] {
        let example = std::fs::read_to_string(Path::new(EXAMPLES).join(name)).unwrap();
        assert!(PAGE.contains(example.trim_end()), "docs/webhooks/verify.md does not have the text of {name}");
    }
}
