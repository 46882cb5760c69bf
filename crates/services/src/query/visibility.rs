//! What a caller may see of a vehicle.

use roadcast_domain::Timestamp;
use roadcast_domain::entitlement::{Coverage, Entitlement};
use roadcast_domain::event::Event;
use roadcast_domain::package::Packages;

/// How much of a vehicle's data a caller may see.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Visibility {
    /// All data.
    Everything,
    /// The data that the entitlement covers.
    Redacted {
        /// The entitlement.
        entitlement: Entitlement,
        /// The packages.
        packages: Packages,
        /// Which grants of the entitlement are within their validity.
        valid: Vec<bool>,
    },
}

impl Visibility {
    pub(super) fn redacted(entitlement: Entitlement, packages: Packages, now: Timestamp) -> Self {
        let valid = entitlement.grants.iter().map(|grant| grant.validity.contains(now)).collect();
        Self::Redacted { entitlement, packages, valid }
    }

    /// Whether the caller may see all data.
    pub(super) const fn is_everything(&self) -> bool {
        matches!(self, Self::Everything)
    }

    /// Returns what covers data received at `received`, as it is at `now`; `None` if the caller may see everything.
    pub(super) fn coverage(&self, received: Timestamp, now: Timestamp) -> Option<Coverage<'_>> {
        match self {
            Self::Everything => None,
            Self::Redacted { entitlement, packages, .. } => Some(entitlement.coverage(packages, received, now)),
        }
    }

    /// Returns the visible part of the event; `None` if no part is visible.
    pub(super) fn redact(&self, event: Event, now: Timestamp) -> Option<Event> {
        match self {
            Self::Everything => Some(event),
            Self::Redacted { entitlement, packages, .. } => entitlement.redact(&event, packages, now),
        }
    }
}
