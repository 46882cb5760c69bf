//! What failed on the way from the delivery bus to a webhook endpoint.

use roadcast_domain::Timestamp;
use roadcast_domain::dead_letter::{DeadLetter, Hop, Pointers};
use roadcast_domain::ids::FleetId;
use roadcast_domain::webhook::{Delivery, DeliveryState, FailureReason};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::text::{name_in_arn, pointer};
use super::{Failure, QueueMessage};
use crate::failed_delivery;

/// In the name of each rule and queue of webhooks.
const WEBHOOK: &str = "-webhook";

/// Whether a rule or a queue with this name belongs to webhooks.
pub(super) fn is_webhook(name: &str) -> bool {
    name.contains(WEBHOOK)
}

/// Returns the failure of a delivery; `None` if `body` is not its record.
pub(super) fn failed_delivery(message: &QueueMessage, body: &[u8]) -> Option<Failure> {
    let delivery = failed_delivery::decode(body).ok()?;
    let DeliveryState::Failed { reason } = delivery.state else { return None };
    let failed_at = delivery.finished_at.unwrap_or(delivery.created_at);
    let first_at = delivery.history.first().map_or(delivery.created_at, |attempt| attempt.at);
    Some(Failure {
        hop: Hop::Webhook,
        reason: code(reason).to_owned(),
        detail: Some(detail(&delivery, reason)),
        fleet_id: Some(delivery.fleet_id.clone()),
        pointers: Pointers {
            source: Some(pointer(&delivery.key.delivery_id.to_string())),
            target: Some(pointer(delivery.key.endpoint_id.as_str())),
            message_id: Some(pointer(&message.message_id)),
            attempts: Some(delivery.attempts.into()),
            ..Pointers::default()
        },
        items: 1,
        failed_at,
        first_at,
        last_at: delivery.history.last().map_or(failed_at, |attempt| attempt.at),
        source: source(&delivery),
        bytes: body.to_vec(),
    })
}

/// Identifies the failure: a delivery that a redrive makes pending and that fails again is another one.
fn source(delivery: &Delivery) -> String {
    format!("{}/{}@{}", delivery.key.endpoint_id, delivery.key.delivery_id, delivery.created_at.ms())
}

const fn code(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::AttemptsExhausted => "attempts_exhausted",
        FailureReason::Expired => "expired",
        FailureReason::Gone => "gone",
        FailureReason::EndpointDisabled => "endpoint_disabled",
        FailureReason::TooLarge => "too_large",
    }
}

fn detail(delivery: &Delivery, reason: FailureReason) -> String {
    let cause = match reason {
        FailureReason::AttemptsExhausted => "every attempt of the schedule failed",
        FailureReason::Expired => "its time ended while the endpoint was paused, failed, or its subscription was suspended",
        FailureReason::Gone => "the endpoint responded with 410 Gone",
        FailureReason::EndpointDisabled => "the endpoint is disabled",
        FailureReason::TooLarge => "the event exceeds the size of a webhook",
    };
    let last = delivery.history.last().map(|attempt| {
        let status = attempt.status.map(|status| format!(" {status}")).unwrap_or_default();
        format!("; the last attempt ended with {}{status}", attempt.outcome.code())
    });
    let text = format!("{cause}{}", last.unwrap_or_default());
    text.chars().take(DeadLetter::MAX_DETAIL).collect()
}

/// The members by which a task of the dispatcher and an entry of the delivery bus are found.
#[derive(Deserialize)]
struct Form {
    #[serde(default)]
    task: Option<IgnoredAny>,
    #[serde(default)]
    source: Option<String>,
}

/// Returns the failure of a message that was received too often from a queue of webhooks: an entry of the delivery bus, or a task
/// of the dispatcher. `None` if it comes from no such queue. If the message does not state its queue, its body decides.
pub(super) fn moved_from_queue(message: &QueueMessage) -> Option<Failure> {
    let queue = message.moved_from.as_deref().map(|arn| name_in_arn(arn, ':'));
    match queue {
        Some(queue) if is_webhook(queue) => {}
        Some(_) => return None,
        None => {
            let form: Form = serde_json::from_str(&message.body).ok()?;
            if form.task.is_none() && form.source.as_deref() != Some(crate::bus_entry::DELIVERY_SOURCE) {
                return None;
            }
        }
    }
    let failure = Failure::unknown(message, "receives_exhausted");
    let (fleet_id, published_at) = stated(&message.body);
    Some(Failure {
        hop: Hop::Webhook,
        detail: Some("each invocation of the function with this message failed".to_owned()),
        pointers: Pointers { source: queue.map(pointer), ..failure.pointers },
        fleet_id,
        first_at: published_at.unwrap_or(failure.first_at),
        last_at: published_at.unwrap_or(failure.last_at),
        ..failure
    })
}

/// Returns the fleet and the time that a message states.
fn stated(body: &str) -> (Option<FleetId>, Option<Timestamp>) {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Stated {
        fleet_id: Option<FleetId>,
        time: Option<String>,
        detail: Inner,
        line: Inner,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Inner {
        fleet_id: Option<FleetId>,
    }
    let Stated { fleet_id, time, detail, line } = serde_json::from_str(body).unwrap_or_default();
    let time = time.and_then(|time| Timestamp::parse_rfc3339(&time).ok());
    (fleet_id.or(detail.fleet_id).or(line.fleet_id), time)
}
