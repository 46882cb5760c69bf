//! Encoding of a block, as specified in `docs/blocks.md`.

use roadcast_signals::{Catalogue, Column, Presence, Samples, SignalPath, Timestamp};

use crate::bits::{BitReader, BitWriter, golomb_bits};
use crate::block::Block;
use crate::limits::{DecodeLimits, DecodedCounts};
use crate::table::{EventHeaders, EventRow, read_events, read_times, write_events, write_times};
use crate::text::{read_text, write_text};
use crate::{DecodeError, limits, presence, values};

/// The first byte: a marker in the upper half, the version in the lower half.
const MARKER: u8 = 0xB0;
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// The part of a block that precedes its signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockHead {
    /// The events: each has the next rows of `times`.
    pub events: Vec<EventRow>,
    /// The time of each sample, by row.
    pub times: Vec<Timestamp>,
}

impl Block {
    /// Encodes the block. The same block always has the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bits = BitWriter::default();
        bits.write(u64::from(MARKER | VERSION), 8);
        bits.write_golomb(u64::from(Catalogue::get().version()), 2);
        let columns = self.columns();
        write_events(&mut bits, &self.events, self.times());
        if self.events.is_empty() {
            bits.write_golomb(self.times().len() as u64, 4);
        }
        write_times(&mut bits, self.times());

        let (numbered, by_path) = columns.split_at(columns.partition_point(|column| column.path.def().is_some()));
        write_signal_numbers(&mut bits, numbered);
        bits.write_golomb(by_path.len() as u64, 0);
        for column in by_path {
            write_text(&mut bits, column.path.as_str());
        }
        let mut presences = Vec::new();
        let full = columns.iter().all(|column| column.presence == Presence::All);
        bits.write_bit(!full);
        for column in columns.iter().filter(|_| !full) {
            presence::write(&mut bits, &column.presence, &mut presences);
        }
        for column in columns {
            values::write(&mut bits, &column.path, &column.values);
        }

        let mut bytes = bits.finish();
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Decodes a block. No input causes a panic, or takes more memory than [`limits::MEMORY`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_limited(bytes, DecodeLimits::default())
    }

    /// Like [`decode`](Self::decode), but refuses a block that exceeds `limits`, before its values are decoded: a few bytes can
    /// represent as many values as a block may have.
    pub fn decode_limited(bytes: &[u8], limits: DecodeLimits) -> Result<Self, DecodeError> {
        Self::decode_body(verified_body(bytes)?, limits)
    }

    /// Returns the number of samples that the header of the block states. The samples are not decoded.
    pub fn count_samples(bytes: &[u8]) -> Result<usize, DecodeError> {
        let mut bits = BitReader::new(verified_body(bytes)?);
        read_head(&mut bits).map(|(_, rows)| rows)
    }

    /// Returns the ids of the events, in order. Neither signals nor values are decoded, so that the memory does not depend
    /// on them.
    pub fn decode_eids(bytes: &[u8]) -> Result<Vec<u128>, DecodeError> {
        Ok(Self::decode_head(bytes)?.events.into_iter().map(|event| event.eid).collect())
    }

    /// Returns the events and the times of the samples. Neither signals nor values are decoded, so that the memory does not
    /// depend on them.
    pub fn decode_head(bytes: &[u8]) -> Result<BlockHead, DecodeError> {
        let mut bits = BitReader::new(verified_body(bytes)?);
        let (events, rows) = read_head(&mut bits)?;
        let times = read_times(&mut bits, rows)?;
        Ok(BlockHead { events: events.with_times(&times)?, times })
    }

