//! Events that a rule could not deliver, and messages of a rule's queue that were received too often.

use roadcast_domain::Timestamp;
use roadcast_domain::dead_letter::{Hop, Pointers};
use roadcast_domain::ids::FleetId;
use roadcast_domain::lane::Lane;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::text::{code, detail, name_in_arn, pointer};
use super::{Failure, QueueMessage, webhook};
use crate::bus_entry::INGEST_SOURCE;

/// In the name of a fleet's rule, before the id of the fleet.
const FEED: &str = "-feed-";
/// In the name of a rule or a queue of enrichment, at the end or before the lane.
const ENRICHMENT: &str = "-enrichment";
/// In the name of each rule and queue of notices of the operator's alerts.
const NOTICES: &str = "-alert-notices";

/// An event of EventBridge.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    id: Option<String>,
    source: Option<String>,
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    time: Option<String>,
    detail: Detail,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    fleet_id: Option<String>,
    events: Vec<IgnoredAny>,
}

/// Returns the failure of a rule; `None` if no rule sent the message.
pub(super) fn sent_by_rule(message: &QueueMessage) -> Option<Failure> {
    let attribute = |name: &str| message.attributes.get(name).map(String::as_str);
    let rule = attribute("RULE_ARN")?;
    let name = name_in_arn(rule, '/');
    let exhausted = attribute("EXHAUSTED_RETRY_CONDITION").map(|condition| format!("{condition} is exhausted: "));
    let error = format!("{}{}", exhausted.unwrap_or_default(), attribute("ERROR_MESSAGE").unwrap_or_default());
    let fleet = name.rsplit_once(FEED).and_then(|(_, fleet_id)| fleet_id.parse().ok());
    let is_enrichment = fleet.is_none() && name.contains(ENRICHMENT);
    let is_webhook = fleet.is_none() && webhook::is_webhook(name);
    let failure = Failure::unknown(message, "delivery_failed");
    let failure = Failure {
        hop: match &fleet {
            Some(_) => Hop::Feed,
            None if is_enrichment => Hop::Enrichment,
            None if is_webhook => Hop::Webhook,
            None if name.contains(NOTICES) => Hop::Notice,
            None => Hop::Unknown,
        },
        reason: attribute("ERROR_CODE").and_then(code).unwrap_or(failure.reason),
        detail: detail(&error),
        pointers: Pointers {
            source: Some(pointer(name)),
            target: attribute("TARGET_ARN").map(pointer),
            lane: is_enrichment.then(|| lane(name)).flatten(),
            attempts: attribute("RETRY_ATTEMPTS").and_then(|attempts| attempts.parse().ok()),
            ..failure.pointers
        },
        fleet_id: fleet,
        ..failure
    };
    Some(with_event(failure, message))
}

/// Returns the failure of a message that a redrive policy moved from a queue of enrichment; `None` if it comes from no such
/// queue. If the message does not state its queue, which Lambda need not pass on, its event decides.
pub(super) fn moved_from_queue(message: &QueueMessage) -> Option<Failure> {
    let failure = Failure::unknown(message, "receives_exhausted");
    let pointers = if let Some(arn) = message.moved_from.as_deref() {
        let queue = name_in_arn(arn, ':');
        if !queue.contains(ENRICHMENT) {
            return None;
        }
        Pointers { source: Some(pointer(queue)), lane: lane(queue), ..failure.pointers }
    } else {
        Pointers { lane: Some(lane_of_event(&message.body)?.name().to_owned()), ..failure.pointers }
    };
    let detail = Some("each invocation of the function with this message failed".to_owned());
    Some(with_event(Failure { hop: Hop::Enrichment, detail, pointers, ..failure }, message))
}

/// Returns the failure of a message that was received too often from the queue of notices; `None` if it comes from another queue. If
/// the message does not state its queue, its mark decides: the rule sends the detail of an entry, and no other rule does.
pub(super) fn moved_from_notices(message: &QueueMessage) -> Option<Failure> {
    #[derive(Deserialize)]
    struct Marked {
        notice: bool,
    }
    let is_of_notices = match message.moved_from.as_deref() {
        Some(arn) => name_in_arn(arn, ':').contains(NOTICES),
        None => serde_json::from_str::<Marked>(&message.body).is_ok_and(|marked| marked.notice),
    };
    let failure = Failure::unknown(message, "receives_exhausted");
    let pointers =
        Pointers { source: message.moved_from.as_deref().map(|arn| pointer(name_in_arn(arn, ':'))), ..failure.pointers };
    let detail = Some("each invocation of the function with this message failed".to_owned());
    is_of_notices.then_some(Failure { hop: Hop::Notice, detail, pointers, ..failure })
}

fn lane(name: &str) -> Option<String> {
    let (_, lane) = name.rsplit_once(ENRICHMENT)?;
    lane.strip_prefix('-').filter(|lane| !lane.is_empty()).map(pointer)
}

/// Returns the lane of an event of the ingest bus; `None` for other texts.
fn lane_of_event(body: &str) -> Option<Lane> {
    let event: Event = serde_json::from_str(body).ok()?;
    let of_event = |lane: &Lane| event.detail_type.as_deref() == Some(lane.detail_type());
    Lane::ALL.into_iter().find(of_event).filter(|_| event.source.as_deref() == Some(INGEST_SOURCE))
}

/// Adds what the event in the body states. The body may be what the rule made of the event.
fn with_event(failure: Failure, message: &QueueMessage) -> Failure {
    let event: Event = serde_json::from_str(&message.body).unwrap_or_default();
    let published_at = event.time.and_then(|time| Timestamp::parse_rfc3339(&time).ok()).unwrap_or(failure.first_at);
    let stated: Option<FleetId> = event.detail.fleet_id.and_then(|fleet_id| fleet_id.parse().ok());
    Failure {
        fleet_id: failure.fleet_id.or(stated),
        items: if event.detail.events.is_empty() { failure.items } else { event.detail.events.len() as u64 },
        first_at: published_at,
        last_at: published_at,
        pointers: Pointers {
            message_id: event.id.as_deref().map(pointer).or(failure.pointers.message_id),
            ..failure.pointers
        },
        ..failure
    }
}
