//! What several tests of the project use.

use std::path::Path;
use std::process::Command;

/// Returns the tracked files whose names end with one of these texts, and their contents.
///
/// # Panics
///
/// Without a git checkout.
#[allow(clippy::expect_used)] // a test stops at the first surprise
pub fn tracked(endings: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new("git").args(["ls-files"]).current_dir(&root).output().expect("git lists the files");
    assert!(output.status.success(), "these tests need a git checkout");
    let list = String::from_utf8(output.stdout).expect("file names are UTF-8");
    let matching = list.lines().filter(|name| endings.iter().any(|ending| name.ends_with(ending)));
    matching.filter_map(|name| Some((name.to_owned(), std::fs::read_to_string(root.join(name)).ok()?))).collect()
}
