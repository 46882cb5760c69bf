//! Requests and responses of the API: the members that this tool uses.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The body of a vehicle registration.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Registration {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vin: Option<String>,
    pub(crate) external_ids: Vec<ExternalId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) make: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model_year: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fuel_type: Option<String>,
}

#[derive(Clone, Serialize)]
pub(crate) struct ExternalId {
    pub(crate) scheme: String,
    pub(crate) value: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fleet {
    #[serde(rename = "fleetId")]
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) plan: String,
    pub(super) state: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Subscription {
    #[serde(rename = "subscriptionId")]
    pub(crate) id: String,
    pub(crate) vehicles: Vec<String>,
    pub(crate) packages: Vec<String>,
    #[serde(default)]
    pub(crate) delivery_format: String,
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) reason: Option<String>,
    pub(crate) valid_from: String,
    #[serde(default)]
    pub(crate) valid_until: Option<String>,
}

/// An accepted event of an upload.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) eid: String,
}

/// The kind of a new client: an admin, of a fleet (id), or for ingest (sources).
pub(crate) enum Role<'a> {
    Admin,
    Fleet(&'a str),
    Ingest(&'a [&'a str]),
}

impl Role<'_> {
    /// The body of the request that creates such a client.
    pub(crate) fn client_input(&self, name: &str) -> Value {
        match self {
            Self::Admin => json!({ "name": name, "kind": "admin" }),
            Self::Fleet(fleet_id) => json!({ "name": name, "kind": "fleet", "fleetId": fleet_id }),
            Self::Ingest(sources) => json!({ "name": name, "kind": "ingest", "sources": sources }),
        }
    }
}

/// A feed response.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Feed {
    pub(crate) events: Vec<Value>,
    #[serde(default)]
    pub(crate) ack: Option<String>,
    next_poll_seconds: u64,
}

impl Feed {
    /// The time after which the feed should be read again.
    pub(crate) fn next_poll(&self) -> Duration {
        Duration::from_secs(self.next_poll_seconds)
    }
}
