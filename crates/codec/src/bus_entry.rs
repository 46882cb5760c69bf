//! Events on buses, in queues and in feeds: one CloudEvent in JSON per event, or one CloudEvent for several telemetry events
//! of a vehicle, with a block as its data.
//!
//! EventBridge parses the JSON of an entry, and refuses the entire entry for an integer beyond 64 bits. So the data of custom
//! events, which senders write, is base64 on buses and in queues. All other numbers are written by Roadcast, as doubles.

mod probe;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_blocks::Block;
use roadcast_domain::Timestamp;
use roadcast_domain::cloudevent::SPEC_VERSION;
use roadcast_domain::event::{Body, Custom, CustomType, Event, InvalidStoredEvent, SOURCE};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::subscription::DeliveryFormat;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::BLOCK_CONTENT_TYPE;
use crate::telemetry_block::{encode_block, events_of_block, segment_key};

pub use probe::{PROBE_TYPE, Probe};

/// The `source` of entries of the ingest bus.
pub const INGEST_SOURCE: &str = "roadcast.ingest";
/// The `source` of entries of the delivery buses.
pub const DELIVERY_SOURCE: &str = "roadcast.delivery";
/// The `type` of a CloudEvent whose data is a block of telemetry events.
pub const BLOCK_TYPE: &str = "roadcast.telemetry.block.v1";
/// `datacontenttype` of the data of a custom event.
const JSON_CONTENT_TYPE: &str = "application/json";
/// Maximum samples and bytes of the block of one CloudEvent, unless it has a single event. With these limits, several blocks
/// in base64 fit into an entry of 64 KiB.
const MAX_SAMPLES_PER_BLOCK: usize = 600;
const MAX_BLOCK_BYTES: usize = 24 * 1024;
/// Maximum bytes of an event in JSON on a bus, in a queue or in a feed. Larger telemetry is encoded as a block, regardless
/// of the requested format: a stationary vehicle needs some hundred bytes in a block for what takes megabytes in JSON.
pub const MAX_JSON_BYTES: usize = 900_000;

/// The text is not a CloudEvent written by [`encode`].
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not an event of Roadcast.
    #[error(transparent)]
    Event(#[from] InvalidStoredEvent),
    /// `data_base64` is not base64.
    #[error("data_base64 is not base64")]
    Base64(#[from] base64::DecodeError),
    /// The data is not a block.
    #[error("the data is not a block")]
    Block(#[from] roadcast_blocks::DecodeError),
}

impl From<serde_json::Error> for DecodeError {
    fn from(error: serde_json::Error) -> Self {
        Self::Event(error.into())
    }
}

/// A CloudEvent in JSON, and which of the input events it contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedEntry {
    /// The CloudEvent.
    pub json: String,
    /// The indices of its events in the input of [`encode`].
    pub indices: Vec<usize>,
}

/// The events of one CloudEvent.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedEntry {
    /// The events, all of one vehicle.
    pub events: Vec<Event>,
    /// The consent epoch under which they were delivered.
    pub consent_epoch: Option<u64>,
    /// The format of the CloudEvent.
    pub format: DeliveryFormat,
}

/// A telemetry block as a CloudEvent.
#[derive(Serialize, Deserialize)]
struct BlockCloudEvent<'a> {
    specversion: &'a str,
    /// The first event's id, `#` and a digest of all event ids: the same events have the same id.
    id: String,
    source: &'a str,
    r#type: &'a str,
    subject: VehicleId,
    /// The time of the first event.
    time: Timestamp,
    datacontenttype: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consentepoch: Option<u64>,
    data_base64: String,
}

/// An event of a custom type as a CloudEvent whose data no bus parses.
#[derive(Serialize, Deserialize)]
struct CustomCloudEvent<'a> {
    specversion: &'a str,
    id: Eid,
    source: &'a str,
    r#type: CustomType,
    subject: VehicleId,
    time: Timestamp,
    datacontenttype: &'a str,
    receivedtime: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consentepoch: Option<u64>,
    data_base64: String,
}

