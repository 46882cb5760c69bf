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
mod entitlements;
#[cfg(feature = "conformance")]
mod event_log;
#[cfg(feature = "conformance")]
mod feed;
#[cfg(feature = "conformance")]
mod fixtures;
#[cfg(feature = "conformance")]
mod fleets;
#[cfg(feature = "conformance")]
mod packages;
#[cfg(feature = "conformance")]
mod provisioning;
#[cfg(feature = "conformance")]
mod requests;
#[cfg(feature = "conformance")]
mod schemas;
#[cfg(feature = "conformance")]
mod state;
#[cfg(feature = "conformance")]
mod stream;
#[cfg(feature = "conformance")]
mod subscriptions;
#[cfg(feature = "conformance")]
mod vehicles;

#[cfg(feature = "conformance")]
pub use self::{
    archive::{archive, quarantine},
    audit::audit_trail,
    bulk::{bulk_files, import_progress, vehicle_mapping_lists, vehicle_mappings},
    bus::ingest_bus,
    clients::{app_clients, clients},
    entitlements::subscriptions_and_entitlements,
    event_log::event_log,
    feed::{feed, feed_index},
    fixtures::Fixtures,
    fleets::{fleets, offboarding_fleets},
    packages::custom_packages,
    provisioning::{fleet_channel, provisioning_workflow},
    requests::{idempotency_store, rate_counter},
    schemas::schemas,
    state::state_store,
    stream::telemetry_stream,
    subscriptions::subscriptions,
    vehicles::{vehicle_names, vehicles},
};
