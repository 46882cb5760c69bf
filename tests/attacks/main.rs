//! Attacks on the service, and what each must come to. Each test prints its figure.
//!
//! The tests send requests and records through the real functions and middleware, on ports in memory: no stack is needed.
//! `cargo test -p roadcast-tests --test attacks NAME` runs the tests whose names contain NAME. The file of a subject contains
//! its table; a new attack is a row. `tests/end_to_end/kills.rs` kills the functions of a running stack.

// Tests may panic.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

// The table of inputs uses the same functions on the same ports.
mod alerts;
#[allow(dead_code)] // the import of files
#[path = "../inputs/apis.rs"]
mod apis;
mod deployment;
mod races;
mod request;
mod revocations;
mod stream;
mod tokens;
mod webhooks;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Runs a test in a runtime of its own. It fails with a panic.
fn trial<Test: Future<Output = ()> + 'static>(name: &str, test: fn() -> Test) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(test());
        Ok(())
    })
}

/// Lists tests with their names.
macro_rules! trials {
    ($($module:ident::$name:ident),* $(,)?) => {
        vec![$(trial(concat!(stringify!($module), "::", stringify!($name)), $module::$name)),*]
    };
}

fn main() -> ExitCode {
    let trials = trials![
        tokens::no_trick_gets_an_answer_or_changes_anything,
        tokens::requests_without_a_trick_are_answered,
        revocations::nothing_is_readable_after_five_seconds,
        stream::hostile_records_block_no_good_ones,
        races::one_of_several_changes_of_a_version_succeeds,
        races::vin_is_registered_once,
        races::idempotency_key_has_one_effect,
        races::feed_loses_nothing_and_repeats_nothing,
        races::offboarded_fleet_has_nothing_left,
        races::what_was_taken_away_is_not_granted_again,
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
