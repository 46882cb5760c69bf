//! Messages of devices that the device rule could not put onto the stream.

use roadcast_domain::dead_letter::{Hop, Pointers};
use serde::Deserialize;

use super::text::{code, detail, pointer};
use super::{Failure, QueueMessage};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorAction {
    rule_name: String,
    #[serde(default)]
    failures: Vec<ActionFailure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActionFailure {
    #[serde(default)]
    failed_action: String,
    #[serde(default)]
    failed_resource: String,
    #[serde(default)]
    error_message: String,
}

/// Returns the failure of a device rule; `None` if `body` is not the message of an error action. The topic stays in the
/// bytes: a device chooses it.
pub(super) fn parse(message: &QueueMessage, body: &[u8]) -> Option<Failure> {
    let ErrorAction { rule_name, failures } = serde_json::from_slice(body).ok()?;
    let failure = Failure::unknown(message, "action_failed");
    let first = failures.first();
    Some(Failure {
        hop: Hop::DeviceRule,
        reason: first.and_then(|first| code(&first.failed_action)).unwrap_or(failure.reason),
        detail: first.and_then(|first| detail(&first.error_message)),
        pointers: Pointers {
            source: Some(pointer(&rule_name)),
            target: first.map(|first| pointer(&first.failed_resource)),
            ..failure.pointers
        },
        bytes: body.to_vec(),
        ..failure
    })
}
