//! Compares blocks with zstd on the same values: size, encoding speed and decoding speed.
//!
//! `cargo bench -p roadcast-blocks` measures and writes the tables into `docs/performance.md`. With a filter, or if
//! recordings are missing, it only measures.

// A benchmark stops at the first error; its counts are far below the exact range of `f64`.
#![allow(clippy::cast_precision_loss, clippy::expect_used, clippy::unwrap_used)]

mod recordings;
mod report;

use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use recordings::{Recorded, events_of};
use report::{Row, Sizes, Speeds};
use roadcast_blocks::{Block, BlockEvent};
use roadcast_signals::Sample;
use rustix::time::{ClockId, clock_gettime};
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

/// Samples per group. A group is either measured or used to train the dictionary.
const SAMPLES_PER_GROUP: usize = 60;
/// Events per block, of ten samples each.
const EVENTS_PER_BLOCK: [usize; 2] = [1, 6];
/// The default of the zstd command line tool.
const DICTIONARY_BYTES: usize = 110 * 1024;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .nresamples(1000)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(600))
        .configure_from_args();
    let data = [
        ("enviroCar", recordings::read("envirocar")),
        ("Twizy", recordings::read("twizy")),
        ("truck", recordings::read("truck")),
        ("simulated", recordings::read("simulated")),
    ];
    let complete = data.iter().all(|(_, recorded)| recorded.is_some());
    let mut rows = Vec::new();
    for (name, recorded) in &data {
        if let Some(recorded) = recorded {
            rows.extend(measure(&mut criterion, name, recorded));
        }
    }
    criterion.final_summary();
    if complete && std::env::args().skip(1).eq(["--bench"]) {
        report::write(&rows);
    }
}

/// The same events as rows, as a block and in each encoding.
struct Case {
    events: Vec<BlockEvent>,
    block: Block,
    bytes: Vec<u8>,
    /// The samples as JSON, without event ids and received times.
    json: Vec<u8>,
    zstd_3: Vec<u8>,
    zstd_19: Vec<u8>,
    samples: usize,
}

fn measure(criterion: &mut Criterion, name: &'static str, recorded: &Recorded) -> Vec<Row> {
    // Every other group trains the dictionary, so that it covers each vehicle and each hour.
    let groups: Vec<&[Sample]> = recorded.vehicles.iter().flat_map(|samples| samples.chunks(SAMPLES_PER_GROUP)).collect();
    let (measured, trained) = (groups.iter().step_by(2), groups.iter().skip(1).step_by(2));
    let texts: Vec<Vec<u8>> = trained.flat_map(|group| group.chunks(10)).map(json_of).collect();
    let dictionary = zstd::dict::from_samples(&texts, DICTIONARY_BYTES).unwrap();
    let dictionary = (EncoderDictionary::copy(&dictionary, 19), DecoderDictionary::copy(&dictionary));
    let measured: Vec<Vec<BlockEvent>> = measured.map(|group| events_of(group)).collect();
    let row = |events_per_block: &usize| {
        let events = measured.iter().flat_map(|group| group.chunks(*events_per_block));
        let mut zstd = Zstd::new(&dictionary);
        let cases: Vec<Case> = events.map(|events| Case::new(events, &mut zstd)).collect();
        let samples = cases.iter().map(|case| case.samples).sum::<usize>();
        let per_sample =
            |bytes: fn(&Case) -> &[u8]| cases.iter().map(|case| bytes(case).len()).sum::<usize>() as f64 / samples as f64;
        let sizes = Sizes {
            json: per_sample(|case| &case.json),
            zstd_3: per_sample(|case| &case.zstd_3),
            zstd_19: per_sample(|case| &case.zstd_19),
            block: per_sample(|case| &case.bytes),
        };
        let per_block = events_per_block * 10;
        let mut group = criterion.benchmark_group(format!("{name}/{per_block}"));
        group.throughput(Throughput::Elements((samples / cases.len()) as u64));
        let speeds = speeds(&mut group, &cases, &mut zstd);
        group.finish();
        Row { data: name, per_block, samples, sizes, speeds }
    };
    EVENTS_PER_BLOCK.iter().map(row).collect()
}

