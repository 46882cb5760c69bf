#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

const START_MS: i64 = 1_500_000_000_000;

/// A sample of a vehicle, `second` seconds after the start, or with an invalid time.
fn sample(vehicle: u8, line: u64, second: Option<i64>) -> RecordedSample {
    let at_ms = second.map(|second| START_MS + second * 1000);
    RecordedSample {
        vehicle: VehicleKey::new("test", vehicle.to_string()),
        line,
        at: at_ms.map_or("2032-90-02T11:13:45".to_owned(), |ms| instant::format_ms(ms).unwrap()),
        at_ms,
        signals: Map::from_iter([("Vehicle.Speed".to_owned(), Value::from(1))]),
    }
}

/// Returns all uploads and the refused rows.
fn batch(samples: impl IntoIterator<Item = RecordedSample>, per_upload: usize) -> (Vec<Upload>, Vec<Row>) {
    let mut batcher = Batcher::new(per_upload, "urn:test");
    let mut uploads = Vec::new();
    for sample in samples {
        uploads.extend(batcher.push(sample));
    }
    uploads.extend(batcher.finish());
    (uploads, batcher.take_refused())
}

/// Samples of one vehicle at these times, with line numbers from 1.
fn one_vehicle(times: &[Option<i64>]) -> Vec<RecordedSample> {
    (1..).zip(times).map(|(line, second)| sample(1, line, *second)).collect()
}

/// The number of samples in each event of each upload.
fn sample_counts(uploads: &[Upload]) -> Vec<Vec<usize>> {
    uploads.iter().map(|upload| upload.events.iter().map(|event| event.samples().len()).collect()).collect()
}

fn seconds_of(event: &TraceEvent) -> i64 {
    (instant::parse_ms(&event.time).unwrap() - START_MS) / 1000
}

#[test]
fn samples_minutes_apart_form_several_events_in_one_upload() {
    let times: Vec<_> = (0..10).map(|step| Some(step * 120)).collect();
    let (uploads, _) = batch(one_vehicle(&times), 10);
    assert_eq!(sample_counts(&uploads), [vec![3, 3, 3, 1]]);
}

#[test]
fn event_spans_at_most_five_minutes_in_both_directions() {
    assert_eq!(sample_counts(&batch(one_vehicle(&[Some(0), Some(300)]), 10).0), [vec![2]]);
    assert_eq!(sample_counts(&batch(one_vehicle(&[Some(0), Some(301)]), 10).0), [vec![1, 1]]);
    assert_eq!(sample_counts(&batch(one_vehicle(&[Some(200), Some(0), Some(301)]), 10).0), [vec![2, 1]]);
}

#[test]
fn event_time_is_the_earliest_valid_time() {
    let (uploads, _) = batch(one_vehicle(&[Some(20), None, Some(5), Some(30)]), 10);
    assert_eq!(seconds_of(&uploads[0].events[0]), 5);
}

#[test]
fn event_has_at_most_500_samples() {
    let (uploads, _) = batch(one_vehicle(&vec![Some(0); 1100]), 1100);
    assert_eq!(sample_counts(&uploads), [vec![500, 500, 100]]);
}

#[test]
fn samples_without_date_get_the_last_or_next_valid_time() {
    let (uploads, refused) = batch(one_vehicle(&[None, None, None, Some(7), None, None]), 2);
    assert_eq!(sample_counts(&uploads), [[2], [2], [2]]);
    let times: Vec<_> = uploads.iter().map(|upload| seconds_of(&upload.events[0])).collect();
    assert_eq!(times, [7, 7, 7]);
    assert_eq!(refused, []);
}

#[test]
fn vehicle_without_valid_time_is_refused() {
    let mut batcher = Batcher::new(10, "urn:test");
    assert_eq!(batcher.push(sample(1, 4, None)), []);
    assert_eq!(batcher.finish(), []);
    assert_eq!(batcher.take_refused(), [Row::Refused { line: 4, reason: RowRefusal::NoValidTime }]);
}

#[test]
fn at_most_ten_thousand_samples_wait_for_a_time() {
    let times = vec![None; MAX_WAITING_SAMPLES + 5];
    let mut samples = one_vehicle(&times);
    samples.push(sample(1, 99_999, Some(0)));
    let (uploads, refused) = batch(samples, 10);
    assert_eq!(refused.len(), 5);
    let sent: usize = uploads.iter().map(|upload| upload.samples).sum();
    assert_eq!(sent, MAX_WAITING_SAMPLES + 1);
}

