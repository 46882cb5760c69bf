//! Suites that every implementation of a port must pass, behind the feature `conformance`.
//!
//! Each suite is one async function that runs named checks and panics with the behaviour that does not hold. Whatever a
//! suite keeps is about vehicles, fleets and clients of its per_item, with ids from the [`Randomness`] it is given, so that it
//! can run again and again, and beside others, against a shared store. Nothing is cleaned up.
//!
//! [`Randomness`]: crate::clock::Randomness
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a suite is a test: it panics with the behaviour that does not hold"
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
mod fleets;
#[cfg(feature = "conformance")]
mod fresh;
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
    bulk::{bulk_files, loads, vehicle_map, vehicle_map_of_a_fleet},
    bus::ingest_bus,
    clients::{app_clients, clients},
    entitlements::subscriptions_and_entitlements,
    event_log::event_log,
    feed::{feed, feed_index},
    fleets::{fleets, leaving_fleets},
    fresh::Fresh,
    packages::custom_packages,
    provisioning::{fleet_channel, provisioning_workflow},
    requests::{answers, request_counts},
    schemas::schemas,
    state::state_store,
    stream::telemetry_stream,
    subscriptions::subscriptions,
    vehicles::{names, vehicles},
};
