//! Records of alerts on the telemetry stream.
//!
//! The alert evaluator puts its alerts on the stream, so that they reach the archive and the event log like all events. Every sender
//! that may put records on the stream could write such a record, so it is authentic only with a MAC by a key of the stack.
//!
//! A record is `{"alertMac":MAC,"event":EVENT}`, or this as one zstd frame. The event is the CloudEvent of the alert, and the MAC the
//! HMAC-SHA256 of the bytes of the event, in base64.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_domain::event::{Body, Event, StoredEvent};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::secret::{KeyPurpose, Secret, StackSecrets};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// The start of every record of an alert. No CloudEvent starts with it, because it is no name of an attribute.
const START: &str = r#"{"alertMac":"#;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertRecord<'a> {
    #[serde(rename = "alertMac", borrow)]
    mac: Cow<'a, str>,
    #[serde(borrow)]
    event: &'a RawValue,
}

/// Writes the record of an alert event, authenticated by the current secret of the stack.
pub fn write(event: &Event, secrets: &StackSecrets) -> serde_json::Result<Vec<u8>> {
    let event = to_raw_value(&event.to_cloud_event())?;
    let mac = STANDARD.encode(key_mac(&secrets.current, &event));
    serde_json::to_vec(&AlertRecord { mac: Cow::Owned(mac), event: &event })
}

/// Whether the text of a record states that it is of an alert. Only [`read`] finds whether that is true.
pub fn is_alert_record(text: &str) -> bool {
    text.starts_with(START)
}

/// Reads the event of a record of an alert, as the log stores it. It is authentic by any secret of the stack that is in use: functions learn of a rotation
/// at different times.
///
/// # Errors
///
/// [`Reason::AlertNotAuthentic`] for a record that Roadcast did not write, or under a secret that is no longer in use.
pub fn read(text: &str, secrets: &StackSecrets) -> Result<StoredEvent, Refusal> {
    let Ok(AlertRecord { mac, event }) = serde_json::from_str(text) else { return Err(not_authentic(JsonPointer::ROOT)) };
    let mac = STANDARD.decode(mac.as_bytes()).unwrap_or_default();
    let has_mac = |secret: &Secret| secret.key(KeyPurpose::AlertRecords).verifies(event.get().as_bytes(), &mac);
    if !secrets.all().any(has_mac) {
        return Err(not_authentic(JsonPointer::from(["alertMac"])));
    }
    let not_an_alert = || not_authentic(JsonPointer::from(["event"]));
    let (event, _) = Event::from_cloud_event(event.get()).map_err(|_| not_an_alert())?;
    let Body::Alert(alert) = &event.body else { return Err(not_an_alert()) };
    let origin = alert.origin();
    Ok(StoredEvent { event, origin })
}

fn key_mac(secret: &Secret, event: &RawValue) -> [u8; 32] {
    secret.key(KeyPurpose::AlertRecords).mac(event.get().as_bytes())
}

fn not_authentic(pointer: JsonPointer) -> Refusal {
    Refusal::new(Reason::AlertNotAuthentic, pointer, Reason::AlertNotAuthentic.explanation())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use roadcast_testbed::fixtures::{alert_event, diagnostic_event};

    use super::*;

    fn secret(number: u8) -> Secret {
        Secret::new([number; Secret::MIN_LEN]).unwrap()
    }

    fn written(event: &Event, secrets: &StackSecrets) -> String {
        String::from_utf8(write(event, secrets).unwrap()).unwrap()
    }

    fn reason(text: &str, secrets: &StackSecrets) -> Option<Reason> {
        read(text, secrets).err().map(|refusal| refusal.reason)
    }

    #[test]
    fn alert_is_read_as_it_was_written() {
        let secrets = StackSecrets::single(secret(1));
        let stored = alert_event(1, 41);
        let text = written(&stored.event, &secrets);
        assert!(is_alert_record(&text), "{text}");
        assert_eq!(read(&text, &secrets).unwrap(), stored);
    }

    #[test]
    fn record_is_authentic_under_every_secret_in_use() {
        let stored = alert_event(1, 41);
        let text = written(&stored.event, &StackSecrets::single(secret(1)));
        let rotated = |current, previous, pending| StackSecrets {
            current: secret(current),
            previous: Some(secret(previous)),
            pending: Some(secret(pending)),
        };
        for secrets in [rotated(1, 2, 3), rotated(2, 1, 3), rotated(2, 3, 1)] {
            assert_eq!(read(&text, &secrets).unwrap(), stored);
        }
        assert_eq!(reason(&text, &rotated(2, 3, 4)), Some(Reason::AlertNotAuthentic));
    }

    #[test]
    fn record_that_is_no_alert_is_not_authentic() {
        let secrets = StackSecrets::single(secret(1));
        let diagnostic = written(&diagnostic_event(1, 41).event, &secrets);
        let alert = written(&alert_event(1, 41).event, &secrets);
        let with_member = alert.replacen('{', r#"{"note":1,"#, 1);
        for text in ["", "{}", r#"{"alertMac":"#, r#"{"alertMac":"","event":{}}"#, &diagnostic, &with_member] {
            assert_eq!(reason(text, &secrets), Some(Reason::AlertNotAuthentic), "{text}");
        }
        assert!(!is_alert_record(r#"{"specversion":"1.0"}"#));
    }

    proptest! {
        #[test]
        fn changed_record_is_not_authentic_or_the_same(position: prop::sample::Index, byte in 0x20_u8..0x7F) {
            let secrets = StackSecrets::single(secret(1));
            let stored = alert_event(1, 41);
            let mut bytes = write(&stored.event, &secrets).unwrap();
            let position = position.index(bytes.len());
            bytes[position] = byte;
            if let Ok(read) = read(std::str::from_utf8(&bytes).unwrap(), &secrets) {
                prop_assert_eq!(read, stored);
            }
        }
    }
}
