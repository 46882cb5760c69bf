//! The data flow through the real use cases in memory, on ports that fail: ingest, processing, enrichment, feed and queries.

// Tests fail on the first unexpected result.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod alerts;
mod batch_time;
mod block_budget;
mod clients;
mod columns;
mod consent;
mod custom_events;
mod decompression;
mod faults;
mod feed;
mod fixture;
mod fleet_events;
mod hidden_events;
mod history;
mod isolation;
mod lanes;
mod long_reads;
mod moving_names;
mod offboarding;
mod package_changes;
mod placement;
mod probes;
mod provisioning;
mod quarantine;
mod refusals;
mod relay;
mod response_size;
mod restore;
mod traces;
mod unmerged_tail;
mod upload_receipts;
mod uploads;
mod values;
mod visibility;
mod workflow_fixture;
