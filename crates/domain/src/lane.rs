//! The lanes of the events that are enriched.

use crate::event::EventType;

/// The path of an entry from the ingest bus to enrichment. Each lane has a queue of its own, so that alerts do not wait behind
/// telemetry. All events of an entry belong to one lane.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Alerts.
    Alerts,
    /// All other events.
    Telemetry,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 2] = [Self::Alerts, Self::Telemetry];

    /// Returns the lane of events of a type.
    pub const fn of(event_type: &EventType) -> Self {
        match event_type {
            EventType::Alert => Self::Alerts,
            EventType::Telemetry | EventType::Diagnostic | EventType::Custom(_) => Self::Telemetry,
        }
    }

    /// Returns the detail type of entries of the lane, which the rules of the ingest bus match.
    pub const fn detail_type(self) -> &'static str {
        match self {
            Self::Alerts => "roadcast.alerts.v1",
            Self::Telemetry => "roadcast.events.v1",
        }
    }

    /// Returns the name of the lane, with which the name of its queue ends.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Telemetry => "telemetry",
        }
    }
}