    /// Like [`decode`](Self::decode), but without verification of marker, version and checksum. Also used by tests with
    /// invalid bytes.
    pub(crate) fn decode_body(body: &[u8], limits: DecodeLimits) -> Result<Self, DecodeError> {
        let mut bits = BitReader::new(body);
        let (events, rows) = read_head(&mut bits)?;
        limits::check_decoded(rows as u64, limits.samples, "samples")?;
        let times = read_times(&mut bits, rows)?;
        let events = events.with_times(&times)?;
        let (paths, numbered) = read_paths(&mut bits)?;

        let mut presences = Vec::with_capacity(paths.len());
        let mut explicit = Vec::new();
        let mut counts = DecodedCounts::new(limits.values.min(limits::VALUES));
        let mut cells = 0;
        let full = !bits.read_bit()?;
        for _ in &paths {
            let presence = if full { Presence::All } else { presence::read(&mut bits, rows, &mut explicit)? };
            counts.add_values(presence.count(rows))?;
            cells += if presence == Presence::All { 0 } else { rows };
            limits::check_decoded(cells as u64, limits::CELLS, "cells")?;
            presences.push(presence);
        }
        let mut columns = Vec::with_capacity(paths.len());
        let mut text_bytes = 0;
        for (index, (path, presence)) in paths.into_iter().zip(presences).enumerate() {
            let read_values = if index < numbered { values::read } else { values::read_by_path };
            let values = read_values(&mut bits, &path, presence.count(rows), &mut counts)?;
            text_bytes += values.text_bytes();
            limits::check_decoded(text_bytes as u64, limits::TEXT_BYTES, "bytes of texts")?;
            columns.push(Column { path, presence, values });
        }
        Ok(Self { events, samples: Samples::new(times, columns) })
    }
}

/// Verifies marker, version and checksum. Returns the bytes before the checksum.
fn verified_body(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    limits::check_decoded(bytes.len() as u64, limits::BYTES, "bytes")?;
    let first = *bytes.first().ok_or(DecodeError::NotABlock)?;
    if first & 0xF0 != MARKER {
        return Err(DecodeError::NotABlock);
    }
    if first & 0x0F != VERSION {
        return Err(DecodeError::Version(first & 0x0F));
    }
    let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(DecodeError::TooShort)?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
        return Err(DecodeError::Checksum);
    }
    Ok(body)
}

/// Reads the part before the times: the events and the number of samples.
fn read_head(bits: &mut BitReader<'_>) -> Result<(EventHeaders, usize), DecodeError> {
    bits.read(8)?;
    // A signal number never changes its meaning, so the version only explains a number that this reader does not have.
    bits.read_golomb(2)?;
    let events = read_events(bits)?;
    let rows = if events.samples.is_empty() {
        limits::check_decoded(bits.read_golomb(4)?, limits::SAMPLES, "samples")?
    } else {
        events.samples.iter().sum()
    };
    Ok((events, rows))
}

/// Writes the numbers of the catalogue signals, each as its distance from the previous number.
fn write_signal_numbers(bits: &mut BitWriter, columns: &[Column]) {
    let numbers = columns.iter().filter_map(|column| column.path.def()).map(|def| u64::from(def.number));
    let steps: Vec<u64> = numbers
        .scan(0, |previous, number| {
            let step = number - *previous - 1;
            *previous = number;
            Some(step)
        })
        .collect();
    let cost = |order: &u32| steps.iter().map(|step| golomb_bits(*step, *order)).sum::<u32>();
    let order = (0..8).min_by_key(cost).unwrap_or_default();
    bits.write_golomb(columns.len() as u64, 4);
    bits.write(u64::from(order), 3);
    for step in steps {
        bits.write_golomb(step, order);
    }
}

/// Reads the signals. Returns them and the number of those written by number.
fn read_paths(bits: &mut BitReader<'_>) -> Result<(Vec<SignalPath>, usize), DecodeError> {
    let count = limits::check_decoded(bits.read_golomb(4)?, limits::COLUMNS, "signals")?;
    let order = bits.read(3)? as u32;
    let mut paths = Vec::new();
    let mut number = 0_u64;
    for _ in 0..count {
        number = bits.read_golomb(order)?.checked_add(number + 1).ok_or(DecodeError::Malformed)?;
        let def = u16::try_from(number).ok().and_then(|number| Catalogue::get().by_number(number));
        paths.push(SignalPath::from(def.ok_or(DecodeError::Signal(number))?));
    }
    let by_path = limits::check_decoded(bits.read_golomb(0)?, limits::COLUMNS - count, "signals")?;
    for _ in 0..by_path {
        // A path that was added to the catalogue after writing is now the signal of that name.
        let path = SignalPath::parse(&read_text(bits)?).map_err(|_| DecodeError::Malformed)?;
        if paths.contains(&path) {
            return Err(DecodeError::Malformed);
        }
        paths.push(path);
    }
    Ok((paths, count))
}
