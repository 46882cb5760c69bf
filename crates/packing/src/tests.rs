#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use roadcast_domain::Timestamp;
use roadcast_domain::diagnostic::Diagnostic;
use roadcast_domain::event::{Body, Event, Origin, StoredEvent, Telemetry};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::state::VehicleState;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_signals::{Sample, SignalPath, Signals, Value};

use crate::segment::{SPAN_MS, Segment, WRITE_UNIT_BYTES, bucket_of, plan};
use crate::{state, wire};

const NOON: i64 = 1_793_016_000_000;

fn at(s: i64) -> Timestamp {
    Timestamp::from_ms(NOON + s * 1000)
}

/// A number between -1 and 1 that looks like chance.
fn noise(t: f64, salt: f64) -> f64 {
    (t * 12.9898 + salt * 78.233).sin() * 43_758.545 % 1.0
}

/// An event of samples a second apart. Its readings are noisy, as real ones are.
fn drive(vid: u128, n: i64, start_s: i64, samples: i64) -> StoredEvent {
    let vid = VehicleId::from_random(vid);
    let sample = |s: i64| {
        #[allow(clippy::cast_precision_loss)]
        let t = (start_s + s) as f64;
        let number = |path: &str, value: f64, decimals: f64| {
            (SignalPath::parse(path).unwrap(), Value::Number((value * decimals).round() / decimals))
        };
        let signals: Signals = [
            number("Vehicle.Speed", 50.0 + 8.0 * (t / 7.0).sin(), 10.0),
            number("Vehicle.CurrentLocation.Latitude", 51.5 + t * 1e-4, 1e6),
            number("Vehicle.CurrentLocation.Longitude", 7.4 - t * 7e-5, 1e6),
            number("Vehicle.OBD.EngineSpeed", 1800.0 + 300.0 * noise(t, 1.0), 1.0),
            number("Vehicle.OBD.EngineLoad", 40.0 + 30.0 * noise(t, 2.0), 10.0),
            number("Vehicle.OBD.MAF", 20.0 + 15.0 * noise(t, 3.0), 100.0),
            number("Vehicle.OBD.ThrottlePosition", 20.0 + 15.0 * noise(t, 4.0), 10.0),
            number("Vehicle.CurrentLocation.Altitude", 120.0 + 5.0 * noise(t, 5.0), 10.0),
        ]
        .into();
        Sample { at: at(start_s + s), signals }
    };
    let samples: Vec<Sample> = (0..samples).map(sample).collect();
    let origin = Origin { source: "urn:test:car".to_owned(), id: format!("trip-{n:06}"), extensions: BTreeMap::new() };
    let eid = Eid::of(&vid, &origin.source, &origin.id, samples[0].at);
    let received = samples.last().unwrap().at.plus_ms(800 + n % 300);
    StoredEvent { event: Event { eid, vid, received, body: Body::Telemetry(Telemetry { samples }) }, origin }
}

fn diagnosis(vid: u128, s: i64) -> StoredEvent {
    let mut stored = drive(vid, s, s, 1);
    stored.event.body = Body::Diagnostic(Diagnostic { at: at(s), mil: Some(true), dtcs: Vec::new() });
    stored
}

/// Checks what a plan must be, and answers its segments' sizes.
fn check_plan(events: &[StoredEvent]) -> Vec<(usize, usize)> {
    let plan = plan(events);
    let mut placed = vec![0; events.len()];
    let mut sizes = Vec::new();
    for (segment, places) in &plan.segments {
        let stored = segment.events().unwrap();
        assert!(stored.is_sorted_by_key(|stored| stored.event.eid));
        let times: Vec<Timestamp> = stored.iter().map(|stored| stored.event.eid.time()).collect();
        let (first, last) = (times[0], *times.last().unwrap());
        assert!(last.ms_since(first) <= SPAN_MS && bucket_of(first) == bucket_of(last), "no segment crosses a bucket");
        assert!(stored.len() == 1 || segment.item_bytes() <= WRITE_UNIT_BYTES, "several events fit into one write unit");
        assert!(segment.key.starts_with(&stored[0].event.eid.to_string()));
        sizes.push((stored.len(), segment.item_bytes()));
        for place in places {
            assert!(stored.iter().any(|stored| stored.event.eid == events[*place].event.eid));
            placed[*place] += 1;
        }
    }
    plan.single.iter().flat_map(|(_, places)| places).for_each(|place| placed[*place] += 1);
    assert!(placed.iter().all(|times| *times == 1), "every event is planned once");
    sizes
}

#[test]
fn a_segment_is_filled_to_a_write_unit_and_not_beyond() {
    let events: Vec<StoredEvent> = (0..12).map(|n| drive(1, n, n * 10, 10)).collect();
    let sizes = check_plan(&events);
    // Twelve uploads of one bucket: the first segments are as full as they can be.
    assert!(sizes.len() >= 2 && sizes[0].1 > WRITE_UNIT_BYTES * 3 / 4, "{sizes:?}");
    let one_more: Vec<&StoredEvent> = events[..=sizes[0].0].iter().collect();
    let larger = Segment::of(&one_more).unwrap();
    assert!(larger.item_bytes() > WRITE_UNIT_BYTES, "one event more would not have fitted");
}

