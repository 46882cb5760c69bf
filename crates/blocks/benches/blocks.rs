//! Blocks beside zstd, over the same rounded values: `cargo bench -p roadcast-blocks`.
//!
//! It prints the table of sizes of docs/performance.md first, then times. Everything decoded is held against what it was.

// A benchmark stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::cast_precision_loss, missing_docs)]

mod recordings;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use recordings::events_of;
use roadcast_blocks::{Block, BlockEvent};
use zstd::bulk::{Compressor, Decompressor};

const NAMES: [&str; 4] = ["envirocar", "twizy", "truck", "simulated"];
/// Bytes of the dictionary; more gained nothing.
const DICTIONARY_BYTES: usize = 112 * 1024;

/// A recording cut into blocks of so many uploads, and the JSON of each.
struct Cut {
    events: Vec<Vec<BlockEvent>>,
    blocks: Vec<Block>,
    json: Vec<Vec<u8>>,
    samples: usize,
}

impl Cut {
    fn of(name: &str, uploads: usize) -> Option<Self> {
        let recorded = recordings::read(name)?;
        let uploads_of = |vehicle: &Vec<_>| -> Vec<Vec<BlockEvent>> {
            events_of(vehicle).chunks(uploads).map(<[BlockEvent]>::to_vec).collect()
        };
        let events: Vec<Vec<BlockEvent>> = recorded.vehicles.iter().flat_map(uploads_of).collect();
        let blocks = events.iter().map(|events| Block::of_events(events).unwrap()).collect();
        let json = |events: &Vec<BlockEvent>| {
            let samples: Vec<_> = events.iter().flat_map(|event| &event.samples).collect();
            serde_json::to_vec(&samples).unwrap()
        };
        let json = events.iter().map(json).collect();
        let samples = events.iter().flatten().map(|event| event.samples.len()).sum();
        Some(Self { events, blocks, json, samples })
    }

    fn a_sample(&self, bytes: usize) -> f64 {
        bytes as f64 / self.samples as f64
    }

    fn packed(&self, mut zstd: Compressor<'_>) -> usize {
        self.json.iter().map(|json| zstd.compress(json).unwrap().len()).sum()
    }

    /// A dictionary of every second block.
    fn dictionary(&self) -> Vec<u8> {
        let some: Vec<&Vec<u8>> = self.json.iter().step_by(2).collect();
        zstd::dict::from_samples(&some, DICTIONARY_BYTES).unwrap_or_default()
    }
}

fn sizes() {
    println!(
        "| bytes a sample, 10- / 60-sample blocks | JSON | zstd-3 | zstd-19 + dictionary | blocks | zstd-19 + dictionary ÷ blocks |"
    );
    println!("|---|---|---|---|---|---|");
    for name in NAMES {
        let (Some(ten), Some(sixty)) = (Cut::of(name, 1), Cut::of(name, 6)) else {
            println!("| {name} | not beside this clone | | | | |");
            continue;
        };
        let row = |cut: &Cut| {
            let json = cut.json.iter().map(Vec::len).sum::<usize>();
            let three = cut.packed(Compressor::new(3).unwrap());
            let nineteen = cut.packed(Compressor::with_dictionary(19, &cut.dictionary()).unwrap());
            let mut blocks = 0;
            for (block, events) in cut.blocks.iter().zip(&cut.events) {
                let bytes = block.encode();
                assert_eq!(&Block::decode(&bytes).unwrap().events(), events);
                blocks += bytes.len();
            }
            [json, three, nineteen, blocks].map(|bytes| cut.a_sample(bytes))
        };
        let (ten, sixty) = (row(&ten), row(&sixty));
        let both = |n: usize| format!("{:.1} / {:.1}", ten[n], sixty[n]);
        let ratio = format!("{:.1} / {:.1}", ten[2] / ten[3], sixty[2] / sixty[3]);
        println!("| {name} | {} | {} | {} | **{}** | {ratio} |", both(0), both(1), both(2), both(3));
    }
    println!();
}

fn times(criterion: &mut Criterion) {
    for name in NAMES {
        let Some(cut) = Cut::of(name, 6) else { continue };
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(cut.samples as u64));

        group.bench_function("blocks encode", |bench| {
            bench.iter(|| cut.blocks.iter().map(|block| black_box(block.encode()).len()).sum::<usize>());
        });
        let encoded: Vec<Vec<u8>> = cut.blocks.iter().map(Block::encode).collect();
        group.bench_function("blocks decode", |bench| {
            bench.iter(|| encoded.iter().map(|bytes| Block::decode(bytes).unwrap().times().len()).sum::<usize>());
        });
        group.bench_function("blocks from rows", |bench| {
            bench.iter(|| cut.events.iter().map(|events| Block::of_events(events).unwrap().times().len()).sum::<usize>());
        });
        group.bench_function("blocks to rows", |bench| {
            bench.iter(|| cut.blocks.iter().map(|block| black_box(block.events()).len()).sum::<usize>());
        });

        let mut three = Compressor::new(3).unwrap();
        group.bench_function("zstd-3 compress", |bench| {
            bench.iter(|| cut.json.iter().map(|json| three.compress(json).unwrap().len()).sum::<usize>());
        });
        let packed: Vec<Vec<u8>> = cut.json.iter().map(|json| three.compress(json).unwrap()).collect();
        let longest = cut.json.iter().map(Vec::len).max().unwrap_or_default();
        let mut unpack = Decompressor::new().unwrap();
        group.bench_function("zstd-3 decompress", |bench| {
            bench.iter(|| packed.iter().map(|bytes| unpack.decompress(bytes, longest).unwrap().len()).sum::<usize>());
        });
        group.bench_function("zstd-3 decompress and parse", |bench| {
            bench.iter(|| {
                let values = |bytes: &Vec<u8>| -> Vec<roadcast_signals::Sample> {
                    serde_json::from_slice(&unpack.decompress(bytes, longest).unwrap()).unwrap()
                };
                packed.iter().map(values).map(|samples| black_box(samples).len()).sum::<usize>()
            });
        });
        group.finish();
    }
}

fn main() {
    sizes();
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    times(&mut criterion);
}
