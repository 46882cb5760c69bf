//! Events on buses, in queues and in feeds: each as a CloudEvent in JSON, or a vehicle's telemetry as one CloudEvent whose
//! data is a block.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_blocks::{Block, DecodeError};
use roadcast_domain::Timestamp;
use roadcast_domain::cloudevent::SPEC_VERSION;
use roadcast_domain::event::{Body, Event, NotOurEvent, SOURCE};
use roadcast_domain::ids::VehicleId;
use roadcast_domain::subscription::DeliveryFormat;
use serde::{Deserialize, Serialize};

use crate::BLOCK_CONTENT_TYPE;
use crate::telemetry_block::{block_of, key_of, telemetry_of};

/// The `type` of a CloudEvent that holds a vehicle's telemetry events as a block.
pub const BLOCK_TYPE: &str = "roadcast.telemetry.block.v1";
/// Samples of one such CloudEvent, and bytes of its block, unless it holds a single event: so several fit into one entry of
/// 64 KiB, as base64.
const SAMPLES_PER_BLOCK: usize = 600;
const BLOCK_BYTES: usize = 24 * 1024;
/// Bytes of an event in JSON that a bus, a queue and a feed still carry. Telemetry that would take more goes as a block, whatever
/// form is wanted: a vehicle that stands still says in some hundred bytes what takes megabytes in JSON.
const JSON_BYTES: usize = 900_000;

/// A text that is not of ours.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Not an event.
    #[error(transparent)]
    Event(#[from] NotOurEvent),
    /// Not base64.
    #[error("data_base64 is not base64")]
    Base64(#[from] base64::DecodeError),
    /// Not a block.
    #[error("the data is not a block")]
    Block(#[from] DecodeError),
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self::Event(error.into())
    }
}

/// A CloudEvent in JSON, and the events in it by their places among those that were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The CloudEvent.
    pub json: String,
    /// The places of its events.
    pub places: Vec<usize>,
}

/// Events of one CloudEvent, as they were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The events, all of one vehicle.
    pub events: Vec<Event>,
    /// The epoch of the consent that they were delivered under.
    pub consent_epoch: Option<u64>,
    /// The form that they came in.
    pub format: DeliveryFormat,
}

/// A telemetry block as a CloudEvent.
#[derive(Serialize, Deserialize)]
struct BlockEvent<'a> {
    specversion: &'a str,
    /// The first event's id, `#` and a digest of all: the same events make the same.
    id: String,
    source: &'a str,
    r#type: &'a str,
    subject: VehicleId,
    /// When the first event happened.
    time: Timestamp,
    datacontenttype: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consentepoch: Option<u64>,
    data_base64: String,
}

/// Writes events of one vehicle: in blocks, telemetry shares CloudEvents; everything else has one each.
pub fn write(events: &[&Event], format: DeliveryFormat, consent_epoch: Option<u64>) -> serde_json::Result<Vec<Written>> {
    let mut written = Vec::new();
    let mut run: Vec<(usize, &Event)> = Vec::new();
    let mut samples = 0;
    for (place, event) in events.iter().enumerate() {
        match (format, &event.body) {
            (DeliveryFormat::Blocks, Body::Telemetry(_)) => {
                if samples + event.sample_count() > SAMPLES_PER_BLOCK && !run.is_empty() {
                    written.extend(write_run(&std::mem::take(&mut run), consent_epoch)?);
                    samples = 0;
                }
                samples += event.sample_count();
                run.push((place, event));
            }
            (DeliveryFormat::Json, Body::Telemetry(_)) => {
                let one = write_one(place, event, consent_epoch)?;
                if one.json.len() > JSON_BYTES {
                    written.extend(write_run(&[(place, event)], consent_epoch)?);
                } else {
                    written.push(one);
                }
            }
            (_, Body::Diagnostic(_) | Body::Custom(_)) => written.push(write_one(place, event, consent_epoch)?),
        }
    }
    written.extend(write_run(&run, consent_epoch)?);
    Ok(written)
}

/// A run as a block, or one by one where no block can hold it.
fn write_run(run: &[(usize, &Event)], consent_epoch: Option<u64>) -> serde_json::Result<Vec<Written>> {
    let events = || run.iter().map(|(_, event)| *event);
    let (Some((_, first)), Some(id), Some(block)) =
        (run.first(), key_of(events().map(|event| event.eid)), block_of(events()))
    else {
        return run.iter().map(|(place, event)| write_one(*place, event, consent_epoch)).collect();
    };
    let block = block.encode();
    if block.len() > BLOCK_BYTES && run.len() > 1 {
        let (earlier, later) = run.split_at(run.len() / 2);
        let mut written = write_run(earlier, consent_epoch)?;
        written.extend(write_run(later, consent_epoch)?);
        return Ok(written);
    }
    let json = serde_json::to_string(&BlockEvent {
        specversion: SPEC_VERSION,
        id,
        source: SOURCE,
        r#type: BLOCK_TYPE,
        subject: first.vid.clone(),
        time: first.eid.time(),
        datacontenttype: BLOCK_CONTENT_TYPE,
        consentepoch: consent_epoch,
        data_base64: STANDARD.encode(block),
    })?;
    Ok(vec![Written { json, places: run.iter().map(|(place, _)| *place).collect() }])
}