#[test]
fn ten_minutes_at_a_sample_a_second_take_a_twentieth_of_the_read_units_of_an_item_a_sample() {
    let events: Vec<StoredEvent> = (0..60).map(|n| drive(1, n, n * 10, 10)).collect();
    // As the stream's batches bring them, a minute at a time.
    let minutes = events.chunks(6).map(plan);
    let bytes: usize = minutes.flat_map(|plan| plan.segments).map(|(segment, _)| segment.item_bytes()).sum();
    // A query adds up what it goes over, and counts started 4 KB.
    let (in_segments, item_a_sample) = (bytes.div_ceil(4096), (600 * 620_usize).div_ceil(4096));
    assert!(in_segments * 20 <= item_a_sample, "{in_segments} and {item_a_sample} read units");
}

#[test]
fn diagnoses_and_events_too_large_for_any_block_are_stored_one_by_one() {
    let events = [diagnosis(1, 5), drive(1, 7, 0, 10)];
    let planned = plan(&events);
    assert_eq!(planned.single.iter().map(|(stored, _)| *stored).collect::<Vec<_>>(), [&events[0]]);
    assert_eq!(planned.segments.len(), 1);
}

#[test]
fn of_an_event_given_twice_the_one_received_first_is_stored() {
    let first = drive(1, 7, 0, 10);
    let mut later = first.clone();
    later.event.received = later.event.received.plus_ms(5);
    let events = [later, first.clone()];
    let plan = plan(&events);
    let [(segment, places)] = plan.segments.as_slice() else { panic!("one segment") };
    assert_eq!(segment.events().unwrap(), [first]);
    assert_eq!(places.len(), 2);
}

#[test]
fn events_come_back_from_the_wire_in_both_forms() {
    let mut events: Vec<StoredEvent> = (0..9).map(|n| drive(1, n, n * 10, 10)).collect();
    events.insert(4, diagnosis(1, 41));
    let events: Vec<Event> = events.into_iter().map(|stored| stored.event).collect();
    for format in [DeliveryFormat::Json, DeliveryFormat::Blocks] {
        let written = wire::write(&events.iter().collect::<Vec<_>>(), format, Some(3)).unwrap();
        let mut back = vec![None; events.len()];
        for cloud_event in &written {
            let read = wire::read(&cloud_event.json).unwrap();
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
        let written = wire::write(&events.iter().collect::<Vec<_>>(), format, None).unwrap();
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
    let written = wire::write(&events.iter().collect::<Vec<_>>(), DeliveryFormat::Blocks, None).unwrap();
    assert!(written.iter().all(|cloud_event| cloud_event.json.len() < 48 * 1024));
    assert_eq!(written.iter().map(|cloud_event| cloud_event.places.len()).sum::<usize>(), 20);
}

#[test]
fn what_is_no_event_of_ours_is_an_error() {
    for json in ["", "{}", r#"{"type":"roadcast.telemetry.block.v1"}"#] {
        assert!(wire::read(json).is_err(), "{json}");
    }
}

#[test]
fn a_state_takes_little_more_than_its_newest_samples() {
    let mut newest = VehicleState::default();
    for n in 0..6 {
        newest.observe(&drive(1, n, n * 10, 10).event);
    }
    newest.move_on_to(at(59));
    let bytes = state::encode(&newest).unwrap();
    assert_eq!(state::decode(&bytes).unwrap(), newest);
    assert!(bytes.len() < 100, "{} bytes", bytes.len());
    assert_eq!(state::decode(&state::encode(&VehicleState::default()).unwrap()).unwrap(), VehicleState::default());
}

proptest! {
    #[test]
    fn any_events_are_planned_once_each_and_read_back(
        events in prop::collection::vec((0_u128..3, 0_i64..30, -400_i64..400, 1_i64..30, any::<bool>()), 0..40),
    ) {
        let events: Vec<StoredEvent> = events
            .into_iter()
            .map(|(vid, n, start, samples, is_diagnosis)| if is_diagnosis { diagnosis(vid, start) } else { drive(vid, n, start, samples) })
            .collect();
        check_plan(&events);
    }

    #[test]
    fn any_state_comes_back(events in prop::collection::vec((0_i64..30, -400_i64..400, 1_i64..5), 0..12)) {
        let mut expected = VehicleState::default();
        for (n, start, samples) in events {
            expected.observe(&drive(1, n, start, samples).event);
        }
        prop_assert_eq!(state::decode(&state::encode(&expected).unwrap()).unwrap(), expected);
    }

    #[test]
    fn no_bytes_make_the_state_reader_panic(mut bytes: Vec<u8>) {
        bytes.insert(0, 1);
        let _ = state::decode(&bytes);
    }
}
