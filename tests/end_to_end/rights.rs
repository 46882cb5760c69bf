//! The calls of AWS services that the functions make. `tests/rights` compares them with the rights of the functions' roles.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::shared::Shared;

/// Begins a line of the file with a call that is not made in every run, such as a repetition after a conflict.
const NOT_IN_EVERY_RUN: char = '~';

/// Fails on a call that the file does not contain and, if all checks ran, on a call of the file that no function made.
/// With `UPDATE_GOLDEN=1`, it changes the file instead.
pub(crate) fn functions_make_the_calls_that_their_rights_are_for(shared: &Shared) {
    let made: BTreeSet<String> = lines(&shared.recorded_calls()).into_iter().collect();
    assert!(!made.is_empty(), "no call was recorded");
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/rights/calls.txt"));
    let stored = lines(&path);
    let (occasional, constant): (Vec<String>, Vec<String>) =
        stored.into_iter().partition(|line| line.starts_with(NOT_IN_EVERY_RUN));
    let constant: BTreeSet<String> = constant.into_iter().collect();
    let occasional: BTreeSet<String> =
        occasional.iter().map(|line| line.trim_start_matches(NOT_IN_EVERY_RUN).trim().to_owned()).collect();

    let new: Vec<&String> = made.iter().filter(|call| !constant.contains(*call) && !occasional.contains(*call)).collect();
    let gone: Vec<&String> = constant.iter().filter(|call| shared.runs_all_checks && !made.contains(*call)).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let kept = constant.iter().filter(|call| !gone.contains(call)).chain(new);
        let occasional = occasional.iter().map(|call| format!("{NOT_IN_EVERY_RUN} {call}"));
        let all: BTreeSet<String> = kept.cloned().chain(occasional).collect();
        let text: Vec<String> = all.into_iter().collect();
        std::fs::write(&path, text.join("\n") + "\n").expect("the file of calls can be written");
        return;
    }
    assert!(
        new.is_empty() && gone.is_empty(),
        "the calls of AWS services changed. Run all checks with UPDATE_GOLDEN=1, and then \
         `cargo test -p roadcast-tests --test rights`, which names the rights that are missing or no longer needed.\nnew: {new:#?}\nno longer made: {gone:#?}"
    );
}

/// The lines of a file; none if there is no file.
fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
