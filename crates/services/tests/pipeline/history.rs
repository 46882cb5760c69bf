//! History as a series, held against a plain computation over the same samples.

use std::collections::BTreeMap;

use proptest::prelude::*;
use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::Body;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::selection::Selection;
use roadcast_services::query::{HistoryRange, Resolution, SamplePlace, SampleRow, Window};
use roadcast_signals::SignalPath;
use roadcast_testbed::FaultPlan;
use roadcast_traces::{Batcher, Recording, Row, Upload};

use crate::world::{World, admin, event};

fn range(vid: &VehicleId, limit: usize) -> HistoryRange {
    let (from, to) = (Timestamp::from_ms(0), Timestamp::from_ms(i64::MAX / 2));
    HistoryRange { vid: vid.clone(), from, to, selection: Selection::default(), limit }
}

/// Every page of a vehicle's samples.
async fn all_samples(world: &World, caller: &Caller, range: &HistoryRange) -> Vec<SampleRow> {
    let mut rows = Vec::new();
    let mut start = None;
    loop {
        let page = world.query().samples(caller, range, start).await.unwrap();
        assert!(page.rows.len() <= range.limit);
        rows.extend(page.rows);
        match page.next {
            Some(next) => {
                assert!(start.is_none_or(|start| next > start), "each page gets on");
                start = Some(next);
            }
            None => return rows,
        }
    }
}

/// Every page of windows.
async fn all_windows(world: &World, range: &HistoryRange, resolution: Resolution) -> Vec<Window> {
    let mut rows = Vec::new();
    let mut start = None;
    loop {
        let page = world.query().windows(&admin(), range, resolution, start).await.unwrap();
        assert!(page.rows.len() <= range.limit);
        rows.extend(page.rows);
        match page.next {
            Some(next) => start = Some(next),
            None => return rows,
        }
    }
}

/// The samples of everything stored, in the order of a series.
fn plain_samples(world: &World, vid: &VehicleId) -> Vec<SampleRow> {
    let mut rows = Vec::new();
    for stored in world.stored().into_iter().filter(|stored| stored.event.vid == *vid) {
        let Body::Telemetry(telemetry) = stored.event.body else { continue };
        for (index, sample) in telemetry.samples.into_iter().enumerate() {
            let index = u32::try_from(index).unwrap();
            let place = SamplePlace { at: sample.at, eid: stored.event.eid, index };
            rows.push(SampleRow { place, signals: sample.signals });
        }
    }
    rows.sort_by_key(|row| row.place);
    rows
}

/// What a person would compute with a sheet of all samples: min, max, mean, last and count of each signal and window.
fn check_windows(rows: &[SampleRow], windows: &[Window], seconds: i64) {
    let mut values: BTreeMap<(i64, SignalPath), Vec<roadcast_signals::Value>> = BTreeMap::new();
    for row in rows {
        let window = row.place.at.ms().div_euclid(seconds * 1000) * seconds * 1000;
        for (path, value) in &row.signals {
            values.entry((window, path.clone())).or_default().push(value.clone());
        }
    }
    let found: usize = windows.iter().map(|window| window.signals.len()).sum();
    assert_eq!(found, values.len(), "each signal of each window once");
    assert!(windows.is_sorted_by(|a, b| a.at < b.at), "windows come in order, each once");
    for window in windows {
        for (path, series) in &window.signals {
            let values = &values[&(window.at.ms(), path.clone())];
            assert_eq!(series.count, values.len() as u64);
            assert!(series.last.bits_eq(values.last().unwrap()));
            let numbers: Vec<f64> = values.iter().filter_map(roadcast_signals::Value::as_number).collect();
            let Some(statistics) = series.statistics else {
                assert!(numbers.is_empty());
                continue;
            };
            let min = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let max = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            #[allow(clippy::cast_precision_loss)]
            let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
            let bits = [statistics.min, statistics.max, statistics.mean()].map(f64::to_bits);
            assert_eq!(bits, [min, max, mean].map(f64::to_bits), "{path} in the window of {}", window.at);
        }
    }
}

/// The first trip of the recording at hand, or a simulated one.
async fn a_trip(world: &World) -> (VehicleId, usize) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/envirocar/measurements.ndjson.zst");
    let vid = world.vehicle("trip").await;
    let mut uploads = recorded_uploads(path);
    if uploads.is_empty() {
        println!("no real trips beside this clone: the trip is simulated");
        uploads.extend((0..200_u32).map(|n| {
            let sent: Vec<(i64, f64)> = (0..10).map(|k| (i64::from(n) * 50 + k * 5, f64::from(n % 37) * 1.3)).collect();
            (event(&n.to_string(), &sent).to_string(), sent.len())
        }));
    }
    for (body, _) in &uploads {
        world.ingest().upload(&admin(), &vid, body).await.unwrap();
    }
    let samples = uploads.iter().map(|(_, samples)| samples).sum();
    world.settle(|_| FaultPlan::healthy()).await;
    (vid, samples)
}

/// The first car's uploads of a recording, and how many samples each holds; none where there is no recording.
fn recorded_uploads(path: &str) -> Vec<(String, usize)> {
    let Ok(mut recording) = Recording::open(path, None) else { return Vec::new() };
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

#[tokio::test]
async fn down_sampled_history_of_a_whole_trip_equals_a_plain_computation_over_its_samples() {
    let world = World::new(31);
    let (vid, sent) = a_trip(&world).await;
    let plain = plain_samples(&world, &vid);
    assert_eq!(plain.len(), sent);
    for limit in [17, 1000] {
        assert_eq!(all_samples(&world, &admin(), &range(&vid, limit)).await, plain);
    }
    for (seconds, limit) in [(1, 1000), (60, 7), (60, 1000), (3600, 2), (86_400, 1)] {
        let windows = all_windows(&world, &range(&vid, limit), Resolution::from_seconds(seconds).unwrap()).await;
        check_windows(&plain, &windows, i64::from(seconds));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Late, out of order, overlapping: a series holds each sample once, whatever the page and the window.
    #[test]
    fn a_series_holds_each_sample_once_in_order(
        uploads in prop::collection::vec(
            (0_i64..3600, prop::collection::vec((0_i64..290, 0.0_f64..200.0), 1..5)), 1..12),
        limit in 1_usize..9,
        seconds in 1_u32..700,
        cut in 0_i64..3600,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new(33);
            let vid = world.vehicle("v").await;
            for (n, (ago, samples)) in uploads.iter().enumerate() {
                let samples: Vec<(i64, f64)> = samples.iter().map(|(more, speed)| (ago + more, *speed)).collect();
                world.ingest().upload(&admin(), &vid, &event(&n.to_string(), &samples).to_string()).await.unwrap();
            }
            world.settle(|_| FaultPlan::healthy()).await;
            let mut plain = plain_samples(&world, &vid);
            prop_assert_eq!(&all_samples(&world, &admin(), &range(&vid, limit)).await, &plain);
            // A range that begins and ends in the middle of a window.
            let noon = Timestamp::parse_rfc3339(crate::world::NOON).unwrap();
            let range = HistoryRange { from: noon.plus_ms(-cut * 1000), to: noon.plus_ms(-7_000), ..range(&vid, limit) };
            plain.retain(|row| (range.from..range.to).contains(&row.place.at));
            prop_assert_eq!(&all_samples(&world, &admin(), &range).await, &plain);
            let windows = all_windows(&world, &range, Resolution::from_seconds(seconds).unwrap()).await;
            check_windows(&plain, &windows, i64::from(seconds));
            Ok(())
        })?;
    }
}
