//! Probes: events without data that provisioning sends through the whole path to the feed of one fleet, to prove that the
//! fleet's rule and queue work. No fleet receives a probe.
//!
//! Only provisioning writes probes, directly to the ingest bus. Uploads and records of the stream cannot contain one: names
//! of types that begin with `roadcast.` are reserved, and the stream processor encodes events of vehicles only.

use roadcast_domain::Timestamp;
use roadcast_domain::cloudevent::SPEC_VERSION;
use roadcast_domain::event::SOURCE;
use roadcast_domain::ids::FleetId;
use serde::{Deserialize, Serialize};

/// The `type` of a probe.
pub const PROBE_TYPE: &str = "roadcast.probe.v1";
/// Maximum bytes of a probe, and of a message with one probe. A longer text is not parsed to find out.
const MAX_BYTES: usize = 512;
/// The age from which on a probe is of no use, in milliseconds: the round that waits for it has ended.
const USEFUL_MS: i64 = 40_000;

/// A numbered event of a round of probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The fleet whose feed receives the probe.
    pub fleet_id: FleetId,
    /// The random number of the round.
    pub round: u128,
    /// The number of the probe in its round, from 1.
    pub number: u32,
    /// When the round began.
    pub time: Timestamp,
}

/// A probe as a CloudEvent.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProbeCloudEvent<'a> {
    specversion: &'a str,
    /// The round in hexadecimal digits, a hyphen and the number.
    id: &'a str,
    source: &'a str,
    r#type: &'a str,
    subject: FleetId,
    time: Timestamp,
}

impl Probe {
    /// Encodes the probe as a CloudEvent in JSON.
    pub fn encode(&self) -> serde_json::Result<String> {
        serde_json::to_string(&ProbeCloudEvent {
            specversion: SPEC_VERSION,
            id: &format!("{:032x}-{}", self.round, self.number),
            source: SOURCE,
            r#type: PROBE_TYPE,
            subject: self.fleet_id.clone(),
            time: self.time,
        })
    }

    /// Decodes a CloudEvent written by [`encode`](Self::encode). Returns `None` for any other event.
    pub fn decode(json: &str) -> Option<Self> {
        if json.len() > MAX_BYTES || !json.contains(PROBE_TYPE) {
            return None;
        }
        let written: ProbeCloudEvent<'_> = serde_json::from_str(json).ok()?;
        if written.r#type != PROBE_TYPE || written.source != SOURCE {
            return None;
        }
        let (round, number) = written.id.split_once('-')?;
        Some(Self {
            fleet_id: written.subject,
            round: u128::from_str_radix(round, 16).ok()?,
            number: number.parse().ok()?,
            time: written.time,
        })
    }

    /// Decodes a message of a feed queue that contains one probe. Returns `None` for any other message.
    pub fn decode_message(body: &str) -> Option<Self> {
        let event = body.trim().strip_prefix('[')?.strip_suffix(']')?;
        Self::decode(event)
    }

    /// Whether the round of the probe has ended, so that the probe can be deleted.
    pub fn is_stray(&self, now: Timestamp) -> bool {
        now.ms_since(self.time) > USEFUL_MS
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn probe() -> Probe {
        let (fleet_id, time) = (FleetId::from_random_bits(7), Timestamp::from_ms(1_800_000_000_000));
        Probe { fleet_id, round: u128::MAX, number: u32::MAX, time }
    }

    #[test]
    fn probe_round_trips_alone_and_as_a_message() {
        let json = probe().encode().unwrap();
        assert!(json.len() < MAX_BYTES - 2, "{} bytes", json.len());
        assert_eq!(Probe::decode(&json), Some(probe()));
        assert_eq!(Probe::decode_message(&format!("[{json}]")), Some(probe()));
        // EventBridge may write the members in another order.
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(Probe::decode_message(&format!(" [{value:#}]\n")), Some(probe()));
    }

    #[test]
    fn other_events_are_no_probes() {
        let json = probe().encode().unwrap();
        let with_data = json.replace("{\"specversion", "{\"data\":{},\"specversion");
        let foreign = json.replace(SOURCE, "urn:example");
        let telemetry = json.replace(PROBE_TYPE, "roadcast.telemetry.v1");
        for text in ["", "{}", "[]", PROBE_TYPE, &with_data, &foreign, &telemetry, &format!("[{json}]")] {
            assert_eq!(Probe::decode(text), None, "{text}");
        }
        for body in ["", "[]", "{}", &json, &format!("[{json},{json}]"), &format!("[{telemetry}]")] {
            assert_eq!(Probe::decode_message(body), None, "{body}");
        }
    }

    #[test]
    fn probe_is_stray_after_its_round() {
        let probe = probe();
        assert!(!probe.is_stray(probe.time) && !probe.is_stray(probe.time.plus_ms(USEFUL_MS)));
        assert!(probe.is_stray(probe.time.plus_ms(USEFUL_MS + 1)));
    }
}
