//! End-to-end checks on a running stack, each of which is a named test.
//!
//! `cargo test -p roadcast-tests --test end_to_end NAME` runs the checks whose names contain NAME, and `-- --list` lists them.
//! All checks share one stack, because a stack takes a while to start: see [`Shared`].

// Tests may panic.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod access;
mod alerts;
mod bulk;
mod clients;
mod consent;
mod contract;
mod creating;
mod custom;
mod dead_letters;
mod erasure;
mod interrupt;
mod kills;
mod local;
mod moving_names;
mod notices;
mod offboarding;
mod provisioning;
mod reading;
mod recording;
mod restore;
mod rights;
mod shared;
mod sizes;
mod stack;
mod trips;
mod unmatched;
mod webhooks;

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
    provisioning::new_feed_is_probed_and_stays_empty,
    trips::every_sample_of_the_recording_is_stored,
    trips::feed_has_only_positions_of_the_subscribed_vehicle,
    trips::resources_that_a_fleet_may_not_see_return_404,
    trips::history_pages_have_each_event_once,
    trips::state_is_redacted_to_the_packages_of_the_fleet,
    trips::repeated_recording_stores_nothing,
    trips::invalid_input_returns_a_pointer_to_the_field,
    access::every_operation_authorizes_the_caller,
    unmatched::unknown_path_is_404_and_wrong_method_is_405,
    clients::leaked_ingest_secret_is_rotated_and_its_token_stops,
    clients::disabled_client_is_refused_until_it_is_enabled,
    clients::disabled_admin_is_refused,
    reading::windows_agree_with_the_samples,
    reading::filters_select_events_and_signals,
    reading::pages_have_each_event_once_during_ingest,
    reading::poller_receives_each_arrival_once,
    consent::revoked_data_is_removed_from_queries_and_queued_messages,
    consent::suspended_subscription_resumes_without_loss,
    moving_names::vin_of_a_retired_vehicle_belongs_to_its_new_fleet,
    moving_names::moved_external_id_reaches_the_former_fleet_no_more,
    kills::acknowledged_events_survive_kills_of_functions,
    custom::custom_event_is_delivered_to_fleets_with_its_package,
    custom::schema_file_registers_its_valid_lines,
    dead_letters::poison_record_is_redriven_once_after_its_cause_is_corrected,
    dead_letters::failed_batch_of_the_stream_is_redriven,
    dead_letters::failed_enrichment_is_redriven_once_after_its_cause_is_corrected,
    erasure::erased_vehicle_is_in_no_store,
    webhooks::test_event_arrives_signed,
    webhooks::event_is_delivered_after_failures_in_the_packages_of_the_endpoint,
    webhooks::trace_has_every_hop_of_an_event,
    webhooks::revoked_event_that_waits_is_not_delivered,
    webhooks::secret_is_rotated_under_load_without_a_refused_signature,
    webhooks::gone_endpoint_is_disabled_with_a_notice_until_it_is_activated,
    webhooks::failed_delivery_is_redriven_with_one_effect,
    alerts::rules_are_versioned_and_removed,
    alerts::alert_is_delivered_and_agrees_with_the_back_test,
    notices::operator_is_notified_at_the_topic_and_the_incident_endpoint,
    notices::refused_notice_is_redriven,
    creating::repeated_idempotency_key_creates_nothing,
    creating::vehicle_is_found_replaced_and_retired,
    creating::events_are_accepted_in_every_content_mode,
    sizes::largest_values_of_a_vehicle_do_not_block_it,
    bulk::vehicle_file_is_imported_and_not_overwritten_by_older_files,
    // After the checks whose events it restores.
    restore::emptied_tables_are_restored_from_the_archive,
    offboarding::discarded_fleet_is_offboarded_at_once,
    offboarding::drained_fleet_is_offboarded,
    // The last one, because it is about the calls that all others caused.
    rights::functions_make_the_calls_that_their_rights_are_for,
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One after the other: some checks measure how soon a change is effective, and some count resources of the stack.
    arguments.test_threads = Some(1);
    let runs_all_checks = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.ignored;
    let shared = Arc::new(Shared::new(runs_all_checks));
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
