//! JSON representations of endpoints, attempts, deliveries and redrives.

use std::collections::BTreeSet;

use roadcast_domain::Timestamp;
use roadcast_domain::audit::Author;
use roadcast_domain::dead_letter::RedriveId;
use roadcast_domain::ids::{DeliveryId, Eid, EndpointId, FleetId, VehicleId};
use roadcast_domain::package::PackageName;
use roadcast_domain::webhook::delivery::{DropReason, FailureReason};
use roadcast_domain::webhook::endpoint::DisabledReason;
use roadcast_domain::webhook::{
    Attempt, AttemptOutcome, Delivery, DeliveryOrder, DeliveryState, Endpoint, EndpointHealth, EndpointRedrive,
    EndpointRedriveRequest, EndpointStatus, EndpointUrl, PastAttempt, Payload, RetrySchedule,
};
use serde::Serialize;

/// An endpoint. Its version is in the `ETag`. Neither secrets nor the values of headers are in it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointView<'e> {
    endpoint_id: &'e EndpointId,
    fleet_id: &'e FleetId,
    url: &'e EndpointUrl,
    any_port: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'e str>,
    event_types: &'e BTreeSet<String>,
    packages: &'e BTreeSet<PackageName>,
    header_names: &'e [String],
    order: DeliveryOrder,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<u32>,
    retry_schedule: &'e RetrySchedule,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<DisabledView>,
    secrets: Vec<SecretTimes>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// Why and when an endpoint was disabled.
#[derive(Serialize)]
struct DisabledView {
    reason: DisabledReason,
    at: Timestamp,
}

/// When a secret was created, and until when it signs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecretTimes {
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// Returns the times of the secrets that sign at `now`, the newest first.
pub(crate) fn secrets(endpoint: &Endpoint, now: Timestamp) -> Vec<SecretTimes> {
    let secrets = endpoint.signing_secrets(now);
    secrets.map(|secret| SecretTimes { created_at: secret.created_at, expires_at: secret.expires_at }).collect()
}

