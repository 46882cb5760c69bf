//! What the endpoints of a fleet want.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Endpoint;

/// The union of what the endpoints of a fleet want. It is stored with the fleet, so that enrichment, which reads the fleet
/// anyway, marks the entries that the endpoints need without reading the endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookInterest {
    /// Whether an endpoint wants all types.
    #[serde(default)]
    pub all: bool,
    /// The CloudEvents types that the endpoints name.
    #[serde(default)]
    pub event_types: BTreeSet<String>,
}

impl WebhookInterest {
    /// Returns what these endpoints want. A paused or disabled endpoint wants what it wanted before: its deliveries wait, or
    /// are kept as failed.
    pub fn of<'e>(endpoints: impl IntoIterator<Item = &'e Endpoint>) -> Self {
        let mut interest = Self::default();
        for endpoint in endpoints {
            interest.all |= endpoint.event_types.is_empty();
            interest.event_types.extend(endpoint.event_types.iter().cloned());
        }
        interest
    }

    /// Whether an endpoint wants events of this CloudEvents type.
    pub fn wants(&self, event_type: &str) -> bool {
        self.all || self.event_types.contains(event_type)
    }
}
