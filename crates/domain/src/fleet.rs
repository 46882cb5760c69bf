//! Fleets and the machine clients that act for them or for data sources.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, FleetId};
use crate::plan::Plan;

/// A customer: the tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    /// Its id.
    pub fleet_id: FleetId,
    /// Its name, as people read it.
    pub name: String,
    /// The delivery bus that carries its events. Rules per bus are limited, so fleets may be spread over several.
    pub delivery_bus: String,
    /// How much it may ask for.
    #[serde(default)]
    pub plan: Plan,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A machine client of the user pool, and whom it acts for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// Its id in the user pool.
    pub client_id: ClientId,
    /// Its name, as people read it.
    pub name: String,
    /// Whom it acts for.
    #[serde(flatten)]
    pub role: ClientRole,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Whom a client acts for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ClientRole {
    /// An application of a fleet: reads.
    Fleet {
        /// The fleet.
        fleet_id: FleetId,
    },
    /// A partner or gateway: sends events.
    Ingest {
        /// The CloudEvents sources it may use: each exactly, or all below it where it ends with `/` or `:`.
        sources: Vec<String>,
    },
}

/// Whether an ingest client that is bound to `sources` may send an event of `source`.
pub fn source_is_bound(sources: &[String], source: &str) -> bool {
    sources.iter().any(|bound| bound == source || (bound.ends_with(['/', ':']) && source.starts_with(bound.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_use_its_sources_and_what_lies_below_a_prefix() {
        let sources = vec!["urn:partner:a".to_owned(), "https://gateway.example/".to_owned()];
        assert!(source_is_bound(&sources, "urn:partner:a"));
        assert!(source_is_bound(&sources, "https://gateway.example/north/7"));
        assert!(!source_is_bound(&sources, "urn:partner:ab"));
        assert!(!source_is_bound(&sources, "https://gateway.example.evil/"));
        assert!(!source_is_bound(&[], "urn:partner:a"));
    }
}
