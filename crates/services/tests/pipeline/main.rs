//! The data flow through the real use cases in memory, on ports that fail: ingest, processing, enrichment, feed and queries.

// Tests fail on the first unexpected result.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod batch_time;
mod clients;
mod consent;
mod custom_events;
mod decompression;
mod faults;
mod fixture;
mod fleet_events;
mod history;
mod offboarding;
mod package_changes;
mod provisioning;
mod quarantine;
mod response_size;
mod upload_receipts;
mod uploads;
mod values;
mod visibility;
mod workflow_fixture;
