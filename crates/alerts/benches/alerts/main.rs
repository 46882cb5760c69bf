//! The speed of the evaluation, with ten rules that concern the vehicle.
//!
//! `cargo bench -p roadcast-alerts` measures CPU time, so that other processes do not affect the result.

// A benchmark stops at the first error; its counts are far below the exact range of `f64`.
#![allow(clippy::cast_precision_loss, clippy::expect_used, clippy::unwrap_used)]

mod day;
mod rules;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use day::{Day, event_of_block, start};
use roadcast_alerts::{BackTest, Buffers, RuleSet, Tracker, VehicleRules};
use roadcast_blocks::Block;
use roadcast_domain::event::Event;
use roadcast_domain::ids::VehicleId;
use roadcast_signals::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// The samples of a day.
const SAMPLES: usize = 24 * 60 * 60;
const HOUR_MS: i64 = 60 * 60 * 1000;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .nresamples(1000)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let rules = RuleSet::new(rules::ten(None, 0)).for_vehicle(&day::vid(0), &BTreeMap::new());
    // Segments of the event log have about 60 samples, uploads 10.
    let (segments, uploads) = (Day::new(60), Day::new(10));
    back_test_of_a_day(&mut criterion, &rules, &segments);
    stream_of_a_day(&mut criterion, &rules, &uploads);
    rules_in_all(&mut criterion, &uploads);
    criterion.final_summary();
}

fn back_test_of_a_day(criterion: &mut Criterion, rules: &VehicleRules, day: &Day) {
    let mut group = criterion.benchmark_group("back-test of a day at 1 Hz");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    let alerts = back_test(rules, day.events.iter().filter_map(|event| rules.select(event, |_| true, true)));
    println!("{alerts} transitions");
    measure(&mut group, "from columns", || {
        back_test(rules, day.events.iter().filter_map(|event| rules.select(event, |_| true, true)))
    });
    measure(&mut group, "from blocks", || {
        let events = day.blocks.iter().map(|block| event_of_block(Block::decode(block).unwrap()));
        back_test(rules, events.filter_map(|event| rules.select(&event, |_| true, true)))
    });
    measure(&mut group, "decoding of the blocks alone", || {
        day.blocks.iter().map(|block| event_of_block(Block::decode(block).unwrap()).sample_count()).sum::<usize>()
    });
    group.finish();
}

/// Returns the number of transitions. The events are complete by the hour.
fn back_test(rules: &VehicleRules, events: impl Iterator<Item = Event>) -> usize {
    let mut back_test = BackTest::new(rules);
    let mut transitions = 0;
    let mut complete = start();
    for event in events {
        let time = event.time();
        back_test.push([event]);
        if time.ms_since(complete) > HOUR_MS {
            complete = time;
            transitions += back_test.complete_before(complete).len();
        }
    }
    transitions + back_test.finish(start().plus_ms(24 * HOUR_MS)).len()
}

fn stream_of_a_day(criterion: &mut Criterion, rules: &VehicleRules, day: &Day) {
    let mut group = criterion.benchmark_group("stream of a day at 1 Hz, uploads of 10 samples");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    let stream = |events: &mut dyn Iterator<Item = Event>| {
        let mut tracker = Tracker::new(day::vid(0), rules.clone(), roadcast_alerts::limits::ALLOWED_LATENESS_MS);
        let mut buffers = Buffers::default();
        let selected = events.filter_map(|event| rules.select(&event, |_| true, true));
        selected.map(|event| tracker.push([event], &mut buffers).alerts.len()).sum::<usize>()
    };
    measure(&mut group, "from columns", || stream(&mut day.events.iter().cloned()));
    measure(&mut group, "from blocks", || {
        stream(&mut day.blocks.iter().map(|block| event_of_block(Block::decode(block).unwrap())))
    });
    // Each upload arrives after the next one, so that every second one is late.
    let mut swapped: Vec<Event> = day.events.clone();
    swapped.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
    measure(&mut group, "from columns, every second upload late", || stream(&mut swapped.iter().cloned()));
    group.finish();
}

/// The lookup of the rules of a vehicle and the evaluation of an upload, by the number of rules of all vehicles.
fn rules_in_all(criterion: &mut Criterion, day: &Day) {
    let mut group = criterion.benchmark_group("lookup and an upload of 10 samples, by rules in all");
    group.throughput(Throughput::Elements(10));
    for vehicles in [100_u32, 10_000, 100_000] {
        let set = RuleSet::new((0..vehicles).flat_map(|vehicle| rules::ten(Some(&day::vid(vehicle)), vehicle)));
        let mut buffers = Buffers::default();
        let mut next = 0_u32;
        measure(&mut group, &format!("{}", set.len()), || {
            next = (next + 7919) % vehicles;
            let vid: VehicleId = day::vid(next);
            let rules = set.for_vehicle(&vid, &BTreeMap::new());
            assert_eq!(rules.len(), 10);
            let mut tracker = Tracker::new(vid.clone(), rules, 0);
            let mut event = tracker.rules().select(&day.events[0], |_| true, true).unwrap();
            event.vid = vid;
            tracker.push([event], &mut buffers).alerts.len()
        });
    }
    group.finish();
}

fn measure<T>(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    mut once: impl FnMut() -> T,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let start = cpu_time();
            (0..iterations).for_each(|_| {
                black_box(once());
            });
            cpu_time().saturating_sub(start)
        });
    });
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// The time of a sample of a day.
fn time(second: usize) -> Timestamp {
    start().plus_ms(i64::try_from(second).unwrap() * 1000)
}
