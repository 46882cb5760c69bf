//! What a record of the stream is, by its text.

use roadcast_codec::{alert_record, tick};

/// What a record of the stream is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// Nothing but the time of its arrival.
    Tick,
    /// An alert of Roadcast itself, as the record states.
    Alert,
    /// Events of a sender, or what is none.
    Events,
}

impl RecordKind {
    /// Returns the kind of the record with this text.
    pub(super) fn of(text: &str) -> Self {
        if tick::is_tick(text) {
            Self::Tick
        } else if alert_record::is_alert_record(text) {
            Self::Alert
        } else {
            Self::Events
        }
    }
}
