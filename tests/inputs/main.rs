//! Inputs that users of such systems send, and the right answer to each, as a table of named tests.
//!
//! Each row sends requests through the real functions and middleware, on ports in memory: no stack is needed. The stream
//! processor, enrichment and the import of bulk files run as steps of a row. `cargo test -p roadcast-tests --test inputs NAME`
//! runs the rows whose names contain NAME, and `-- --list` lists them. A row is added to the file of its kind in `rows/`.

// Tests may panic.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod answer;
mod apis;
mod row;
mod rows;
mod service;
mod step;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let trials = rows::all().into_iter().map(|row| Trial::test(row.test_name(), move || Ok(row.run()?)));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
