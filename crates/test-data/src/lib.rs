//! Optional data of tests: recordings of vehicles and tables of standards, which are not part of the repository.
//!
//! A test that must always run has a fixture of its own, and does not use this crate.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The environment variable with the folder of the data.
pub const FOLDER_VARIABLE: &str = "ROADCAST_TEST_DATA";
/// The folder if [`FOLDER_VARIABLE`] is not set: next to the repository.
const DEFAULT_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// Returns the path of a file or a folder of the optional data.
///
/// Returns `None` if it does not exist, and reports this on standard error, even if the test runner captures the output of
/// tests. The caller then skips its checks.
///
/// # Panics
///
/// If [`FOLDER_VARIABLE`] is set and the file does not exist in that folder.
#[allow(clippy::panic)] // Only tests and benchmarks call this.
pub fn find(name: &str) -> Option<PathBuf> {
    let configured = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from);
    let path = configured.as_deref().unwrap_or(Path::new(DEFAULT_FOLDER)).join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(configured.is_none(), "{} does not exist: correct or unset {FOLDER_VARIABLE}", path.display());
    // Not with a macro, whose output the test runner captures.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: checks of {name}, which is not part of the repository. To run them, provide it as ../shared/data/{name} \
         next to the repository, or set {FOLDER_VARIABLE} to the folder that contains it."
    );
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_file_is_none() {
        // The variable is not set: changing the environment of the process would affect other tests.
        if std::env::var_os(FOLDER_VARIABLE).is_none() {
            assert_eq!(find("no such folder/no such file"), None);
        }
    }
}