impl<'e> EndpointView<'e> {
    pub(crate) fn new(endpoint: &'e Endpoint, now: Timestamp) -> Self {
        let (state, disabled) = match &endpoint.status {
            EndpointStatus::Active => ("active", None),
            EndpointStatus::Paused => ("paused", None),
            EndpointStatus::Disabled { reason, at } => ("disabled", Some(DisabledView { reason: *reason, at: *at })),
        };
        Self {
            endpoint_id: &endpoint.endpoint_id,
            fleet_id: &endpoint.fleet_id,
            url: &endpoint.url,
            any_port: endpoint.any_port,
            description: endpoint.description.as_deref(),
            event_types: &endpoint.event_types,
            packages: &endpoint.packages,
            header_names: &endpoint.header_names,
            order: endpoint.order,
            rate_limit: endpoint.rate_limit,
            retry_schedule: &endpoint.retry_schedule,
            state,
            disabled,
            secrets: secrets(endpoint, now),
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

/// An endpoint with its secret, which is shown once.
#[derive(Serialize)]
pub(crate) struct SecretView<'e> {
    #[serde(flatten)]
    endpoint: EndpointView<'e>,
    secret: String,
}

impl<'e> SecretView<'e> {
    pub(crate) const fn new(endpoint: EndpointView<'e>, secret: String) -> Self {
        Self { endpoint, secret }
    }
}

/// An endpoint with its health, and the times of a delivery that starts now and always fails.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DetailsView<'e> {
    #[serde(flatten)]
    endpoint: EndpointView<'e>,
    health: HealthView,
    attempt_times: Vec<Timestamp>,
}

impl<'e> DetailsView<'e> {
    pub(crate) fn new(endpoint: &'e Endpoint, health: &EndpointHealth, now: Timestamp) -> Self {
        Self {
            endpoint: EndpointView::new(endpoint, now),
            health: HealthView::new(health, now),
            attempt_times: attempt_times(now, endpoint.retry_schedule.delays_s()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthView {
    circuit: &'static str,
    consecutive_failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_from: Option<Timestamp>,
    slow: bool,
}

impl HealthView {
    fn new(health: &EndpointHealth, now: Timestamp) -> Self {
        let circuit = match health.open_until {
            None => "closed",
            Some(until) if now < until => "open",
            Some(_) => "halfOpen",
        };
        Self {
            circuit,
            consecutive_failures: health.consecutive_failures,
            failing_since: health.failing_since,
            open_until: health.open_until,
            disabled_from: health.failing_since.map(|since| since.plus_ms(EndpointHealth::DISABLE_AFTER_MS)),
            slow: health.slow_until.is_some_and(|until| now < until),
        }
    }
}

/// Returns the time of an attempt, and those of the later ones if all fail.
fn attempt_times(first: Timestamp, delays_s: &[u32]) -> Vec<Timestamp> {
    let later = delays_s.iter().scan(first, |at, delay_s| {
        *at = at.plus_ms(i64::from(*delay_s) * 1000);
        Some(*at)
    });
    std::iter::once(first).chain(later).collect()
}

/// An attempt.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttemptView<'a> {
    delivery_id: DeliveryId,
    #[serde(skip_serializing_if = "Option::is_none")]
    vid: Option<&'a VehicleId>,
    event_type: &'a str,
    number: u32,
    at: Timestamp,
    outcome: AttemptOutcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    latency_ms: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    excerpt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
}

impl<'a> From<&'a Attempt> for AttemptView<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        Self {
            delivery_id: attempt.key.delivery_id,
            vid: attempt.vid.as_ref(),
            event_type: &attempt.event_type,
            number: attempt.number,
            at: attempt.at,
            outcome: attempt.outcome,
            status: attempt.status,
            latency_ms: attempt.latency_ms,
            excerpt: attempt.excerpt.as_deref(),
            next_attempt_at: attempt.next_attempt_at,
        }
    }
}

/// A delivery, without its event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryView<'d> {
    delivery_id: DeliveryId,
    endpoint_id: &'d EndpointId,
    event_type: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vid: Option<&'d VehicleId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eid: Option<Eid>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    attempts: u32,
    history: &'d [PastAttempt],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_times: Option<Vec<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redrive_id: Option<&'d RedriveId>,
    created_at: Timestamp,
}

/// Why a delivery failed or was dropped.
#[derive(Serialize)]
#[serde(untagged)]
enum Reason {
    Failed(FailureReason),
    Dropped(DropReason),
}

impl<'d> DeliveryView<'d> {
    pub(crate) fn new(delivery: &'d Delivery, endpoint: &Endpoint) -> Self {
        let (state, reason) = match delivery.state {
            DeliveryState::Pending => ("pending", None),
            DeliveryState::Delivered => ("delivered", None),
            DeliveryState::Failed { reason } => ("failed", Some(Reason::Failed(reason))),
            DeliveryState::Dropped { reason } => ("dropped", Some(Reason::Dropped(reason))),
        };
        let eid = match &delivery.payload {
            Payload::Event { eid, .. } => Some(*eid),
            Payload::Notice { .. } => None,
        };
        let next_attempt_at = delivery.next_attempt_at.filter(|_| !delivery.state.is_terminal());
        let made = usize::try_from(delivery.attempts).unwrap_or(usize::MAX);
        let later = endpoint.retry_schedule.delays_s().get(made..).unwrap_or_default();
        Self {
            delivery_id: delivery.key.delivery_id,
            endpoint_id: &delivery.key.endpoint_id,
            event_type: delivery.payload.event_type(),
            vid: delivery.payload.vid(),
            eid,
            state,
            reason,
            attempts: delivery.attempts,
            history: &delivery.history,
            next_attempt_at,
            attempt_times: next_attempt_at.map(|next| attempt_times(next, later)),
            redrive_id: delivery.redrive_id.as_ref(),
            created_at: delivery.created_at,
        }
    }
}

/// A redrive.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RedriveView {
    redrive_id: RedriveId,
    endpoint_id: EndpointId,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_ids: Option<Vec<DeliveryId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<bool>,
    by: Author,
    created_at: Timestamp,
    updated_at: Timestamp,
    redriven: u64,
    skipped: u64,
}

impl From<EndpointRedrive> for RedriveView {
    fn from(redrive: EndpointRedrive) -> Self {
        let (delivery_ids, since, all) = match redrive.request {
            EndpointRedriveRequest::Deliveries { delivery_ids } => (Some(delivery_ids), None, None),
            EndpointRedriveRequest::Since { since } => (None, Some(since), None),
            EndpointRedriveRequest::All => (None, None, Some(true)),
        };
        Self {
            redrive_id: redrive.redrive_id,
            endpoint_id: redrive.endpoint_id,
            state: if redrive.finished { "finished" } else { "running" },
            delivery_ids,
            since,
            all,
            by: redrive.by,
            created_at: redrive.created_at,
            updated_at: redrive.updated_at,
            redriven: redrive.redriven,
            skipped: redrive.skipped,
        }
    }
}
