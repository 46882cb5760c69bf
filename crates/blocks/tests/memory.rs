//! The memory that decoding takes stays within its bound, whatever the bytes.

// A test stops at the first error.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use allocation_counter::measure;
use roadcast_blocks::{Block, limits};

/// Writes bits, the lowest of each byte first, as `docs/blocks.md` specifies.
#[derive(Default)]
struct Bits {
    version: u64,
    bytes: Vec<u8>,
    filled: usize,
}

impl Bits {
    fn write(&mut self, value: u64, width: u32) {
        for bit in 0..width {
            if self.filled.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= u8::from(value >> bit & 1 == 1) << (self.filled % 8);
            self.filled += 1;
        }
    }

    fn golomb(&mut self, value: u64, k: u32) {
        let quotient = (value >> k) + 1;
        let width = quotient.ilog2();
        self.write(1 << width, width + 1);
        self.write(quotient & ((1 << width) - 1), width);
        self.write(value & ((1 << k) - 1), k);
    }

    /// Starts a block of samples that are a second apart, with signals written by path.
    fn block(version: u64, samples: u64, paths: u64) -> Self {
        let mut bits = Self { version, ..Self::default() };
        bits.write(0xB0 | version, 8);
        if version == 1 {
            bits.golomb(1, 2);
        }
        bits.golomb(0, 2);
        bits.golomb(samples, 4);
        bits.write(0, 1);
        bits.write(1_793_000_000_000, 48);
        bits.write(0, 2);
        bits.golomb(2, 7);
        bits.write(0, 2);
        bits.golomb(0, 4);
        if version == 1 {
            bits.write(0, 3);
        }
        bits.golomb(paths, 0);
        for path in 0..paths {
            let path = format!("p{path:04}");
            bits.golomb(path.len() as u64, 3);
            path.bytes().for_each(|byte| bits.write(u64::from(byte), 8));
        }
        bits
    }

    /// Starts the values, of which not all are on grids.
    fn start_values(&mut self) {
        if self.version > 1 {
            self.write(1, 1);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        let checksum = !self.bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 })
        });
        self.bytes.extend_from_slice(&checksum.to_le_bytes());
        self.bytes
    }
}

/// Decodes a block and checks the peak of its memory. Returns the error, or "decoded".
fn check(name: &str, block: Bits) -> String {
    let bytes = block.finish();
    assert!(bytes.len() <= limits::BYTES, "{name}: {} bytes", bytes.len());
    let mut result = String::new();
    let memory = measure(|| result = Block::decode(&bytes).map_or_else(|error| error.to_string(), |_| "decoded".to_owned()));
    println!("{name}: {} bytes of input, {} KiB of memory, {result}", bytes.len(), memory.bytes_max / 1024);
    assert!(memory.bytes_max <= limits::MEMORY as u64, "{name}: {} bytes", memory.bytes_max);
    result
}

/// A block of `samples` samples whose signals have lists of 256 booleans.
fn lists(version: u64, samples: u64, paths: u64) -> Bits {
    let mut bits = Bits::block(version, samples, paths);
    bits.write(0, 1);
    bits.start_values();
    for _ in 0..paths {
        bits.write(0b111, 3);
        for _ in 0..samples {
            bits.write(3, 2);
            bits.golomb(256, 2);
            (0..256).for_each(|_| bits.write(0, 3));
        }
    }
    bits
}

#[test]
fn list_entries_are_counted_before_they_are_allocated() {
    for version in VERSIONS {
        // 4 MiB of lists: without a limit, 11 million entries of 24 bytes, about 260 MB.
        assert_eq!(check("lists", lists(version, 20, 2000)), "a block has at most 1048576 values");
        assert_eq!(check("lists within the limits", lists(version, 20, 200)), "decoded");
    }
}

#[test]
fn short_texts_are_counted_before_they_are_allocated() {
    for version in VERSIONS {
        let mut bits = Bits::block(version, 1000, 1000);
        bits.write(0, 1);
        bits.start_values();
        for _ in 0..1000 {
            bits.write(0b101, 3);
            bits.golomb(1000, 0);
            for text in 0..1000_u64 {
                bits.golomb(1, 3);
                bits.write(97 + text % 26, 8);
            }
            bits.golomb(0, 7);
            bits.write(0, 2);
        }
        assert_eq!(check("texts", bits), "a block has at most 131072 texts");
    }
}

#[test]
fn signals_of_the_same_presence_share_its_memory() {
    // 511 signals of 32,768 samples, nearly 2^24 cells: one presence with references to it, or each with its own.
    for (version, explicit) in [(1, 1_u64), (1, 511), (2, 1), (2, 511)] {
        let mut bits = Bits::block(version, 32_768, 511);
        bits.write(1, 1);
        for column in 0..511_u64 {
            bits.write(1, 1);
            bits.golomb(if column < explicit { 0 } else { explicit.min(column) }, 0);
            if column < explicit {
                // Two runs: the first sample, and the others.
                bits.write(1, 1);
                bits.write(1, 1);
                bits.golomb(0, 1);
                bits.golomb(32_766, 1);
            }
        }
        bits.start_values();
        for _ in 0..511 {
            bits.write(0, 1);
            bits.write(0, 4);
            bits.golomb(0, 7);
        }
        assert_eq!(check(&format!("{explicit} explicit presences"), bits), "decoded");
    }
}

#[test]
fn constant_numbers_of_every_sample_stay_within_the_bound() {
    for version in VERSIONS {
        let mut bits = Bits::block(version, 32_768, 32);
        bits.write(0, 1);
        bits.start_values();
        for _ in 0..32 {
            bits.write(0, 1);
            bits.write(0, 4);
            bits.golomb(0, 7);
            bits.write(0, 2);
        }
        assert_eq!(check("constants", bits), "decoded");
    }
}

const VERSIONS: [u64; 2] = [1, 2];
