//! History queries, compared with a direct computation over the same samples.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use roadcast_domain::Timestamp;
use roadcast_domain::event::Body;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::selection::Selection;
use roadcast_services::authz::Reader;
use roadcast_services::query::{EventsRange, HistoryRange, Resolution, SamplePosition, SampleRow, Series, Window};
use roadcast_signals::{POSITION, SignalPath, Value};
use roadcast_testbed::FaultPlan;
use roadcast_traces::{Batcher, Recording, Row, Upload};
use serde_json::json;

use crate::fixture::{PipelineFixture, admin, client_of, event};

fn range(vid: &VehicleId, limit: usize) -> HistoryRange {
    let (from, to) = (Timestamp::from_ms(0), Timestamp::from_ms(i64::MAX / 2));
    HistoryRange { vid: vid.clone(), from, to, selection: Selection::default(), limit }
}

/// Reads every page of a vehicle's samples.
async fn all_samples(pipeline: &PipelineFixture, reader: &Reader, range: &HistoryRange) -> Vec<SampleRow> {
    let mut rows = Vec::new();
    let mut start = None;
    loop {
        let page = pipeline.queries().samples(reader, range, start).await.unwrap();
        assert!(page.rows.len() <= range.limit);
        rows.extend(page.rows);
        match page.next {
            Some(next) => {
                assert!(start.is_none_or(|start| next > start), "each page makes progress");
                start = Some(next);
            }
            None => return rows,
        }
    }
}

/// Reads every page of windows.
async fn all_windows(pipeline: &PipelineFixture, range: &HistoryRange, resolution: Resolution) -> Vec<Window> {
    let mut rows = Vec::new();
    let mut start = None;
    loop {
        let page = pipeline.queries().windows(&admin(), range, resolution, start).await.unwrap();
        assert!(page.rows.len() <= range.limit);
        rows.extend(page.rows);
        match page.next {
            Some(next) => start = Some(next),
            None => return rows,
        }
    }
}

/// Returns the samples of all stored events, in the order of a series.
fn expected_samples(pipeline: &PipelineFixture, vid: &VehicleId) -> Vec<SampleRow> {
    let mut rows = Vec::new();
    for stored in pipeline.stored_events().into_iter().filter(|stored| stored.event.vid == *vid) {
        let Body::Telemetry(telemetry) = stored.event.body else { continue };
        for (index, sample) in telemetry.samples.to_rows().into_iter().enumerate() {
            let index = u32::try_from(index).unwrap();
            let position = SamplePosition { at: sample.at, eid: stored.event.eid, index };
            rows.push(SampleRow { position, signals: sample.signals });
        }
    }
    rows.sort_by_key(|row| row.position);
    rows
}

/// Compares windows with min, max, mean, last and count of each signal and window, computed directly from the samples. Positions
/// are the samples with both coordinates, without statistics.
fn check_windows(rows: &[SampleRow], windows: &[Window], seconds: i64) {
    let mut values: BTreeMap<(i64, SignalPath), Vec<Value>> = BTreeMap::new();
    for row in rows {
        let window = row.position.at.ms().div_euclid(seconds * 1000) * seconds * 1000;
        let has_position = POSITION.iter().all(|path| row.signals.contains_key(*path));
        for (path, value) in row.signals.iter().filter(|(path, _)| has_position || !is_coordinate(path)) {
            values.entry((window, path.clone())).or_default().push(value.clone());
        }
    }
    let found: usize = windows.iter().map(|window| window.signals.len()).sum();
    assert_eq!(found, values.len(), "each signal of each window exists once");
    assert!(windows.is_sorted_by(|a, b| a.at < b.at), "windows are in order and unique");
    for window in windows {
        for (path, series) in &window.signals {
            let values = &values[&(window.at.ms(), path.clone())];
            assert_eq!(series.count, values.len() as u64);
            assert!(series.last.bits_eq(values.last().unwrap()));
            let numbers = values.iter().filter(|_| !is_coordinate(path)).filter_map(Value::as_number);
            let numbers: Vec<f64> = numbers.collect();
            let Some(statistics) = series.statistics else {
                assert!(numbers.is_empty());
                continue;
            };
            let min = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let max = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            #[allow(clippy::cast_precision_loss)]
            let mean = (numbers.iter().sum::<f64>() / numbers.len() as f64).max(min).min(max);
            let bits = [statistics.min, statistics.max, statistics.mean()].map(f64::to_bits);
            assert_eq!(bits, [min, max, mean].map(f64::to_bits), "{path} in the window of {}", window.at);
        }
    }
}

