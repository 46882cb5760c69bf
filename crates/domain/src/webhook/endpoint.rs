//! Webhook endpoints.

use std::collections::BTreeSet;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EndpointUrl, RetrySchedule};
use crate::entitlement::{Coverage, Entitlement};
use crate::ids::{EndpointId, FleetId};
use crate::package::{PackageName, Packages};

/// A URL of a fleet to which Roadcast posts events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The endpoint's id.
    pub endpoint_id: EndpointId,
    /// The fleet.
    pub fleet_id: FleetId,
    /// Where events are posted.
    pub url: EndpointUrl,
    /// Whether the URL may have another port than 443, which only an admin can allow.
    #[serde(default)]
    pub any_port: bool,
    /// A text of the fleet for its people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The CloudEvents types that the endpoint receives; all types if empty.
    #[serde(default)]
    pub event_types: BTreeSet<String>,
    /// The packages to which events are redacted; all packages of the fleet if empty. Never more than the fleet is entitled to.
    #[serde(default)]
    pub packages: BTreeSet<PackageName>,
    /// The names of the additional request headers. Their values may contain credentials, so they are sealed.
    #[serde(default)]
    pub header_names: Vec<String>,
    /// The additional headers as a sealed JSON object; absent without headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_headers: Option<String>,
    /// The order in which the deliveries of a vehicle are attempted.
    #[serde(default)]
    pub order: DeliveryOrder,
    /// Maximum attempts per second; no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<u32>,
    /// When failed attempts are repeated.
    #[serde(default)]
    pub retry_schedule: RetrySchedule,
    /// Whether events are delivered.
    #[serde(default)]
    pub status: EndpointStatus,
    /// The secrets that sign deliveries, the newest first. Several while a secret is rotated.
    pub secrets: Vec<SealedSecret>,
    /// Incremented by each change. The first version is 1.
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A signing secret, sealed under the key of the stack. Only the response that creates it contains its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecret {
    /// The sealed text in base64.
    pub sealed: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Until when deliveries are also signed with it; absent for the newest secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// The order of the deliveries of one vehicle to one endpoint.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeliveryOrder {
    /// In any order. A failed delivery does not delay others.
    #[default]
    None,
    /// One delivery of a vehicle at a time. Those that wait are attempted by the time of their events, and a failed delivery
    /// delays the later ones of its vehicle until it is delivered or fails for good.
    Vehicle,
}

/// Whether an endpoint receives events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum EndpointStatus {
    /// Events are delivered.
    #[default]
    Active,
    /// The fleet paused the endpoint. Deliveries wait until it is active again, or until their time ends.
    Paused,
    /// Roadcast disabled the endpoint. Deliveries fail until the fleet activates it again.
    Disabled {
        /// Why.
        reason: DisabledReason,
        /// When.
        at: Timestamp,
    },
}

/// Why Roadcast disabled an endpoint.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DisabledReason {
    /// It responded with 410 Gone.
    Gone,
    /// Every attempt failed for [`EndpointHealth::DISABLE_AFTER_MS`](super::EndpointHealth::DISABLE_AFTER_MS).
    Failing,
}

impl Endpoint {
    /// Maximum endpoints of a fleet.
    pub const MAX_PER_FLEET: usize = 20;
    /// Maximum CloudEvents types that an endpoint names.
    pub const MAX_EVENT_TYPES: usize = 50;
    /// Maximum packages that an endpoint names.
    pub const MAX_PACKAGES: usize = 50;
    /// Maximum bytes of the description.
    pub const MAX_DESCRIPTION_BYTES: usize = 512;
    /// How long a secret that is rotated out stays valid at most, in seconds: seven days.
    pub const MAX_OVERLAP_S: u32 = 7 * 24 * 60 * 60;
    /// How long a secret that is rotated out stays valid by default, in seconds: a day.
    pub const DEFAULT_OVERLAP_S: u32 = 24 * 60 * 60;
    /// Maximum additional headers.
    pub const MAX_HEADERS: usize = 20;
    /// Maximum bytes of the names and values of the additional headers.
    pub const MAX_HEADER_BYTES: usize = 4096;
    /// Maximum secrets: the newest one and one that is being rotated out.
    pub const MAX_SECRETS: usize = 2;
    /// Maximum attempts per second that a fleet may choose.
    pub const MAX_RATE_LIMIT: u32 = 1000;
    /// Maximum bytes of an event in an attempt. A larger event fails without an attempt.
    pub const MAX_BODY_BYTES: usize = 256 * 1024;

    /// Whether the endpoint receives events of this CloudEvents type.
    pub fn wants(&self, event_type: &str) -> bool {
        self.event_types.is_empty() || self.event_types.contains(event_type)
    }

    /// Returns what the packages of the endpoint cover; `None` if it is not limited to packages.
    pub fn coverage<'p>(&self, packages: &'p Packages) -> Option<Coverage<'p>> {
        (!self.packages.is_empty()).then(|| Coverage::of(self.packages.iter(), packages))
    }

    /// Returns the entitlement of the fleet as far as the endpoint wants it.
    pub fn limit(&self, entitlement: &Entitlement) -> Entitlement {
        if self.packages.is_empty() { entitlement.clone() } else { entitlement.limited_to(&self.packages) }
    }

    /// Returns the secrets that sign a delivery at `now`, the newest first.
    pub fn signing_secrets(&self, now: Timestamp) -> impl Iterator<Item = &SealedSecret> {
        self.secrets.iter().filter(move |secret| secret.expires_at.is_none_or(|end| now < end))
    }
}
