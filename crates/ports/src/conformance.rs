//! Suites that every implementation of a port must pass, behind the feature `conformance`.
//!
//! Each suite is one async function that runs named checks and panics with the violated behaviour. A suite stores only
//! data of its own vehicles, fleets and clients, with ids from the given [`Randomness`]. So it can run repeatedly, and
//! concurrently with others, against a shared store. It does not clean up.
//!
//! [`Randomness`]: crate::clock::Randomness
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a suite is a test: it panics with the violated behaviour"
)]

#[cfg(feature = "conformance")]
mod alert_notices;
#[cfg(feature = "conformance")]
mod alert_state;
#[cfg(feature = "conformance")]
mod alerts;
#[cfg(feature = "conformance")]
mod archive;
#[cfg(feature = "conformance")]
mod audit;
#[cfg(feature = "conformance")]
mod bulk;
#[cfg(feature = "conformance")]
mod bus;
#[cfg(feature = "conformance")]
mod clients;
#[cfg(feature = "conformance")]
mod dead_letters;
#[cfg(feature = "conformance")]
mod entitlements;
#[cfg(feature = "conformance")]
mod erasure;
#[cfg(feature = "conformance")]
mod event_log;
#[cfg(feature = "conformance")]
mod feed;
#[cfg(feature = "conformance")]
mod fixtures;
#[cfg(feature = "conformance")]
mod fleets;
#[cfg(feature = "conformance")]
mod message_delay;
#[cfg(feature = "conformance")]
mod packages;
#[cfg(feature = "conformance")]
mod provisioning;
#[cfg(feature = "conformance")]
mod requests;
#[cfg(feature = "conformance")]
mod schemas;
#[cfg(feature = "conformance")]
mod secrets;
#[cfg(feature = "conformance")]
mod state;
#[cfg(feature = "conformance")]
mod stream;
#[cfg(feature = "conformance")]
mod subscriptions;
#[cfg(feature = "conformance")]
mod vehicles;
#[cfg(feature = "conformance")]
mod webhooks;

#[cfg(feature = "conformance")]
pub use self::{
    alert_notices::{notice_channels, sent_notices},
    alert_state::{alert_checkpoints, shard_evaluations},
    alerts::{alert_rules, back_tests},
    archive::{archive, archived_batches, quarantine},
    audit::audit_trail,
    bulk::{bulk_files, import_progress, vehicle_mapping_lists, vehicle_mappings},
    bus::ingest_bus,
    clients::{app_clients, clients},
    dead_letters::{dead_letter_contents, dead_letters, redrives},
    entitlements::subscriptions_and_entitlements,
    erasure::{Stores as ErasedStores, erased_alert_state, erased_stores, erasures, hidden_vehicles},
    event_log::event_log,
    feed::{feed, feed_index, restored_feed_index},
    fixtures::Fixtures,
    fleets::{fleets, offboarding_fleets, places_on_buses},
    message_delay::message_delay,
    packages::custom_packages,
    provisioning::{feed_proofs, fleet_channel, provisioning_workflow},
    requests::{idempotency_store, rate_counter},
    schemas::schemas,
    secrets::secret_source,
    state::state_store,
    stream::{stream_reads, telemetry_stream},
    subscriptions::subscriptions,
    vehicles::{vehicle_names, vehicles},
    webhooks::{
        attempts, deliveries, delivery_queue, endpoint_healths, endpoint_redrives, endpoints, sealer, waiting_deliveries,
    },
};