fn write_one(place: usize, event: &Event, consent_epoch: Option<u64>) -> serde_json::Result<Written> {
    let event = event.to_cloud_event();
    let event = if let Some(epoch) = consent_epoch { event.under_consent(epoch) } else { event };
    Ok(Written { json: serde_json::to_string(&event)?, places: vec![place] })
}

/// Reads what [`write`] wrote.
pub fn read(json: &str) -> Result<Read, Unreadable> {
    #[derive(Deserialize)]
    struct Typed<'a> {
        r#type: &'a str,
    }
    let is_block = serde_json::from_str::<Typed<'_>>(json).is_ok_and(|event| event.r#type == BLOCK_TYPE);
    if !is_block {
        let (event, consent_epoch) = Event::from_cloud_event(json)?;
        return Ok(Read { events: vec![event], consent_epoch, format: DeliveryFormat::Json });
    }
    let BlockEvent { subject, consentepoch, data_base64, .. } = serde_json::from_str(json)?;
    let block = Block::decode(&STANDARD.decode(data_base64)?)?;
    let events = telemetry_of(&subject, &block);
    Ok(Read { events, consent_epoch: consentepoch, format: DeliveryFormat::Blocks })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::event::StoredEvent;
    use roadcast_signals::{SignalPath, Value};
    use roadcast_testbed::fixtures::{diagnosis, drive};

    use super::*;

    #[test]
    fn events_come_back_from_the_wire_in_both_forms() {
        let mut events: Vec<StoredEvent> = (0..9).map(|n| drive(1, n, n * 10, 10)).collect();
        events.insert(4, diagnosis(1, 41));
        let events: Vec<Event> = events.into_iter().map(|stored| stored.event).collect();
        for format in [DeliveryFormat::Json, DeliveryFormat::Blocks] {
            let written = write(&events.iter().collect::<Vec<_>>(), format, Some(3)).unwrap();
            let mut back = vec![None; events.len()];
            for cloud_event in &written {
                let read = read(&cloud_event.json).unwrap();
                assert_eq!(read.consent_epoch, Some(3));
                for (event, place) in read.events.into_iter().zip(&cloud_event.places) {
                    back[*place] = Some(event);
                }
            }
            assert_eq!(back.into_iter().flatten().collect::<Vec<_>>(), events, "{format:?}");
            // The diagnosis is a CloudEvent of its own; the nine telemetry events share one, or have one each.
            assert_eq!(written.len(), if format == DeliveryFormat::Blocks { 2 } else { 10 });
        }
    }

    #[test]
    fn telemetry_in_blocks_takes_a_fraction_of_its_json() {
        let events: Vec<Event> = (0..6).map(|n| drive(1, n, n * 10, 10).event).collect();
        let bytes = |format| -> usize {
            let written = write(&events.iter().collect::<Vec<_>>(), format, None).unwrap();
            written.iter().map(|cloud_event| cloud_event.json.len()).sum()
        };
        let (json, blocks) = (bytes(DeliveryFormat::Json), bytes(DeliveryFormat::Blocks));
        assert!(json > 9 * blocks, "{json} and {blocks} bytes");
    }

    #[test]
    fn no_block_of_several_events_outgrows_an_entry() {
        let mut events: Vec<Event> = (0..20).map(|n| drive(1, n, n * 10, 10).event).collect();
        let note = SignalPath::parse("acme.note").unwrap();
        for (n, event) in events.iter_mut().enumerate() {
            let Body::Telemetry(telemetry) = &mut event.body else { continue };
            for (m, sample) in telemetry.samples.iter_mut().enumerate() {
                sample.signals.insert(note.clone(), Value::from(format!("{n} {m} {}", "x".repeat(900)).as_str()));
            }
        }
        let written = write(&events.iter().collect::<Vec<_>>(), DeliveryFormat::Blocks, None).unwrap();
        assert!(written.iter().all(|cloud_event| cloud_event.json.len() < 48 * 1024));
        assert_eq!(written.iter().map(|cloud_event| cloud_event.places.len()).sum::<usize>(), 20);
    }

    #[test]
    fn what_is_no_event_of_ours_is_an_error() {
        for json in ["", "{}", r#"{"type":"roadcast.telemetry.block.v1"}"#] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