/// Encodes events of one vehicle for a bus. In the format `blocks`, telemetry events share CloudEvents; every other event has
/// its own.
pub fn encode(
    events: &[&Event],
    format: DeliveryFormat,
    consent_epoch: Option<u64>,
) -> serde_json::Result<Vec<EncodedEntry>> {
    encode_with(events, format, consent_epoch, custom_on_bus)
}

/// Encodes events of one vehicle for a response to a fleet: like [`encode`], but the data of custom events is plain JSON, in
/// the bytes of the sender.
pub fn encode_for_fleet(
    events: &[&Event],
    format: DeliveryFormat,
    consent_epoch: Option<u64>,
) -> serde_json::Result<Vec<EncodedEntry>> {
    encode_with(events, format, consent_epoch, |event, _, consent_epoch| plain_json(event, consent_epoch))
}

/// Encodes one event for a webhook: always as plain JSON, whatever its size.
pub fn cloud_event(event: &Event, consent_epoch: u64) -> serde_json::Result<String> {
    plain_json(event, Some(consent_epoch))
}

fn encode_with(
    events: &[&Event],
    format: DeliveryFormat,
    consent_epoch: Option<u64>,
    custom_json: impl Fn(&Event, &Custom, Option<u64>) -> serde_json::Result<String>,
) -> serde_json::Result<Vec<EncodedEntry>> {
    let mut encoded = Vec::new();
    let mut run: Vec<(usize, &Event)> = Vec::new();
    let mut samples = 0;
    for (index, event) in events.iter().enumerate() {
        match (format, &event.body) {
            (DeliveryFormat::Blocks, Body::Telemetry(_)) => {
                if samples + event.sample_count() > MAX_SAMPLES_PER_BLOCK && !run.is_empty() {
                    encoded.extend(encode_run(&std::mem::take(&mut run), consent_epoch)?);
                    samples = 0;
                }
                samples += event.sample_count();
                run.push((index, event));
            }
            (DeliveryFormat::Json, Body::Telemetry(_)) => {
                let entry = encode_json(index, event, consent_epoch)?;
                if entry.json.len() > MAX_JSON_BYTES {
                    encoded.extend(encode_run(&[(index, event)], consent_epoch)?);
                } else {
                    encoded.push(entry);
                }
            }
            (_, Body::Diagnostic(_) | Body::Alert(_)) => encoded.push(encode_json(index, event, consent_epoch)?),
            (_, Body::Custom(custom)) => {
                encoded.push(EncodedEntry { json: custom_json(event, custom, consent_epoch)?, indices: vec![index] });
            }
        }
    }
    encoded.extend(encode_run(&run, consent_epoch)?);
    Ok(encoded)
}

/// Encodes consecutive events as one block, as several blocks if one would exceed [`MAX_BLOCK_BYTES`], or as JSON if no
/// block can hold them.
fn encode_run(run: &[(usize, &Event)], consent_epoch: Option<u64>) -> serde_json::Result<Vec<EncodedEntry>> {
    let events = || run.iter().map(|(_, event)| *event);
    let (Some((_, first)), Some(id), Some(block)) =
        (run.first(), segment_key(events().map(|event| event.eid)), encode_block(events()))
    else {
        return run.iter().map(|(index, event)| encode_json(*index, event, consent_epoch)).collect();
    };
    let block = block.encode();
    if block.len() > MAX_BLOCK_BYTES && run.len() > 1 {
        let (earlier, later) = run.split_at(run.len() / 2);
        let mut encoded = encode_run(earlier, consent_epoch)?;
        encoded.extend(encode_run(later, consent_epoch)?);
        return Ok(encoded);
    }
    let json = serde_json::to_string(&BlockCloudEvent {
        specversion: SPEC_VERSION,
        id,
        source: SOURCE,
        r#type: BLOCK_TYPE,
        subject: first.vid.clone(),
        time: events().map(Event::time).min().unwrap_or_else(|| first.time()),
        datacontenttype: BLOCK_CONTENT_TYPE,
        consentepoch: consent_epoch,
        data_base64: STANDARD.encode(block),
    })?;
    Ok(vec![EncodedEntry { json, indices: run.iter().map(|(index, _)| *index).collect() }])
}

