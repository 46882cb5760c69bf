//! What the API takes and answers, as far as the tool needs it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is known of a vehicle when it is registered.
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
    pub(super) state: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Subscription {
    #[serde(rename = "subscriptionId")]
    pub(crate) id: String,
    pub(crate) vehicles: Vec<String>,
    pub(crate) packages: Vec<String>,
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) reason: Option<String>,
    pub(crate) valid_from: String,
    #[serde(default)]
    pub(crate) valid_until: Option<String>,
}

/// What became of an event that was taken.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) eid: String,
}

/// Whom a new client acts for.
pub(crate) enum Role<'a> {
    Fleet(&'a str),
    Ingest(&'a [&'a str]),
}

/// What a feed hands out at once.
#[derive(Deserialize)]
pub(crate) struct Feed {
    pub(crate) events: Vec<Value>,
    #[serde(default)]
    pub(crate) ack: Option<String>,
}