fn is_coordinate(path: &SignalPath) -> bool {
    POSITION.contains(&path.as_str())
}

/// The uploads of a simulated trip with their number of samples.
fn simulated_uploads() -> Vec<(String, usize)> {
    let upload = |n: u32| {
        let sent: Vec<(i64, f64)> = (0..10).map(|k| (i64::from(n) * 50 + k * 5, f64::from(n % 37) * 1.3)).collect();
        (event(&n.to_string(), &sent).to_string(), sent.len())
    };
    (0..200).map(upload).collect()
}

/// The uploads of the first car of a recording with their number of samples.
fn recorded_uploads(path: &Path) -> Vec<(String, usize)> {
    let mut recording = Recording::open(path, None).unwrap();
    let mut batcher = Batcher::new(10, "urn:test");
    let mut uploads = Vec::new();
    while let Some(row) = recording.next_row().unwrap() {
        if let Row::Sample(sample) = row {
            uploads.extend(batcher.push(sample));
        }
        if uploads.len() == 300 {
            break;
        }
    }
    let first = uploads[0].vehicle.clone();
    let of_one = uploads.into_iter().filter(|upload| upload.vehicle == first);
    let body = |upload: &Upload| {
        upload.events.iter().map(|event| event.to_cloud_event(None)).collect::<serde_json::Value>().to_string()
    };
    of_one.map(|upload| (body(&upload), upload.samples)).collect()
}

/// Stores the uploads of a vehicle, and compares its samples and windows with a direct computation.
async fn check_history(uploads: &[(String, usize)]) {
    let pipeline = PipelineFixture::new(31);
    let vid = pipeline.vehicle("trip").await;
    for (body, _) in uploads {
        pipeline.ingest().upload(&admin(), &vid, body).await.unwrap();
    }
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    let expected = expected_samples(&pipeline, &vid);
    assert_eq!(expected.len(), uploads.iter().map(|(_, samples)| samples).sum::<usize>());
    for limit in [17, 1000] {
        assert_eq!(all_samples(&pipeline, &admin(), &range(&vid, limit)).await, expected);
    }
    for (seconds, limit) in [(1, 1000), (60, 7), (60, 1000), (3600, 2), (86_400, 1)] {
        let windows = all_windows(&pipeline, &range(&vid, limit), Resolution::from_seconds(seconds).unwrap()).await;
        check_windows(&expected, &windows, i64::from(seconds));
    }
}

#[tokio::test]
async fn downsampled_history_equals_a_direct_computation() {
    check_history(&simulated_uploads()).await;
}

#[tokio::test]
async fn downsampled_history_of_a_real_trip_equals_a_direct_computation() {
    let Some(path) = roadcast_test_data::find("envirocar/measurements.ndjson.zst") else { return };
    check_history(&recorded_uploads(&path)).await;
}

#[tokio::test]
async fn window_takes_a_position_from_one_sample() {
    let pipeline = PipelineFixture::new(35);
    let vid = pipeline.vehicle("v").await;
    let [latitude, longitude] = POSITION;
    let noon = Timestamp::parse_rfc3339(crate::fixture::NOON).unwrap();
    let sample = |ago_s: i64, signals: serde_json::Value| json!({"at": noon.plus_ms(-ago_s * 1000), "signals": signals});
    let samples = [
        sample(50, json!({latitude: 51.5, longitude: 7.5, "Vehicle.Speed": 10})),
        sample(49, json!({latitude: 51.6, longitude: 7.6, "Vehicle.Speed": 20})),
        sample(48, json!({latitude: 51.7, "Vehicle.Speed": 30})),
    ];
    let mut sent = event("1", &[]);
    sent["data"]["samples"] = samples.into();
    pipeline.ingest().upload(&admin(), &vid, &sent.to_string()).await.unwrap();
    pipeline.process_all(|_| FaultPlan::healthy()).await;

    let minute = Resolution::from_seconds(60).unwrap();
    let all = range(&vid, 10);
    let window = all_windows(&pipeline, &all, minute).await.remove(0);
    let series = |window: &Window, path: &str| window.signals.get(path).cloned();
    for (path, last) in [(latitude, 51.6), (longitude, 7.6)] {
        let expected = Series { count: 2, last: Value::Number(last), statistics: None };
        assert_eq!(series(&window, path), Some(expected), "{path}");
    }
    assert_eq!(series(&window, "Vehicle.Speed").unwrap().statistics.unwrap().mean().to_bits(), 20_f64.to_bits());

    // Alone, a coordinate is a value like others.
    let selection = Selection { signals: Some(vec![latitude.parse().unwrap()]), ..Selection::default() };
    let window = all_windows(&pipeline, &HistoryRange { selection, ..all }, minute).await.remove(0);
    let expected = Series { count: 3, last: Value::Number(51.7), statistics: None };
    assert_eq!(window.signals.into_values().collect::<Vec<_>>(), [expected]);
}