fn encode_json(index: usize, event: &Event, consent_epoch: Option<u64>) -> serde_json::Result<EncodedEntry> {
    Ok(EncodedEntry { json: plain_json(event, consent_epoch)?, indices: vec![index] })
}

fn plain_json(event: &Event, consent_epoch: Option<u64>) -> serde_json::Result<String> {
    let event = event.to_cloud_event();
    let event = if let Some(epoch) = consent_epoch { event.with_consent_epoch(epoch) } else { event };
    serde_json::to_string(&event)
}

fn custom_on_bus(event: &Event, custom: &Custom, consent_epoch: Option<u64>) -> serde_json::Result<String> {
    serde_json::to_string(&CustomCloudEvent {
        specversion: SPEC_VERSION,
        id: event.eid,
        source: SOURCE,
        r#type: custom.event_type.clone(),
        subject: event.vid.clone(),
        time: event.eid.time(),
        datacontenttype: JSON_CONTENT_TYPE,
        receivedtime: event.received,
        consentepoch: consent_epoch,
        data_base64: STANDARD.encode(custom.data.get()),
    })
}

/// Decodes a CloudEvent written by [`encode`] or [`encode_for_fleet`].
pub fn decode(json: &str) -> Result<DecodedEntry, DecodeError> {
    #[derive(Deserialize)]
    struct Form<'a> {
        r#type: &'a str,
        data_base64: Option<IgnoredAny>,
    }
    let form: Option<Form<'_>> = serde_json::from_str(json).ok();
    let one_event =
        |(event, consent_epoch)| DecodedEntry { events: vec![event], consent_epoch, format: DeliveryFormat::Json };
    match form {
        Some(form) if form.r#type == BLOCK_TYPE => {}
        Some(Form { data_base64: Some(_), .. }) => return decode_custom(json).map(one_event),
        _ => return Ok(one_event(Event::from_cloud_event(json)?)),
    }
    let BlockCloudEvent { subject, consentepoch, data_base64, .. } = serde_json::from_str(json)?;
    let block = Block::decode(&STANDARD.decode(data_base64)?)?;
    let events = events_of_block(&subject, block);
    Ok(DecodedEntry { events, consent_epoch: consentepoch, format: DeliveryFormat::Blocks })
}

