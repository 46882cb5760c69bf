//! End-to-end checks on a running stack, each of which is a named test.
//!
//! `cargo test -p roadcast-tests --test end_to_end NAME` runs the checks whose names contain NAME, and `-- --list` lists them.
//! All checks share one stack, because a stack takes a while to start: see [`Shared`].

// Tests may panic.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod access;
mod bulk;
mod clients;
mod consent;
mod contract;
mod creating;
mod custom;
mod interrupt;
mod local;
mod offboarding;
mod reading;
mod recording;
mod shared;
mod stack;
mod trips;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use shared::Shared;

/// A check. It fails with a panic.
type Check = fn(&Shared);

/// Lists checks with their names.
macro_rules! checks {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), $module::$name)),*]
    };
}

/// All checks, in their order. Each can run alone. The order only saves time: a fleet drains its feed while other checks run.
const CHECKS: &[(&str, Check)] = checks![
    contract::check_fails_for_wrong_members_statuses_and_media_types,
    local::page_of_another_origin_gets_nowhere,
    offboarding::fleet_being_offboarded_cannot_subscribe,
    trips::every_sample_of_the_recording_is_stored,
    trips::feed_has_only_positions_of_the_subscribed_vehicle,
    trips::resources_that_a_fleet_may_not_see_return_404,
    trips::history_pages_have_each_event_once,
    trips::state_is_redacted_to_the_packages_of_the_fleet,
    trips::repeated_recording_stores_nothing,
    trips::invalid_input_returns_a_pointer_to_the_field,
    access::every_operation_authorizes_the_caller,
    clients::leaked_ingest_secret_is_rotated_and_its_token_stops,
    clients::disabled_client_is_refused_until_it_is_enabled,
    reading::windows_agree_with_the_samples,
    reading::filters_select_events_and_signals,
    reading::pages_have_each_event_once_during_ingest,
    reading::poller_receives_each_arrival_once,
    consent::revoked_data_is_removed_from_queries_and_queued_messages,
    consent::suspended_subscription_resumes_without_loss,
    custom::custom_event_is_delivered_to_fleets_with_its_package,
    custom::schema_file_registers_its_valid_lines,
    creating::repeated_idempotency_key_creates_nothing,
    creating::vehicle_is_found_replaced_and_retired,
    creating::events_are_accepted_in_every_content_mode,
    bulk::vehicle_file_is_imported_and_not_overwritten_by_older_files,
    offboarding::discarded_fleet_is_offboarded_at_once,
    offboarding::drained_fleet_is_offboarded,
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One after the other: some checks measure how soon a change is effective, and some count resources of the stack.
    arguments.test_threads = Some(1);
    let shared = Arc::new(Shared::new());
    interrupt::exit_on_signal(shared.clone());
    let trial = |(name, check): &(&str, Check)| {
        let (shared, check) = (shared.clone(), *check);
        Trial::test(*name, move || {
            check(&shared);
            Ok(())
        })
    };
    // A panic of a check is a failed test, so that the stack is stopped in any case.
    let conclusion = libtest_mimic::run(&arguments, CHECKS.iter().map(trial).collect());
    if let Err(error) = shared.stop() {
        eprintln!("the stack was not stopped: {error}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}