#[test]
fn equal_rows_form_different_events() {
    let (uploads, _) = batch([sample(1, 2, Some(0)), sample(1, 3, Some(0))], 1);
    assert_ne!(uploads[0].events[0].id, uploads[1].events[0].id);
}

#[test]
fn ids_do_not_depend_on_other_vehicles() {
    let (alone, _) = batch([sample(1, 2, Some(0)), sample(1, 4, Some(1))], 10);
    let (mixed, _) = batch([sample(1, 2, Some(0)), sample(2, 3, Some(0)), sample(1, 4, Some(1))], 10);
    assert!(mixed.contains(&alone[0]));
}

#[test]
fn event_ids_are_stable_across_versions() {
    // Replaying a recording after an update must produce the same events.
    let (uploads, _) = batch([sample(1, 2, Some(0))], 10);
    assert_eq!(uploads[0].events[0].id, "b0219299900fe11a12003bd433d8a69b");
}

#[test]
fn large_samples_close_an_upload_early() {
    let big: Vec<_> = (0..5)
        .map(|line| {
            let mut sample = sample(1, line, Some(0));
            let text = "x".repeat(200 * 1024);
            sample.signals.insert("Vehicle.Note".to_owned(), text.into());
            sample
        })
        .collect();
    assert_eq!(sample_counts(&batch(big, 10).0), [[3], [2]]);
}

fn any_samples() -> impl Strategy<Value = Vec<RecordedSample>> {
    let second = prop_oneof![
        6 => (0_i64..2000).prop_map(Some),
        2 => Just(None),
        1 => (-1_000_000_i64..1_000_000).prop_map(Some),
    ];
    prop::collection::vec((0_u8..4, second), 0..120)
        .prop_map(|rows| (1..).zip(rows).map(|(line, (vehicle, second))| sample(vehicle, line, second)).collect())
}

proptest! {
    #[test]
    fn every_row_is_sent_once_in_the_order_of_its_vehicle(samples in any_samples(), per_upload in 1_usize..30) {
        let (uploads, refused) = batch(samples.clone(), per_upload);
        let mut lines: BTreeMap<VehicleKey, Vec<u64>> = BTreeMap::new();
        for upload in &uploads {
            for sample in upload.events.iter().flat_map(TraceEvent::samples) {
                prop_assert_eq!(&sample.vehicle, &upload.vehicle);
                lines.entry(upload.vehicle.clone()).or_default().push(sample.line);
            }
        }
        for lines in lines.values() {
            prop_assert!(lines.is_sorted_by(|a, b| a < b));
        }
        let sent: usize = lines.values().map(Vec::len).sum();
        prop_assert_eq!(sent + refused.len(), samples.len());
        prop_assert_eq!(sent, uploads.iter().map(|upload| upload.samples).sum::<usize>());
    }

    #[test]
    fn only_vehicles_without_valid_time_are_refused(samples in any_samples(), per_upload in 1_usize..30) {
        let without_time = samples
            .iter()
            .filter(|one| !samples.iter().any(|other| other.vehicle == one.vehicle && other.at_ms.is_some()))
            .count();
        prop_assert_eq!(batch(samples, per_upload).1.len(), without_time);
    }

    #[test]
    fn events_and_uploads_respect_their_limits(samples in any_samples(), per_upload in 1_usize..30) {
        for upload in batch(samples, per_upload).0 {
            prop_assert!(upload.samples <= per_upload);
            for event in &upload.events {
                let times: Vec<i64> = event.samples().iter().filter_map(|sample| sample.at_ms).collect();
                let earliest = times.iter().min();
                let latest = times.iter().max();
                if let (Some(earliest), Some(latest)) = (earliest, latest) {
                    prop_assert!(latest - earliest <= MAX_EVENT_SPAN_MS);
                    prop_assert_eq!(instant::parse_ms(&event.time), Some(*earliest));
                }
                prop_assert!(instant::parse_ms(&event.time).is_some());
                prop_assert!((1..=MAX_EVENT_SAMPLES).contains(&event.samples().len()));
            }
        }
    }

    #[test]
    fn equal_input_produces_equal_events_with_distinct_ids(samples in any_samples(), per_upload in 1_usize..30) {
        let (uploads, _) = batch(samples.clone(), per_upload);
        prop_assert_eq!(&batch(samples, per_upload).0, &uploads);
        let ids: Vec<&str> = uploads.iter().flat_map(|upload| &upload.events).map(|event| event.id.as_str()).collect();
        let distinct: HashSet<&str> = ids.iter().copied().collect();
        prop_assert_eq!(ids.len(), distinct.len());
    }
}