/// Decodes what [`custom_on_bus`] writes: the event and its consent epoch.
fn decode_custom(json: &str) -> Result<(Event, Option<u64>), DecodeError> {
    let written: CustomCloudEvent<'_> = serde_json::from_str(json)?;
    let data: Box<RawValue> = serde_json::from_slice(&STANDARD.decode(written.data_base64)?)?;
    let body = Body::Custom(Custom { event_type: written.r#type, data });
    let event = Event { eid: written.id, vid: written.subject, received: written.receivedtime, body };
    Ok((event, written.consentepoch))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::event::StoredEvent;
    use roadcast_signals::{SignalPath, Value};
    use roadcast_testbed::fixtures::{alert_event, diagnostic_event, driving_event};

    use super::*;

    #[test]
    fn events_round_trip_in_both_formats() {
        let mut events: Vec<StoredEvent> = (0..9).map(|n| driving_event(1, n, n * 10, 10)).collect();
        events.insert(4, diagnostic_event(1, 41));
        events.push(alert_event(1, 95));
        let events: Vec<Event> = events.into_iter().map(|stored| stored.event).collect();
        for format in [DeliveryFormat::Json, DeliveryFormat::Blocks] {
            let encoded = encode(&events.iter().collect::<Vec<_>>(), format, Some(3)).unwrap();
            let mut decoded_events = vec![None; events.len()];
            for entry in &encoded {
                let decoded = decode(&entry.json).unwrap();
                assert_eq!(decoded.consent_epoch, Some(3));
                for (event, index) in decoded.events.into_iter().zip(&entry.indices) {
                    decoded_events[*index] = Some(event);
                }
            }
            assert_eq!(decoded_events.into_iter().flatten().collect::<Vec<_>>(), events, "{format:?}");
            // The diagnostic event and the alert have their own CloudEvents; the nine telemetry events share one, or have one each.
            assert_eq!(encoded.len(), if format == DeliveryFormat::Blocks { 3 } else { 11 });
        }
    }

    #[test]
    fn time_of_a_block_is_that_of_its_earliest_sample() {
        let mut events: Vec<Event> = (0..3).map(|n| driving_event(1, n, n * 10, 10).event).collect();
        let Body::Telemetry(first) = &mut events[0].body else { panic!("telemetry") };
        // The first samples are not visible.
        first.samples = first.samples.to_rows().split_off(4).into();
        let expected = first.samples.times()[0];
        let entry = encode(&events.iter().collect::<Vec<_>>(), DeliveryFormat::Blocks, Some(1)).unwrap().remove(0);
        let written: serde_json::Value = serde_json::from_str(&entry.json).unwrap();
        assert_eq!(written["time"], serde_json::to_value(expected).unwrap());
    }

    #[test]
    fn blocks_take_less_than_a_ninth_of_the_json() {
        let events: Vec<Event> = (0..6).map(|n| driving_event(1, n, n * 10, 10).event).collect();
        let bytes = |format| -> usize {
            let encoded = encode(&events.iter().collect::<Vec<_>>(), format, None).unwrap();
            encoded.iter().map(|entry| entry.json.len()).sum()
        };
        let (json, blocks) = (bytes(DeliveryFormat::Json), bytes(DeliveryFormat::Blocks));
        assert!(json > 9 * blocks, "{json} and {blocks} bytes");
    }

    #[test]
    fn block_of_several_events_fits_into_an_entry() {
        let mut events: Vec<Event> = (0..20).map(|n| driving_event(1, n, n * 10, 10).event).collect();
        let note = SignalPath::parse("acme.note").unwrap();
        for (n, event) in events.iter_mut().enumerate() {
            let Body::Telemetry(telemetry) = &mut event.body else { continue };
            let mut samples = telemetry.samples.to_rows();
            for (m, sample) in samples.iter_mut().enumerate() {
                sample.signals.insert(note.clone(), Value::from(format!("{n} {m} {}", "x".repeat(900)).as_str()));
            }
            telemetry.samples = samples.into();
        }
        let encoded = encode(&events.iter().collect::<Vec<_>>(), DeliveryFormat::Blocks, None).unwrap();
        assert!(encoded.iter().all(|entry| entry.json.len() < 48 * 1024));
        assert_eq!(encoded.iter().map(|entry| entry.indices.len()).sum::<usize>(), 20);
    }

    #[test]
    fn custom_data_is_base64_on_buses_and_plain_for_fleets() {
        let data = r#"{ "serial": 9223372036854775808, "ratio": 1.50e+300 }"#;
        let custom = Custom {
            event_type: "com.example.tyre.v1".parse().unwrap(),
            data: RawValue::from_string(data.to_owned()).unwrap(),
        };
        let event = Event { body: Body::Custom(custom), ..diagnostic_event(1, 41).event };
        for format in [DeliveryFormat::Json, DeliveryFormat::Blocks] {
            let on_bus = encode(&[&event], format, Some(3)).unwrap().remove(0).json;
            assert!(!on_bus.contains("9223372036854775808"), "{on_bus}");
            let for_fleet = encode_for_fleet(&[&event], format, Some(3)).unwrap().remove(0).json;
            assert!(for_fleet.contains(data), "{for_fleet}");
            for json in [on_bus, for_fleet] {
                let decoded = decode(&json).unwrap();
                assert_eq!((decoded.events, decoded.consent_epoch), (vec![event.clone()], Some(3)));
            }
        }
    }

    #[test]
    fn foreign_events_are_decode_errors() {
        let not_json = r#"{"specversion":"1.0","id":"01KPN6YQ3SF0000000000000A1","source":"urn:roadcast",
            "type":"com.example.tyre.v1","subject":"veh_0000000000000001","time":"2026-01-01T12:00:00Z",
            "datacontenttype":"application/json","receivedtime":"2026-01-01T12:00:00Z","data_base64":"e30"}"#;
        for json in ["", "{}", r#"{"type":"roadcast.telemetry.block.v1"}"#, not_json] {
            assert!(decode(json).is_err(), "{json}");
        }
    }
}
