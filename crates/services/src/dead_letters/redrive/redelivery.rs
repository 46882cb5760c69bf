//! What is sent for a letter, from its bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_ports::stream::StreamRecord;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Why a letter is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsendable {
    /// The reason, as a code.
    pub(super) reason: &'static str,
    /// What is wrong and what to do.
    pub(super) detail: String,
}

impl Unsendable {
    pub(super) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// The bytes of the letter are not what its hop writes.
    pub(super) fn unreadable(expected: &str) -> Self {
        Self::new(
            "unreadable",
            format!("its bytes are not {expected}; look at them and send the data again from its source"),
        )
    }
}

/// An entry of the delivery bus, as EventBridge sends it to a target.
#[derive(Deserialize)]
struct DeliveryEntry<'a> {
    #[serde(borrow)]
    detail: DeliveryDetail<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryDetail<'a> {
    fleet_id: FleetId,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

/// Returns the fleet and the events of an entry that could not be delivered.
pub(super) fn delivery(bytes: &[u8]) -> Result<(FleetId, Vec<String>), Unsendable> {
    let entry: DeliveryEntry<'_> =
        serde_json::from_slice(bytes).map_err(|_| Unsendable::unreadable("an entry of the delivery bus"))?;
    let events = entry.detail.events.into_iter().map(|event| event.get().to_owned()).collect();
    Ok((entry.detail.fleet_id, events))
}

/// Returns the message for the queue of enrichment.
pub(super) fn enrichment(bytes: Vec<u8>) -> Result<String, Unsendable> {
    String::from_utf8(bytes).map_err(|_| Unsendable::unreadable("UTF-8"))
}

/// Returns the message for the queue of notices.
pub(super) fn notice(bytes: Vec<u8>) -> Result<String, Unsendable> {
    String::from_utf8(bytes).map_err(|_| Unsendable::unreadable("UTF-8"))
}

/// The message of an error action of an `IoT` rule.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FailedMessage {
    topic: String,
    base64_original_payload: String,
}

/// Returns the record of a message that the device rule could not put onto the stream. The last level of the topic is the
/// vehicle, which is the partition key, as in the rule.
pub(super) fn device_message(bytes: &[u8]) -> Result<StreamRecord, Unsendable> {
    let unreadable = || Unsendable::unreadable("the failure of a device rule with a topic that ends in a vid");
    let message: FailedMessage = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
    let vid: VehicleId = message.topic.rsplit('/').next().and_then(|level| level.parse().ok()).ok_or_else(unreadable)?;
    let data = STANDARD.decode(&message.base64_original_payload).map_err(|_| unreadable())?;
    Ok(StreamRecord { vid, data })
}

/// The record of an asynchronous invocation that failed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FailedInvocation<'a> {
    #[serde(borrow)]
    request_payload: &'a RawValue,
}

/// Returns the notification of a bulk file whose import failed.
pub(super) fn notification(bytes: &[u8]) -> Result<String, Unsendable> {
    let invocation: FailedInvocation<'_> =
        serde_json::from_slice(bytes).map_err(|_| Unsendable::unreadable("the record of a failed invocation"))?;
    Ok(invocation.request_payload.get().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn letters_are_read_as_aws_writes_them() {
        let fleet_id = FleetId::from_random_bits(1);
        let entry = json!({"id": "1", "detail": {"fleetId": fleet_id, "events": [{"id": "a"}, {"id": "b"}]}}).to_string();
        let events = vec![r#"{"id":"a"}"#.to_owned(), r#"{"id":"b"}"#.to_owned()];
        assert_eq!(delivery(entry.as_bytes()).unwrap(), (fleet_id, events));

        let vid = VehicleId::from_random_bits(2);
        let failed = json!({"ruleName": "r", "topic": format!("$aws/rules/r/{vid}"), "base64OriginalPayload": "AAE="});
        let record = device_message(failed.to_string().as_bytes()).unwrap();
        assert_eq!(record, StreamRecord { vid, data: vec![0, 1] });

        let invocation = r#"{"requestContext":{},"requestPayload":{"Records":[]}}"#;
        assert_eq!(notification(invocation.as_bytes()).unwrap(), r#"{"Records":[]}"#);
    }

    #[test]
    fn bytes_of_another_format_are_unreadable() {
        for bytes in ["", "{}", "[]", "\u{0}", r#"{"topic":"x","base64OriginalPayload":"AA=="}"#, r#"{"detail":{}}"#] {
            let bytes = bytes.as_bytes();
            assert_eq!(delivery(bytes).unwrap_err().reason, "unreadable");
            assert_eq!(device_message(bytes).unwrap_err().reason, "unreadable");
            assert_eq!(notification(bytes).unwrap_err().reason, "unreadable");
        }
        assert_eq!(enrichment(vec![0xFF]).unwrap_err().reason, "unreadable");
    }
}
