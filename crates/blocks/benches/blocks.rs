//! Blocks beside zstd over the same values: size, and speed each way.
//!
//! `cargo bench -p roadcast-blocks` measures and writes the tables into `docs/performance.md`. With a filter or without the
//! recordings it only measures.

// A benchmark stops at the first surprise; its counts are far below what an `f64` holds exactly.
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

/// Samples of a group, which goes as a whole into what is measured or into what the dictionary is trained on.
const GROUP: usize = 60;
/// Events of ten samples in a block.
const EVENTS_PER_BLOCK: [usize; 2] = [1, 6];
/// As the command line tool has it.
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
        match recorded {
            Some(recorded) => rows.extend(measure(&mut criterion, name, recorded)),
            None => println!("no recordings beside this clone: {name} is left out"),
        }
    }
    criterion.final_summary();
    if complete && std::env::args().skip(1).eq(["--bench"]) {
        report::write(&rows);
    }
}

/// A block as its rows, its columns and its texts.
struct Case {
    events: Vec<BlockEvent>,
    block: Block,
    bytes: Vec<u8>,
    /// The samples as JSON, without what a block says of their events.
    json: Vec<u8>,
    zstd_3: Vec<u8>,
    zstd_19: Vec<u8>,
    samples: usize,
}

fn measure(criterion: &mut Criterion, name: &'static str, recorded: &Recorded) -> Vec<Row> {
    // Every other group trains, so that the dictionary has seen each vehicle and each hour.
    let groups: Vec<&[Sample]> = recorded.vehicles.iter().flat_map(|samples| samples.chunks(GROUP)).collect();
    let (measured, trained) = (groups.iter().step_by(2), groups.iter().skip(1).step_by(2));
    let texts: Vec<Vec<u8>> = trained.flat_map(|group| group.chunks(10)).map(json_of).collect();
    let dictionary = zstd::dict::from_samples(&texts, DICTIONARY_BYTES).unwrap();
    let dictionary = (EncoderDictionary::copy(&dictionary, 19), DecoderDictionary::copy(&dictionary));
    let measured: Vec<Vec<BlockEvent>> = measured.map(|group| events_of(group)).collect();
    let row = |events_per_block: &usize| {
        let events = measured.iter().flat_map(|group| group.chunks(*events_per_block));
        let mut zstd = Zstd::new(&dictionary);
        let cases: Vec<Case> = events.map(|events| Case::checked(events, &mut zstd)).collect();
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
        from_rows: speed(group, "block/from rows", cases, |case| Block::of_events(&case.events).unwrap().encode()),
        to_rows: speed(group, "block/to rows", cases, |case| Block::decode(&case.bytes).unwrap().events()),
        zstd_3_encode: speed(group, "zstd-3/compress", cases, |case| zstd.level_3.compress(&case.json).unwrap()),
        zstd_3_decode: speed(group, "zstd-3/decompress", cases, |case| zstd.plain(case)),
        zstd_3_from_rows: speed(group, "zstd-3/from rows", cases, |case| {
            zstd.level_3.compress(&json_of_events(&case.events)).unwrap()
        }),
        zstd_3_to_rows: speed(group, "zstd-3/to rows", cases, |case| {
            serde_json::from_slice::<Vec<Sample>>(&zstd.plain(case)).unwrap()
        }),
        zstd_19_encode: speed(group, "zstd-19/compress", cases, |case| zstd.level_19.compress(&case.json).unwrap()),
        zstd_19_decode: speed(group, "zstd-19/decompress", cases, |case| zstd.plain_by_dictionary(case)),
    }
}

/// Samples a second of CPU time: other work on the machine does not count.
fn speed<T>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, cases: &[Case], mut once: impl FnMut(&Case) -> T) -> f64 {
    let (samples, time) = (Cell::new(0), Cell::new(Duration::ZERO));
    let mut turn = cases.iter().cycle();
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            let before = cpu_time();
            let turns = turn.by_ref().take(usize::try_from(times).unwrap());
            let done = turns.map(|case| (black_box(once(case)), case.samples).1).sum::<usize>();
            let taken = cpu_time().saturating_sub(before);
            samples.update(|samples| samples + done);
            time.update(|time| time + taken);
            taken
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
    plain: Decompressor<'d>,
    by_dictionary: Decompressor<'d>,
}

impl<'d> Zstd<'d> {
    fn new((encode, decode): &'d (EncoderDictionary<'static>, DecoderDictionary<'static>)) -> Self {
        Self {
            level_3: Compressor::new(3).unwrap(),
            level_19: Compressor::with_prepared_dictionary(encode).unwrap(),
            plain: Decompressor::new().unwrap(),
            by_dictionary: Decompressor::with_prepared_dictionary(decode).unwrap(),
        }
    }

    fn plain(&mut self, case: &Case) -> Vec<u8> {
        self.plain.decompress(&case.zstd_3, case.json.len()).unwrap()
    }

    fn plain_by_dictionary(&mut self, case: &Case) -> Vec<u8> {
        self.by_dictionary.decompress(&case.zstd_19, case.json.len()).unwrap()
    }
}

impl Case {
    /// All three methods give back what went in.
    fn checked(events: &[BlockEvent], zstd: &mut Zstd<'_>) -> Self {
        let block = Block::of_events(events).unwrap();
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
        let back = Block::decode(&case.bytes).unwrap();
        assert_eq!(back, case.block);
        assert_eq!(back.events(), case.events);
        assert_eq!(zstd.plain(&case), case.json);
        assert_eq!(zstd.plain_by_dictionary(&case), case.json);
        let samples: Vec<Sample> = serde_json::from_slice(&case.json).unwrap();
        assert_eq!(samples, back.samples());
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
