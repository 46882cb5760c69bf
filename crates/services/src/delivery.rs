//! Delivery: events on the ingest bus are redacted and sent to each entitled fleet, which reads them from its feed.

pub mod enrichment;
pub mod feed;
pub mod restored_arrivals;
