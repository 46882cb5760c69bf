//! Records of webhook deliveries that failed: what the dispatcher sends to the queue of dead letters.
//!
//! A record contains the delivery with all its attempts and the event, so that it can be delivered again although the delivery
//! itself has expired. The event is part of the JSON, not a text in it: otherwise a large event would not fit into a message.

use roadcast_domain::Timestamp;
use roadcast_domain::dead_letter::RedriveId;
use roadcast_domain::ids::{DeliveryId, Eid, EndpointId, FleetId, VehicleId};
use roadcast_domain::webhook::{Delivery, DeliveryKey, DeliveryState, FailureReason, PastAttempt, Payload};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The value of `recordType`, by which the collector finds the records among its messages.
pub const RECORD_TYPE: &str = "roadcast.webhook.failed-delivery.v1";

/// A failed delivery.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    #[serde(rename = "recordType")]
    kind: String,
    endpoint_id: EndpointId,
    delivery_id: DeliveryId,
    fleet_id: FleetId,
    reason: FailureReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vid: Option<VehicleId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eid: Option<Eid>,
    event_type: String,
    attempts: u32,
    history: Vec<PastAttempt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redrive_id: Option<RedriveId>,
    created_at: Timestamp,
    failed_at: Timestamp,
    event: Box<RawValue>,
}

/// A text that is not the record of a failed delivery.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRecord {
    /// Not JSON, or not with the members of a record.
    #[error("not the record of a failed delivery")]
    Malformed(#[from] serde_json::Error),
    /// The record of something else.
    #[error("the record is of another type")]
    OtherType,
}

/// Returns the record of a delivery that failed. Fails if the event is not JSON.
pub fn encode(delivery: &Delivery) -> serde_json::Result<String> {
    let (eid, cloud_event) = match &delivery.payload {
        Payload::Event { eid, cloud_event, .. } => (Some(*eid), cloud_event),
        Payload::Notice { cloud_event, .. } => (None, cloud_event),
    };
    let reason = match delivery.state {
        DeliveryState::Failed { reason } => reason,
        // Only failed deliveries are sent; the others have no dead letter.
        _ => FailureReason::AttemptsExhausted,
    };
    let event = if cloud_event.is_empty() { "null" } else { cloud_event };
    serde_json::to_string(&Record {
        kind: RECORD_TYPE.to_owned(),
        endpoint_id: delivery.key.endpoint_id.clone(),
        delivery_id: delivery.key.delivery_id,
        fleet_id: delivery.fleet_id.clone(),
        reason,
        vid: delivery.payload.vid().cloned(),
        eid,
        event_type: delivery.payload.event_type().to_owned(),
        attempts: delivery.attempts,
        history: delivery.history.clone(),
        redrive_id: delivery.redrive_id.clone(),
        created_at: delivery.created_at,
        failed_at: delivery.finished_at.unwrap_or(delivery.created_at),
        event: RawValue::from_string(event.to_owned())?,
    })
}

/// Returns the delivery of a record, as it was when it failed. Its revision is not part of the record.
pub fn decode(record: &[u8]) -> Result<Delivery, InvalidRecord> {
    let record: Record = serde_json::from_slice(record)?;
    if record.kind != RECORD_TYPE {
        return Err(InvalidRecord::OtherType);
    }
    let cloud_event = match record.event.get() {
        "null" => String::new(),
        event => event.to_owned(),
    };
    let payload = match (record.vid, record.eid) {
        (Some(vid), Some(eid)) => Payload::Event { vid, eid, event_type: record.event_type, cloud_event },
        _ => Payload::Notice { event_type: record.event_type, cloud_event },
    };
    Ok(Delivery {
        key: DeliveryKey { endpoint_id: record.endpoint_id, delivery_id: record.delivery_id },
        fleet_id: record.fleet_id,
        payload,
        state: DeliveryState::Failed { reason: record.reason },
        attempts: record.attempts,
        next_attempt_at: None,
        history: record.history,
        redrive_id: record.redrive_id,
        revision: 1,
        created_at: record.created_at,
        finished_at: Some(record.failed_at),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::webhook::AttemptOutcome;

    use super::*;

    #[test]
    fn failed_delivery_round_trips_with_its_attempts() {
        let at = Timestamp::from_ms(1_714_564_800_000);
        let vid = VehicleId::from_random_bits(1);
        let key =
            DeliveryKey { endpoint_id: EndpointId::from_random_bits(1), delivery_id: DeliveryId::from_time_and_salt(at, 1) };
        let payload = Payload::Event {
            eid: Eid::for_event(&vid, "a", "b", at),
            vid,
            event_type: "roadcast.diagnostic.v1".to_owned(),
            cloud_event: r#"{"id":"x","data":{"text":"\"quoted\""}}"#.to_owned(),
        };
        let attempt = PastAttempt { at, outcome: AttemptOutcome::ErrorStatus, status: Some(500), latency_ms: 7 };
        let delivery = Delivery {
            attempts: 1,
            history: vec![attempt],
            ..Delivery::new(key, FleetId::from_random_bits(1), payload, at)
        };
        let failed = delivery.failed(FailureReason::Expired, at.plus_ms(9));
        let record = encode(&failed).unwrap();
        assert_eq!(decode(record.as_bytes()).unwrap(), failed);
        assert!(record.contains(r#""event":{"id":"x""#), "the event is not escaped: {record}");
        let other = record.replace(RECORD_TYPE, "other");
        assert!(matches!(decode(other.as_bytes()), Err(InvalidRecord::OtherType)));
        assert!(decode(b"{").is_err());
    }
}
