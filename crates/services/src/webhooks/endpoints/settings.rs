//! The settings of endpoints, and their limits.

use std::collections::{BTreeMap, BTreeSet};

use roadcast_domain::event::EventType;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::package::PackageName;
use roadcast_domain::webhook::{
    DISABLED_TYPE, DeliveryOrder, Endpoint, EndpointStatus, EndpointUrl, RetrySchedule, TEST_TYPE,
};
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::port_set::PortSet;
use serde::Deserialize;

use super::EndpointManagement;
use crate::authz::FleetManager;
use crate::{InvalidField, ServiceError};

/// What a fleet chooses for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointSettings {
    /// Where events are posted.
    pub url: EndpointUrl,
    /// Whether the URL may have another port than 443. Only an admin can allow it.
    #[serde(default)]
    pub any_port: bool,
    /// A text of the fleet for its people.
    #[serde(default, deserialize_with = "roadcast_domain::deserialize_non_null")]
    pub description: Option<String>,
    /// The CloudEvents types that the endpoint receives; all if empty.
    #[serde(default)]
    pub event_types: BTreeSet<String>,
    /// The packages to which events are redacted; all packages of the fleet if empty.
    #[serde(default)]
    pub packages: BTreeSet<PackageName>,
    /// Additional request headers. When an endpoint is replaced, `None` keeps the stored ones.
    #[serde(default, deserialize_with = "roadcast_domain::deserialize_non_null")]
    pub headers: Option<BTreeMap<String, String>>,
    /// The order of the deliveries of a vehicle.
    #[serde(default)]
    pub order: DeliveryOrder,
    /// Maximum attempts per second; no limit if absent.
    #[serde(default, deserialize_with = "roadcast_domain::deserialize_non_null")]
    pub rate_limit: Option<u32>,
    /// When failed attempts are repeated.
    #[serde(default)]
    pub retry_schedule: RetrySchedule,
    /// Whether events are delivered. `Active` also activates an endpoint that was disabled.
    #[serde(default)]
    pub state: RequestedState,
}

/// The state that a fleet chooses for an endpoint.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RequestedState {
    /// Events are delivered.
    #[default]
    Active,
    /// Deliveries wait.
    Paused,
}

impl RequestedState {
    pub(super) const fn status(self) -> EndpointStatus {
        match self {
            Self::Active => EndpointStatus::Active,
            Self::Paused => EndpointStatus::Paused,
        }
    }
}

impl<Ports: PortSet> EndpointManagement<Ports> {
    /// Fails with `Invalid`, with all invalid fields.
    pub(super) async fn validate(&self, settings: &EndpointSettings) -> Result<(), ServiceError> {
        let mut invalid = Vec::new();
        let mut refuse = |pointer: JsonPointer, detail: String| invalid.push(InvalidField::new(pointer, detail));
        if let Err(error) = self.rules.check(&settings.url, settings.any_port) {
            refuse(["url"].into(), error.to_string());
        }
        if settings.description.as_ref().is_some_and(|text| text.len() > Endpoint::MAX_DESCRIPTION_BYTES) {
            refuse(["description"].into(), format!("must have at most {} bytes", Endpoint::MAX_DESCRIPTION_BYTES));
        }
        if settings.event_types.len() > Endpoint::MAX_EVENT_TYPES {
            refuse(["eventTypes"].into(), format!("must have at most {} entries", Endpoint::MAX_EVENT_TYPES));
        }
        for (index, event_type) in settings.event_types.iter().enumerate() {
            let is_known = [TEST_TYPE, DISABLED_TYPE].contains(&event_type.as_str());
            if !is_known && EventType::from_name(event_type).is_none() {
                let pointer = JsonPointer::from(["eventTypes"]).index(index);
                refuse(pointer, "must be a built-in event type or a name like com.example.tyre.v1".to_owned());
            }
        }
        if settings.packages.len() > Endpoint::MAX_PACKAGES {
            refuse(["packages"].into(), format!("must have at most {} entries", Endpoint::MAX_PACKAGES));
        }
        if settings.rate_limit.is_some_and(|limit| !(1..=Endpoint::MAX_RATE_LIMIT).contains(&limit)) {
            refuse(["rateLimit"].into(), format!("must be from 1 to {}", Endpoint::MAX_RATE_LIMIT));
        }
        invalid.extend(invalid_headers(settings.headers.iter().flatten()));
        let packages = self.entitlements.packages().await?;
        for (index, name) in settings.packages.iter().enumerate() {
            if packages.get(name.as_str()).is_none() {
                let pointer = JsonPointer::from(["packages"]).index(index);
                invalid.push(InvalidField::new(pointer, "no such package; GET /packages lists them"));
            }
        }
        if invalid.is_empty() { Ok(()) } else { Err(ServiceError::Invalid(invalid)) }
    }
}

/// Fails with `Invalid` unless the caller may allow other ports.
pub(super) fn check_any_port(manager: &FleetManager) -> Result<(), ServiceError> {
    if manager.is_admin() { Ok(()) } else { Err(ServiceError::invalid(["anyPort"], "only an admin can allow other ports")) }
}

/// Returns the headers as the text that is sealed.
pub(super) fn header_json(headers: &BTreeMap<String, String>) -> Result<String, ServiceError> {
    serde_json::to_string(headers).map_err(|_| ServiceError::invalid(["headers"], "cannot be stored"))
}

/// Returns what is invalid in additional headers.
fn invalid_headers<'h>(headers: impl Iterator<Item = (&'h String, &'h String)>) -> Vec<InvalidField> {
    // As they are sealed, in a JSON object: with braces, quotation marks, colons and commas, and the characters that are escaped.
    let (mut invalid, mut bytes, mut count) = (Vec::new(), 2, 0);
    for (name, value) in headers {
        count += 1;
        bytes += name.len() + value.len() + value.matches(['"', '\\']).count() + 6;
        let pointer = || JsonPointer::from(["headers"]).child(name);
        if !is_header_name(name) {
            invalid.push(InvalidField::new(pointer(), "must be lower case letters, digits and hyphens"));
        } else if is_reserved(name) {
            invalid.push(InvalidField::new(pointer(), "is set by Roadcast"));
        }
        // Visible characters and inner spaces (RFC 9110, 5.5), without those beyond ASCII, which receivers read differently.
        let is_visible = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if value.is_empty() || !is_visible || value.trim() != value {
            invalid.push(InvalidField::new(pointer(), "must be visible ASCII characters, without spaces at the ends"));
        }
    }
    if count > Endpoint::MAX_HEADERS || bytes > Endpoint::MAX_HEADER_BYTES {
        let detail = format!("must be at most {} with {} bytes in all", Endpoint::MAX_HEADERS, Endpoint::MAX_HEADER_BYTES);
        invalid.push(InvalidField::new(["headers"], detail));
    }
    invalid
}

/// Lower case, so that no two names differ in case only.
fn is_header_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// Whether a header belongs to the request itself, or states the signature.
fn is_reserved(name: &str) -> bool {
    const RESERVED: [&str; 16] = [
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    RESERVED.contains(&name) || name.starts_with("webhook-") || name.starts_with("ce-")
}
