//! The rows of the table, one file per kind of input.

mod bodies;
mod bulk_files;
mod cloud_events;
mod conditions;
mod retention;
mod samples;
mod values;

use crate::row::Row;

/// Returns all rows.
pub(crate) fn all() -> Vec<Row> {
    [
        bodies::rows(),
        bulk_files::rows(),
        cloud_events::rows(),
        conditions::rows(),
        retention::rows(),
        samples::rows(),
        values::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