fn speeds(group: &mut BenchmarkGroup<'_, WallTime>, cases: &[Case], zstd: &mut Zstd<'_>) -> Speeds {
    Speeds {
        encode: speed(group, "block/encode", cases, |case| case.block.encode()),
        decode: speed(group, "block/decode", cases, |case| Block::decode(&case.bytes).unwrap()),
        from_rows: speed(group, "block/from rows", cases, |case| Block::from_events(&case.events).unwrap().encode()),
        to_rows: speed(group, "block/to rows", cases, |case| Block::decode(&case.bytes).unwrap().events()),
        zstd_3_encode: speed(group, "zstd-3/compress", cases, |case| zstd.level_3.compress(&case.json).unwrap()),
        zstd_3_decode: speed(group, "zstd-3/decompress", cases, |case| zstd.decompress_3(case)),
        zstd_3_from_rows: speed(group, "zstd-3/from rows", cases, |case| {
            zstd.level_3.compress(&json_of_events(&case.events)).unwrap()
        }),
        zstd_3_to_rows: speed(group, "zstd-3/to rows", cases, |case| {
            serde_json::from_slice::<Vec<Sample>>(&zstd.decompress_3(case)).unwrap()
        }),
        zstd_19_encode: speed(group, "zstd-19/compress", cases, |case| zstd.level_19.compress(&case.json).unwrap()),
        zstd_19_decode: speed(group, "zstd-19/decompress", cases, |case| zstd.decompress_19(case)),
    }
}

/// Returns samples per second of CPU time, so that other processes do not affect the result.
fn speed<T>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, cases: &[Case], mut once: impl FnMut(&Case) -> T) -> f64 {
    let (samples, time) = (Cell::new(0), Cell::new(Duration::ZERO));
    let mut next_cases = cases.iter().cycle();
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let start = cpu_time();
            let cases = next_cases.by_ref().take(usize::try_from(iterations).unwrap());
            let done = cases.map(|case| (black_box(once(case)), case.samples).1).sum::<usize>();
            let elapsed = cpu_time().saturating_sub(start);
            samples.update(|samples| samples + done);
            time.update(|time| time + elapsed);
            elapsed
        });
    });
    samples.get() as f64 / time.get().as_secs_f64()
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

struct Zstd<'d> {
    level_3: Compressor<'d>,
    level_19: Compressor<'d>,
    decompressor_3: Decompressor<'d>,
    decompressor_19: Decompressor<'d>,
}

impl<'d> Zstd<'d> {
    fn new((encode, decode): &'d (EncoderDictionary<'static>, DecoderDictionary<'static>)) -> Self {
        Self {
            level_3: Compressor::new(3).unwrap(),
            level_19: Compressor::with_prepared_dictionary(encode).unwrap(),
            decompressor_3: Decompressor::new().unwrap(),
            decompressor_19: Decompressor::with_prepared_dictionary(decode).unwrap(),
        }
    }

    fn decompress_3(&mut self, case: &Case) -> Vec<u8> {
        self.decompressor_3.decompress(&case.zstd_3, case.json.len()).unwrap()
    }

    fn decompress_19(&mut self, case: &Case) -> Vec<u8> {
        self.decompressor_19.decompress(&case.zstd_19, case.json.len()).unwrap()
    }
}

impl Case {
    /// Encodes the events with all three methods and checks that each decodes to the same events.
    fn new(events: &[BlockEvent], zstd: &mut Zstd<'_>) -> Self {
        let block = Block::from_events(events).unwrap();
        let json = json_of_events(events);
        let case = Self {
            bytes: block.encode(),
            zstd_3: zstd.level_3.compress(&json).unwrap(),
            zstd_19: zstd.level_19.compress(&json).unwrap(),
            samples: events.iter().map(|event| event.samples.len()).sum(),
            events: events.to_vec(),
            block,
            json,
        };
        let decoded = Block::decode(&case.bytes).unwrap();
        assert_eq!(decoded, case.block);
        assert_eq!(decoded.events(), case.events);
        assert_eq!(zstd.decompress_3(&case), case.json);
        assert_eq!(zstd.decompress_19(&case), case.json);
        let samples: Vec<Sample> = serde_json::from_slice(&case.json).unwrap();
        assert_eq!(samples, decoded.samples());
        case
    }
}

fn json_of(samples: &[Sample]) -> Vec<u8> {
    serde_json::to_vec(samples).unwrap()
}

fn json_of_events(events: &[BlockEvent]) -> Vec<u8> {
    let samples: Vec<&Sample> = events.iter().flat_map(|event| &event.samples).collect();
    serde_json::to_vec(&samples).unwrap()
}