#[tokio::test]
async fn windows_of_a_fleet_have_the_signals_of_its_packages() {
    let pipeline = PipelineFixture::new(36);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["track-and-trace"]).await;
    for n in 0..30 {
        pipeline.upload(&vid, &n.to_string(), &[(n * 10 + 1, 1.0), (n * 10, 2.0)]).await;
    }
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    let minute = Resolution::from_seconds(60).unwrap();
    let windows = pipeline.queries().windows(&client_of(&fleet), &range(&vid, 100), minute, None).await.unwrap().rows;
    let samples = all_samples(&pipeline, &client_of(&fleet), &range(&vid, 100)).await;
    assert_eq!(samples.len(), 60);
    check_windows(&samples, &windows, 60);
    let mut expected = expected_samples(&pipeline, &vid);
    for row in &mut expected {
        row.signals.retain(|path, _| is_coordinate(path));
    }
    assert_eq!(samples, expected);
}

#[tokio::test]
async fn paging_returns_every_event_once_at_any_page_size() {
    let pipeline = PipelineFixture::new(8);
    let vid = pipeline.vehicle("v").await;
    for n in 0..23 {
        pipeline.upload(&vid, &n.to_string(), &[(n * 10, 1.0)]).await;
    }
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    for limit in [1, 7, 23, 100] {
        let mut range = EventsRange::between(vid.clone(), None, None, limit);
        let mut seen: Vec<Eid> = Vec::new();
        loop {
            let page = pipeline.queries().events(&admin(), &range).await.unwrap();
            seen.extend(page.events.iter().map(|event| event.eid));
            match page.next {
                Some(next) => range.from = next,
                None => break,
            }
        }
        assert_eq!(seen.len(), 23, "limit {limit}");
        assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Late, out of order, overlapping: a series holds each sample once, for any page size and window.
    #[test]
    fn series_holds_each_sample_once_in_order(
        uploads in prop::collection::vec(
            (0_i64..3600, prop::collection::vec((0_i64..290, 0.0_f64..200.0), 1..5)), 1..12),
        limit in 1_usize..9,
        seconds in 1_u32..700,
        start_s in 0_i64..3600,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let pipeline = PipelineFixture::new(33);
            let vid = pipeline.vehicle("v").await;
            for (n, (ago, samples)) in uploads.iter().enumerate() {
                let samples: Vec<(i64, f64)> = samples.iter().map(|(more, speed)| (ago + more, *speed)).collect();
                pipeline.ingest().upload(&admin(), &vid, &event(&n.to_string(), &samples).to_string()).await.unwrap();
            }
            pipeline.process_all(|_| FaultPlan::healthy()).await;
            let mut expected = expected_samples(&pipeline, &vid);
            prop_assert_eq!(&all_samples(&pipeline, &admin(), &range(&vid, limit)).await, &expected);
            // A range that starts and ends within a window.
            let noon = Timestamp::parse_rfc3339(crate::fixture::NOON).unwrap();
            let range = HistoryRange { from: noon.plus_ms(-start_s * 1000), to: noon.plus_ms(-7_000), ..range(&vid, limit) };
            expected.retain(|row| (range.from..range.to).contains(&row.position.at));
            prop_assert_eq!(&all_samples(&pipeline, &admin(), &range).await, &expected);
            let windows = all_windows(&pipeline, &range, Resolution::from_seconds(seconds).unwrap()).await;
            check_windows(&expected, &windows, i64::from(seconds));
            Ok(())
        })?;
    }
}
